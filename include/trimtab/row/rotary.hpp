// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>

/// Rotary positions (Su et al. 2021) of one attention head, in GPT-NeoX's pairing: of the first r channels, i and i +
/// r/2 are rotated together by the angle position · base^(-2i/r); the others pass through. The row is one head of a
/// query or key; `cosine` and `sine` hold r/2 values for its position. `h` and `out` may be the same memory, and `d_h`
/// and `d_out` too.

namespace trimtab {

struct rotary {
  static constexpr per_channel<"cosine"> cosine{};
  static constexpr per_channel<"sine"> sine{};
  static constexpr bool crosses_channels = true;

  index_t channels = 0;  ///< r

  constexpr void forward(row auto& r) const {
    const index_t half = channels / 2;
    r.each(half, [&](auto j) {
      const auto x = r.h(j), y = r.h(j + half);
      r.out(j) = x * r(cosine, j) - y * r(sine, j);
      r.out(j + half) = y * r(cosine, j) + x * r(sine, j);
    });
    r.each(r.width() - channels, [&](auto j) { r.out(j + channels) = r.h(j + channels); });
  }

  /// The inverse rotation.
  constexpr void backward(row auto& r) const {
    const index_t half = channels / 2;
    r.each(half, [&](auto j) {
      const auto x = r.d_out(j), y = r.d_out(j + half);
      r.d_h(j) = x * r(cosine, j) + y * r(sine, j);
      r.d_h(j + half) = y * r(cosine, j) - x * r(sine, j);
    });
    r.each(r.width() - channels, [&](auto j) { r.d_h(j + channels) = r.d_out(j + channels); });
  }
};

}  // namespace trimtab
