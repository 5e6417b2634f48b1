// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>
#include <trimtab/row/math.hpp>

#include <type_traits>

/// The Gaussian error linear unit (Hendrycks and Gimpel 2016), exact and in its approximations, and its relative SiLU,
/// channel by channel. `h` and `out` may be the same memory, and `d_h` and `d_out` too.

namespace trimtab {

/// out = h σ(v) with the logistic function σ(v) = 1 / (1 + exp(-v)) and v = slope (h + cubic h³), both constants of the
/// `Unit` that derives from this: one exponential and one division, and small results keep all their digits.
template <typename Unit>
struct sigmoid_unit {
  constexpr void forward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    r.each([&](auto j) {
      const T x = r.h(j);
      r.out(j) = x / (1 + tail(x));
    });
  }

  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    r.each([&](auto j) {
      const T x = r.h(j);
      const T share = 1 / (1 + tail(x));
      r.d_h(j) = r.d_out(j) * share * (1 + x * (1 - share) * rate(x));
    });
  }

 private:
  /// exp(-v).
  template <typename T>
  static constexpr T tail(T x) {
    using math::exp;
    return exp(x * quadratic(x, -Unit::slope, -Unit::slope * Unit::cubic));
  }
  /// dv/dh.
  template <typename T>
  static constexpr T rate(T x) {
    return quadratic(x, Unit::slope, 3 * Unit::slope * Unit::cubic);
  }
  /// a + b x². Without a cubic part b is 0, and x² might overflow.
  template <typename T>
  static constexpr T quadratic(T x, double a, double b) {
    if constexpr (Unit::cubic == 0)
      return static_cast<T>(a);
    else
      return static_cast<T>(a) + static_cast<T>(b) * x * x;
  }
};

/// `gelu_new` of GPT-2: out = h · ½ (1 + tanh(u)) = h σ(2u) with u = √(2/π) (h + 0.044715 h³).
struct gelu_tanh : sigmoid_unit<gelu_tanh> {
  static constexpr double slope = 2 * 0.79788456080286535588, cubic = 0.044715;
};

/// The same with √(2/π) to ten digits, as transformers writes it.
struct gelu_fast : sigmoid_unit<gelu_fast> {
  static constexpr double slope = 2 * 0.7978845608, cubic = 0.044715;
};

/// out = h σ(1.702 h).
struct quick_gelu : sigmoid_unit<quick_gelu> {
  static constexpr double slope = 1.702, cubic = 0;
};

/// out = h σ(h), also called swish.
struct silu : sigmoid_unit<silu> {
  static constexpr double slope = 1, cubic = 0;
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
