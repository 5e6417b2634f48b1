// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/workspace.hpp>
#include <trimtab/row/residual.hpp>

#include <cstddef>
#include <vector>

/// The sum of parts along a fixed binary tree over their numbers: ((0 + 1) + (2 + 3)) + 4. Where parts are made one after
/// another or far apart does not change a bit of it, and only one partial sum a level is kept.

namespace trimtab {

template <tensor_backend B>
class tree_sum {
 public:
  using T = typename B::scalar;

  /// `numbers` is the size of a part.
  tree_sum(const B& backend, index_t numbers) : backend_(backend), memory_(backend), numbers_(numbers) {}

  void begin() { parts_ = 0; }

  /// Adds the next part, [1, numbers].
  void add(matrix_view<const T> part) {
    std::size_t level = 0;
    for (; (parts_ >> level & 1u) != 0; ++level) {
      add(sums_[level], part, sums_[level]);
      part = sums_[level];
    }
    while (sums_.size() <= level) sums_.push_back(memory_.take(1, numbers_));
    backend_.copy(part, sums_[level]);
    ++parts_;
  }

  /// Sets `total` [1, numbers] to the sum of all parts.
  void total(matrix_view<T> total) const {
    bool first = true;
    for (std::size_t level = 0; level < sums_.size(); ++level) {
      if ((parts_ >> level & 1u) == 0) continue;
      if (first)
        backend_.copy(sums_[level], total);
      else
        add(sums_[level], total, total);
      first = false;
    }
    if (first) backend_.fill(total, T(0));
  }

 private:
  void add(matrix_view<const T> left, matrix_view<const T> right, matrix_view<T> out) const {
    backend_.forward(residual{}, 1, numbers_, each_row(name::h, left), each_row(residual::branch, right),
                     each_row(name::out, out));
  }

  const B& backend_;
  workspace<B> memory_;
  index_t numbers_;
  std::size_t parts_ = 0;
  std::vector<matrix_view<T>> sums_ = {};  ///< by level, of 2^level parts; in use where that bit of `parts_` is set
};

}  // namespace trimtab
