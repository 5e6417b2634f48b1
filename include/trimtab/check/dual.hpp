// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <compare>

/// A scalar that carries a derivative: x + i h with h so tiny (1e-40, say) that h² vanishes. Run any row function, or
/// the whole model, with it: the imaginary part of the result over h is the derivative, exact to rounding, without the
/// cancellation of a difference quotient (Squire and Trapp 1998). Comparisons use the real part only, so `max`, hinges
/// and the shift of a softmax need no special code. It mixes with int and double; with `std::complex`, `1 + z` does not
/// compile, and every policy would have to avoid it.

namespace trimtab {

struct dual {
  double real = 0;
  double imag = 0;

  constexpr dual() = default;
  constexpr dual(double re) : real(re) {}
  constexpr dual(double re, double im) : real(re), imag(im) {}
  explicit constexpr operator double() const { return real; }

  constexpr dual& operator+=(dual b) { return *this = *this + b; }
  constexpr dual& operator-=(dual b) { return *this = *this - b; }
  constexpr dual& operator*=(dual b) { return *this = *this * b; }
  constexpr dual& operator/=(dual b) { return *this = *this / b; }

  friend constexpr dual operator+(dual a) { return a; }
  friend constexpr dual operator-(dual a) { return {-a.real, -a.imag}; }
  friend constexpr dual operator+(dual a, dual b) { return {a.real + b.real, a.imag + b.imag}; }
  friend constexpr dual operator-(dual a, dual b) { return {a.real - b.real, a.imag - b.imag}; }
  // The product of two imaginary parts is of order h², below rounding, and is left out.
  friend constexpr dual operator*(dual a, dual b) { return {a.real * b.real, a.real * b.imag + a.imag * b.real}; }
  friend constexpr dual operator/(dual a, dual b) {
    const double quotient = a.real / b.real;
    return {quotient, (a.imag - quotient * b.imag) / b.real};
  }

  friend constexpr bool operator==(dual a, dual b) { return a.real == b.real; }
  friend constexpr auto operator<=>(dual a, dual b) { return a.real <=> b.real; }

  friend dual sqrt(dual x) {
    const double root = std::sqrt(x.real);
    return {root, x.imag / (2 * root)};
  }
  friend dual exp(dual x) {
    const double e = std::exp(x.real);
    return {e, e * x.imag};
  }
  friend dual log(dual x) { return {std::log(x.real), x.imag / x.real}; }
  friend dual tanh(dual x) {
    const double t = std::tanh(x.real);
    return {t, (1 - t * t) * x.imag};
  }
  friend dual erf(dual x) {
    constexpr double two_over_sqrt_pi = 1.1283791670955126;
    return {std::erf(x.real), two_over_sqrt_pi * std::exp(-x.real * x.real) * x.imag};
  }
  friend dual abs(dual x) { return x.real < 0 ? -x : x; }
  friend bool isfinite(dual x) { return std::isfinite(x.real) and std::isfinite(x.imag); }
};

}  // namespace trimtab
