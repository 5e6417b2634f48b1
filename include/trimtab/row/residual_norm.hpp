// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/row/layer_norm.hpp>
#include <trimtab/row/residual.hpp>

/// A residual addition and the LayerNorm after it, in one pass over the row: sum = h + branch, out = LayerNorm(sum).
/// The sum also goes on along the skip connection, so its gradient has two parts.

namespace trimtab {

struct residual_norm {
  static constexpr per_channel<"sum"> sum{};

  layer_norm norm = {};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r(sum, j) = r.h(j) + r(residual::branch, j); });
    norm.normalise(r, sum);
  }
  /// d_h, which is also d_branch, from the gradients of `sum` and `out`.
  constexpr void backward(row auto& r) const {
    norm.adjoint(r, sum, [&](auto j, auto d_sum) { r.d_h(j) = r.d(sum, j) + d_sum; });
  }
};

}  // namespace trimtab
