// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>
#include <trimtab/row/math.hpp>

/// The Gaussian error linear unit (Hendrycks and Gimpel 2016) in its two forms, channel by channel. `h` and `out` may
/// be the same memory, and `d_h` and `d_out` too.

namespace trimtab {

/// out = h · ½ (1 + tanh(u)) with u = √(2/π) (h + 0.044715 h³), `gelu_new` of GPT-2. Computed as h / (1 + exp(-2u)):
/// one exponential and one division, and small results keep all their digits.
struct gelu_tanh {
  static constexpr double sqrt_2_over_pi = 0.79788456080286535588;
  static constexpr double cubic = 0.044715;

  constexpr void forward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    r.each([&](auto j) {
      const T x = r.h(j);
      r.out(j) = x / (1 + tail(x));
    });
  }

  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    constexpr T slope = static_cast<T>(2 * sqrt_2_over_pi), bend = static_cast<T>(6 * sqrt_2_over_pi * cubic);
    r.each([&](auto j) {
      const T x = r.h(j);
      const T share = 1 / (1 + tail(x));
      r.d_h(j) = r.d_out(j) * share * (1 + x * (1 - share) * (slope + bend * x * x));
    });
  }

 private:
  /// exp(-2u).
  template <typename T>
  static constexpr T tail(T x) {
    using math::exp;
    constexpr T slope = static_cast<T>(-2 * sqrt_2_over_pi), bend = static_cast<T>(-2 * sqrt_2_over_pi * cubic);
    return exp(x * (slope + bend * x * x));
  }
};

/// out = h · ½ (1 + erf(h / √2)), `gelu` of Pythia.
struct gelu_erf {
  static constexpr double sqrt_half = 0.70710678118654752440;
  static constexpr double density_at_0 = 0.39894228040143267794;  // 1 / √(2π)

  constexpr void forward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    using math::erf;
    constexpr T a = static_cast<T>(sqrt_half), half = static_cast<T>(0.5);
    r.each([&](auto j) {
      const T x = r.h(j);
      r.out(j) = x * half * (1 + erf(x * a));
    });
  }

  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    using math::erf, math::exp;
    constexpr T a = static_cast<T>(sqrt_half), half = static_cast<T>(0.5), density = static_cast<T>(density_at_0);
    r.each([&](auto j) {
      const T x = r.h(j);
      r.d_h(j) = r.d_out(j) * (half * (1 + erf(x * a)) + x * density * exp(-half * x * x));
    });
  }
};

}  // namespace trimtab
