// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>

#include <type_traits>

/// The rectifier out = max(h, 0), channel by channel; its slope at 0 is 0, as in PyTorch, and NaN stays NaN. `h` and
/// `out` may be the same memory, and `d_h` and `d_out` too.

namespace trimtab {

struct relu {
  constexpr void forward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    r.each([&](auto j) {
      const T x = r.h(j);
      r.out(j) = x < 0 ? T(0) : x;
    });
  }

  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    r.each([&](auto j) {
      const T d = r.d_out(j);
      r.d_h(j) = r.h(j) <= 0 ? T(0) : d;
    });
  }
};

}  // namespace trimtab
