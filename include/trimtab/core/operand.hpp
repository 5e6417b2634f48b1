// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/names.hpp>
#include <trimtab/core/view.hpp>

/// What a row function runs on: each operand binds a name to memory and says which part of it row i sees. Operands are
/// trivially copyable, so that a backend can pass them to a kernel.

namespace trimtab {

/// Row i sees `data + stride * i`, or `data + stride * select[i]` where a selection is given.
template <typename Name, typename T>
struct operand {
  T* data = nullptr;
  index_t stride = 0;
  const int* select = nullptr;

  constexpr T* at(index_t i) const { return data + stride * (select ? static_cast<index_t>(select[i]) : i); }
};

/// Row i sees row i of the matrix.
template <typename Name, typename T>
constexpr operand<Name, T> each_row(Name, matrix_view<T> m) {
  return {m.data, m.cols, nullptr};
}

/// Row i sees row `select[i]`: a gather when read, a scatter when written (selected rows must then be distinct).
template <typename Name, typename T>
constexpr operand<Name, T> selected_row(Name, matrix_view<T> m, const int* select) {
  return {m.data, m.cols, select};
}

/// The same numbers for every row.
template <typename Name, typename T>
constexpr operand<Name, T> all_rows(Name, matrix_view<T> m) {
  return {m.data, 0, nullptr};
}

/// The name of a gradient, for binding: `each_row(grad(name::h), dx)`.
template <typename Name>
constexpr gradient_of<Name> grad(Name) {
  return {};
}

}  // namespace trimtab
