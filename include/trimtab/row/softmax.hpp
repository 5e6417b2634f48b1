// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>
#include <trimtab/row/math.hpp>

/// Softmax over a row, shifted by its largest value so that nothing overflows: out = exp(h - max) / Σ exp(h - max). The
/// adjoint reads the `out` of forward. `h` and `out` may be the same memory, and `d_h` and `d_out` too.

namespace trimtab {

struct softmax {
  constexpr void forward(row auto& r) const {
    using math::exp;
    const auto top = r.max([&](auto j) { return r.h(j); });
    r.each([&](auto j) { r.out(j) = exp(r.h(j) - top); });
    const auto scale = 1 / r.sum([&](auto j) { return r.out(j); });
    r.each([&](auto j) { r.out(j) *= scale; });
  }

  constexpr void backward(row auto& r) const {
    const auto mean = r.sum([&](auto j) { return r.out(j) * r.d_out(j); });
    r.each([&](auto j) { r.d_h(j) = r.out(j) * (r.d_out(j) - mean); });
  }
};

}  // namespace trimtab
