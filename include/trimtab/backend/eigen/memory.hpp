// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>

#include <Eigen/Core>

#include <utility>

/// Memory of the CPU backend: arrays aligned for SIMD, owned, moved but never copied by accident. New numbers are zero.

namespace trimtab::eigen {

template <typename T>
class array {
 public:
  array() = default;
  explicit array(index_t count) : values_(count) { values_.setConstant(T(0)); }
  array(array&&) noexcept = default;
  array& operator=(array&&) noexcept = default;

  T* data() { return values_.data(); }
  T const* data() const { return values_.data(); }
  index_t size() const { return values_.size(); }
  matrix_view<T> view(index_t rows, index_t cols) { return {data(), rows, cols}; }
  matrix_view<T const> view(index_t rows, index_t cols) const { return {data(), rows, cols}; }

 private:
  Eigen::Array<T, Eigen::Dynamic, 1> values_;
};

}  // namespace trimtab::eigen
