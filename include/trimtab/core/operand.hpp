// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/names.hpp>
#include <trimtab/core/view.hpp>

/// What a row function is run on: each operand ties a name to memory and says which piece of it row i sees. Operands
/// are trivially copyable, so that a backend may hand them to a kernel as they are.

namespace trimtab {

/// Row i sees `data + stride * i`, or `data + stride * select[i]` where a selection is given.
template <typename Name, typename T>
struct operand {
  T* data = nullptr;
  index_t stride = 0;
  const int* select = nullptr;

  constexpr T* at(index_t i) const { return data + stride * (select ? static_cast<index_t>(select[i]) : i); }
};

/// Row i of the matrix.
template <typename Name, typename T>
constexpr operand<Name, T> each_row(Name, matrix_view<T> m) {
  return {m.data, m.cols, nullptr};
}

/// Row `select[i]` of the matrix: a gather when read, a scatter when written (to rows that must then be distinct).
template <typename Name, typename T>
constexpr operand<Name, T> selected_row(Name, matrix_view<T> m, const int* select) {
  return {m.data, m.cols, select};
}

/// The same numbers for every row.
template <typename Name, typename T>
constexpr operand<Name, T> all_rows(Name, matrix_view<T> m) {
  return {m.data, 0, nullptr};
}

/// The record that starts at `data + slot[i]`.
template <typename Name, typename T>
constexpr operand<Name, T> record(Name, T* data, const int* slot) {
  return {data, 1, slot};
}

/// The name of a gradient, for binding: `each_row(d(name::h), dx)`.
template <typename Name>
constexpr gradient_of<Name> d(Name) {
  return {};
}

}  // namespace trimtab
