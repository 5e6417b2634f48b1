// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>

#include <utility>
#include <vector>

/// The memory of a pass, allocated while it is planned and kept for its lifetime: running it allocates nothing.

namespace trimtab {

template <tensor_backend B>
class workspace {
 public:
  explicit workspace(const B& backend) : backend_(&backend) {}

  matrix_view<typename B::scalar> take(index_t rows, index_t cols) {
    pieces_.push_back(backend_->allocate(rows * cols));
    return pieces_.back().view(rows, cols);
  }

  matrix_view<typename B::scalar> take(const host_matrix<typename B::scalar>& numbers) {
    pieces_.push_back(backend_->upload(numbers.view()));
    return pieces_.back().view(numbers.rows, numbers.cols);
  }

  const int* take(std::vector<int> numbers) {
    indices_.push_back(backend_->upload(std::move(numbers)));
    return indices_.back().data();
  }

 private:
  const B* backend_;
  std::vector<typename B::memory> pieces_ = {};
  std::vector<typename B::indices> indices_ = {};
};

}  // namespace trimtab
