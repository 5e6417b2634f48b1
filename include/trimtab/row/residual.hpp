// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>

/// Copying and adding rows. The adjoint of a sum copies the gradient to every summand. Both work in place (`h` and
/// `out` may be the same memory).

namespace trimtab {

/// out = h. With a selection on one of them, a gather or a scatter of rows.
struct copy_row {
  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.h(j); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
  }
};

/// out = h + branch.
struct residual {
  static constexpr per_channel<"branch"> branch{};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.h(j) + r(branch, j); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d(branch, j) = r.d_out(j); });
  }
};

}  // namespace trimtab
