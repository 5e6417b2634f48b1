// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/context.hpp>
#include <trimtab/core/view.hpp>

#include <memory>
#include <utility>

/// Memory of the CUDA backend: owned, move-only arrays on the device. New numbers are zero.

namespace trimtab::cuda {

template <typename T>
class array {
 public:
  array() = default;
  array(std::shared_ptr<context> owner, index_t count) : owner_(std::move(owner)), size_(count) {
    if (count == 0) return;
    data_ = static_cast<T*>(owner_->memory().take(bytes()));
    check(cudaMemsetAsync(data_, 0, bytes(), owner_->stream()), "cudaMemsetAsync");
  }
  array(std::shared_ptr<context> owner, const T* host, index_t count) : owner_(std::move(owner)), size_(count) {
    if (count == 0) return;
    data_ = static_cast<T*>(owner_->memory().take(bytes()));
    check(cudaMemcpyAsync(data_, host, bytes(), cudaMemcpyHostToDevice, owner_->stream()), "cudaMemcpyAsync");
    owner_->synchronize();  // the caller may free `host`
  }
  array(array&& other) noexcept
      : owner_(std::move(other.owner_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  array& operator=(array&& other) noexcept {
    array old(std::move(*this));
    owner_ = std::move(other.owner_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ~array() {
    if (data_) owner_->memory().give_back(data_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  index_t size() const { return size_; }
  matrix_view<T> view(index_t rows, index_t cols) { return {data_, rows, cols}; }
  matrix_view<const T> view(index_t rows, index_t cols) const { return {data_, rows, cols}; }

 private:
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

  std::shared_ptr<context> owner_ = {};
  T* data_ = nullptr;
  index_t size_ = 0;
};

}  // namespace trimtab::cuda
