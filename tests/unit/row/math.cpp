// SPDX-License-Identifier: Apache-2.0
#include <trimtab/row/math.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace trimtab::test::math_tests {

namespace {

/// The error in units of the last place of the true value; 0 if both are beyond the largest number.
template <typename T>
double ulps(T found, long double truth) {
  using limits = std::numeric_limits<T>;
  const T rounded = static_cast<T>(truth);
  if (std::isinf(rounded) or std::isinf(found)) return found == rounded ? 0 : HUGE_VAL;
  const T below = std::min(std::abs(rounded), std::nextafter(limits::max(), T(0)));
  const long double spacing = static_cast<long double>(std::nextafter(below, limits::infinity())) - below;
  return static_cast<double>(std::abs(found - truth) / spacing);
}

/// The largest error over numbers of both signs and every exponent, with infinities and subnormal numbers.
template <typename T, typename F, typename Truth>
double worst(F f, Truth truth) {
  using bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const bits points = 3'000'017, stride = std::numeric_limits<bits>::max() / points;
  double largest = 0;
  for (bits i = 0; i < points; ++i) {
    const T x = std::bit_cast<T>(i * stride + i % 1013);  // the low bits vary too
    if (std::isnan(x)) continue;
    const double e = ulps<T>(f(x), truth(static_cast<long double>(x)));
    largest = e <= largest ? largest : e;  // NaN counts
  }
  return largest;
}

}  // namespace

TEMPLATE_TEST_CASE("The functions are right to 2 units in the last place over the whole range", "", float, double) {
  using T = TestType;
  CHECK(worst<T>([](T x) { return math::exp(x); }, [](long double x) { return std::exp(x); }) <= 2);
  CHECK(worst<T>([](T x) { return math::expm1(x); }, [](long double x) { return std::expm1(x); }) <= 2);
  CHECK(worst<T>([](T x) { return math::tanh(x); }, [](long double x) { return std::tanh(x); }) <= 2);
  CHECK(worst<T>([](T x) { return math::erf(x); }, [](long double x) { return std::erf(x); }) <= 2);
}

// Takes minutes, so it runs only on request: unit_row "[every_float]". The functions in double are far more exact than
// the last place of a float, so they serve as the truth.
TEST_CASE("The functions are right to 2 units in the last place for every float", "[.][every_float]") {
  const auto worst_of_all = [](auto f, auto truth) {
    double largest = 0;
    for (std::uint64_t i = 0; i < std::uint64_t{1} << 32; ++i) {
      const float x = std::bit_cast<float>(static_cast<std::uint32_t>(i));
      if (std::isnan(x)) continue;
      const double e = ulps<float>(f(x), truth(static_cast<double>(x)));
      largest = e <= largest ? largest : e;  // NaN counts
    }
    return largest;
  };
  const double of_exp = worst_of_all([](float x) { return math::exp(x); }, [](double x) { return std::exp(x); });
  const double of_expm1 = worst_of_all([](float x) { return math::expm1(x); }, [](double x) { return std::expm1(x); });
  const double of_tanh = worst_of_all([](float x) { return math::tanh(x); }, [](double x) { return std::tanh(x); });
  const double of_erf = worst_of_all([](float x) { return math::erf(x); }, [](double x) { return std::erf(x); });
  WARN("worst errors of exp, expm1, tanh, erf: " << of_exp << ", " << of_expm1 << ", " << of_tanh << ", " << of_erf);
  CHECK(std::max({of_exp, of_expm1, of_tanh, of_erf}) <= 2);
}

TEMPLATE_TEST_CASE("Where the range of the type ends the functions do as those of C", "", float, double) {
  using T = TestType;
  const T infinity = std::numeric_limits<T>::infinity();
  for (T x : {T(1000), T(1e30), infinity}) {
    CHECK(math::exp(x) == infinity);
    CHECK(math::exp(-x) == 0);
    CHECK(math::expm1(x) == infinity);
    CHECK(math::expm1(-x) == -1);
    CHECK(math::tanh(x) == 1);
    CHECK(math::tanh(-x) == -1);
    CHECK(math::erf(x) == 1);
    CHECK(math::erf(-x) == -1);
  }
}

TEMPLATE_TEST_CASE("NaN stays NaN and zero stays zero", "", float, double) {
  using T = TestType;
  for (T nan : {std::numeric_limits<T>::quiet_NaN(), -std::numeric_limits<T>::quiet_NaN()}) {
    CHECK(std::isnan(math::exp(nan)));
    CHECK(std::isnan(math::expm1(nan)));
    CHECK(std::isnan(math::tanh(nan)));
    CHECK(std::isnan(math::erf(nan)));
  }
  CHECK(math::exp(T(0)) == 1);
  CHECK(math::expm1(T(0)) == 0);
  CHECK(math::tanh(T(0)) == 0);
  CHECK(math::erf(T(0)) == 0);
}

TEMPLATE_TEST_CASE("The functions may be used at compile time", "", float, double) {
  using T = TestType;
  constexpr T e = math::exp(T(1)), t = math::tanh(T(1)), f = math::erf(T(1));
  CHECK(std::abs(e - T(2.718281828459045)) < 8 * std::numeric_limits<T>::epsilon());
  CHECK(std::abs(t - T(0.7615941559557649)) < 8 * std::numeric_limits<T>::epsilon());
  CHECK(std::abs(f - T(0.8427007929497149)) < 8 * std::numeric_limits<T>::epsilon());
}

}  // namespace trimtab::test::math_tests
