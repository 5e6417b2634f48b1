// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/row/layer_norm.hpp>
#include <trimtab/row/residual.hpp>

/// A sum on the stream and what the next half of a block reads of it, while the row is at hand: sum = h + branch,
/// out = LayerNorm(sum). The sum goes on along the skip connection, so its gradient comes from both sides.

namespace trimtab {

struct residual_norm {
  static constexpr per_channel<"sum"> sum{};

  layer_norm norm = {};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r(sum, j) = r.h(j) + r(residual::branch, j); });
    norm.normalise(r, sum);
  }
  /// d_h, which is d_branch too, from the gradients of both results.
  constexpr void backward(row auto& r) const {
    norm.adjoint(r, sum, [&](auto j, auto d_sum) { r.d_h(j) = r.d(sum, j) + d_sum; });
  }
};

}  // namespace trimtab
