// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>

#include <cassert>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <vector>

/// Matrices. Every array of the library is a contiguous row-major matrix [rows, cols]; a vector is one row. A
/// `matrix_view` refers to memory that it does not own, on the host or on a device; a `host_matrix` owns host memory
/// and carries weights and results into and out of a backend.

namespace trimtab {

/// Counts and positions, signed so that differences are safe.
using index_t = std::ptrdiff_t;

template <typename T>
struct matrix_view {
  T* data = nullptr;
  index_t rows = 0;
  index_t cols = 0;

  constexpr index_t size() const { return rows * cols; }
  constexpr bool empty() const { return size() == 0; }
  constexpr T* row(index_t i) const { return data + i * cols; }

  /// The same numbers cut into rows of another width: [rows, cols] seen as [rows * cols / width, width].
  constexpr matrix_view reshaped(index_t width) const {
    assert(width > 0 and size() % width == 0);
    return {data, size() / width, width};
  }

  constexpr matrix_view<const T> as_const() const { return {data, rows, cols}; }
  constexpr operator matrix_view<const T>() const requires(not std::is_const_v<T>) { return as_const(); }
};

template <typename T>
struct host_matrix {
  index_t rows = 0;
  index_t cols = 0;
  std::vector<T> values = {};

  host_matrix() = default;
  /// Zeros. Throws `memory` if the allocation fails.
  host_matrix(index_t row_count, index_t col_count) : rows(row_count), cols(col_count) {
    assert(rows >= 0 and cols >= 0);
    try {
      values.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
    } catch (const std::exception&) {
      throw_no_memory(static_cast<double>(rows) * static_cast<double>(cols) * sizeof(T));
    }
  }

  bool empty() const { return values.empty(); }
  T& operator()(index_t i, index_t j) { return values[static_cast<std::size_t>(i * cols + j)]; }
  const T& operator()(index_t i, index_t j) const { return values[static_cast<std::size_t>(i * cols + j)]; }
  matrix_view<T> view() { return {values.data(), rows, cols}; }
  matrix_view<const T> view() const { return {values.data(), rows, cols}; }
};

}  // namespace trimtab
