// SPDX-License-Identifier: Apache-2.0
#include <trimtab/check/dual.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>

namespace trimtab::test::dual_tests {

using trimtab::dual;

namespace {

constexpr double h = 1e-40;

template <typename F>
double derivative(F f, double x) {
  return f(dual(x, h)).imag / h;
}

}  // namespace

TEST_CASE("The imaginary part carries the derivative") {
  for (double x : {-1.3, 0.2, 0.9, 3.1}) {
    const auto near = [](double found, double expected) {
      return std::abs(found - expected) <= 4e-16 * std::max(1.0, std::abs(expected));
    };
    CHECK(near(derivative([](auto z) { return z * z * z; }, x), 3 * x * x));
    CHECK(near(derivative([](auto z) { return 1 / z; }, x), -1 / (x * x)));
    CHECK(near(derivative([](auto z) { return (z + 1) / (2 - z); }, x), 3 / ((2 - x) * (2 - x))));
    CHECK(near(derivative([](auto z) { return exp(z); }, x), std::exp(x)));
    CHECK(near(derivative([](auto z) { return tanh(z); }, x), 1 - std::tanh(x) * std::tanh(x)));
    CHECK(near(derivative([](auto z) { return erf(z); }, x), 2 / std::sqrt(std::acos(-1.0)) * std::exp(-x * x)));
    CHECK(near(derivative([](auto z) { return abs(z); }, x), x < 0 ? -1 : 1));
    CHECK(near(derivative([](auto z) { return -z; }, x), -1));
    if (x > 0) {
      CHECK(near(derivative([](auto z) { return sqrt(z); }, x), 0.5 / std::sqrt(x)));
      CHECK(near(derivative([](auto z) { return log(z); }, x), 1 / x));
    }
  }
}

TEST_CASE("Values are those of double") {
  const dual a(1.5, h), b(-2, 3 * h);
  CHECK((a + b).real == -0.5);
  CHECK((a - b).real == 3.5);
  CHECK((a * b).real == -3);
  CHECK((a / b).real == -0.75);
  CHECK(exp(a).real == std::exp(1.5));
  CHECK(static_cast<double>(a) == 1.5);
}

TEST_CASE("Comparisons see the real part only") {
  CHECK(dual(1, h) == dual(1, -h));
  CHECK(dual(1, h) < dual(2));
  CHECK(std::max(dual(1), dual(2, h)).imag == h);
  CHECK(dual(1) > 0);
}

TEST_CASE("Finite means both parts") {
  CHECK(isfinite(dual(1, h)));
  CHECK_FALSE(isfinite(dual(HUGE_VAL, 0)));
  CHECK_FALSE(isfinite(dual(1, std::nan(""))));
}

}  // namespace trimtab::test::dual_tests
