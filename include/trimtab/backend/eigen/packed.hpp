// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/fetch.hpp>
#include <trimtab/backend/eigen/matmul.hpp>
#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/backend/eigen/transpose.hpp>

#include <algorithm>
#include <utility>

/// Small matrices packed on the fly, so that the kernels of the frozen products (eigen/matmul.hpp) can multiply with
/// them.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

/// A matrix [depth, columns] in panels like those of eigen/panels.hpp, in memory owned elsewhere.
template <typename T>
struct packed {
  T* data;
  index_t depth;

  static index_t padded(index_t columns) { return panels<T>::whole_tiles(columns) * tile<T>::columns; }
  T* at(index_t k, index_t j) const {
    return data + (j / tile<T>::columns * depth + k) * tile<T>::columns + j % tile<T>::columns;
  }

  /// Row k is vectors(k).
  template <typename Vectors>
  void pack_rows(index_t rows, index_t columns, Vectors vectors) const {
    for (index_t k = 0; k < rows; ++k) set_row(k, columns, vectors(k));
  }
  void set_row(index_t k, index_t columns, const T* vector) const {
    for (index_t j = 0; j < columns; j += tile<T>::columns)
      std::copy_n(vector + j, std::min<index_t>(tile<T>::columns, columns - j), at(k, j));
  }

  /// Column j is vectors(j).
  template <typename Vectors>
  void pack_columns(index_t rows, index_t columns, Vectors vectors) const {
    using namespace Eigen::internal;
    constexpr int lanes = tile<T>::lanes;
    const index_t whole_rows = rows / lanes * lanes;
    for (index_t j = 0; j < columns; j += lanes)
      for (index_t k = 0; k < whole_rows; k += lanes) {
        packet<T> block[lanes];
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i)
          block[i] = j + i < columns ? ploadu<packet<T>>(vectors(j + i) + k) : pset1<packet<T>>(T(0));
        transpose(block, std::make_integer_sequence<int, lanes>{});
#pragma GCC unroll 16
        for (int i = 0; i < lanes; ++i) pstoreu(at(k + i, j), block[i]);
      }
    for (index_t j = 0; j < columns; ++j)
      for (index_t k = whole_rows; k < rows; ++k) *at(k, j) = vectors(j)[k];
  }
  void set_column(index_t j, index_t rows, const T* vector) const {
    for (index_t k = 0; k < rows; ++k) *at(k, j) = vector[k];
  }
};

/// y = start + x w for no more rows than a block has; y, and `start` unless its stride is 0, are padded to whole tiles.
template <typename T>
void multiply_packed(index_t rows, index_t depth, index_t columns, packed<T> w, strided<const T> x,
                     strided<const T> start, strided<T> y) {
  const auto nothing = fetch_order::nothing(w.data, depth);
  for (index_t j = 0; j < columns; j += tile<T>::columns)
    block_kernels<T>[static_cast<std::size_t>(rows - 1)](depth, w.at(0, j), x,
                                                         {start.data + (start.stride > 0 ? j : 0), start.stride},
                                                         {y.data + j, y.stride}, nothing, nullptr);
}

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
