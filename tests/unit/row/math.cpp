// SPDX-License-Identifier: Apache-2.0
#include <trimtab/row/math.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace trimtab;

namespace {

/// The type in which the truth is computed.
template <typename T>
using wider = std::conditional_t<std::is_same_v<T, float>, double, long double>;

/// Error in units of the last place of the true value.
template <typename T>
double ulps(T found, wider<T> truth) {
  T const rounded = static_cast<T>(truth);
  wider<T> const spacing = std::nextafter(std::abs(rounded), std::numeric_limits<T>::infinity()) - std::abs(rounded);
  return static_cast<double>(std::abs(static_cast<wider<T>>(found) - truth) / spacing);
}

/// The largest error over a grid that no binary fraction repeats.
template <typename T, typename Error>
double worst(T first, T last, Error error) {
  constexpr int points = 200'001;
  double largest = 0;
  for (int i = 0; i < points; ++i) {
    T const x = first + (last - first) * (static_cast<T>(i) / T(points - 1));
    double const e = error(x);
    largest = e <= largest ? largest : e;  // NaN counts
  }
  return largest;
}

constexpr auto absolute = [](auto found, auto truth) { return static_cast<double>(std::abs(found - truth)); };

}  // namespace

TEMPLATE_TEST_CASE("exp is right to 2 units in the last place over its whole range", "", float, double) {
  using T = TestType;
  T const lowest = std::is_same_v<T, float> ? T(-87.3) : T(-708.3),
          highest = std::is_same_v<T, float> ? T(88.3) : T(709.4);
  auto const error = [](T x) { return ulps<T>(math::exp(x), std::exp(static_cast<wider<T>>(x))); };
  CHECK(worst<T>(lowest, highest, error) <= 2);
  CHECK(worst<T>(-2, 2, error) <= 2);
  CHECK(worst<T>(T(-1e-3), T(1e-3), error) <= 2);
  CHECK(math::exp(T(0)) == 1);
}

TEMPLATE_TEST_CASE("expm1 and tanh are right to 4 units in the last place, near 0 too", "", float, double) {
  using T = TestType;
  auto const tanh_error = [](T x) { return ulps<T>(math::tanh(x), std::tanh(static_cast<wider<T>>(x))); };
  auto const expm1_error = [](T x) { return ulps<T>(math::expm1(x), std::expm1(static_cast<wider<T>>(x))); };
  for (T reach : {T(25), T(2), T(0.1), T(1e-3), T(1e-6)}) {
    CHECK(worst<T>(-reach, reach, tanh_error) <= 4);
    CHECK(worst<T>(-reach, reach, expm1_error) <= 4);
  }
}

TEMPLATE_TEST_CASE("erf has the absolute error that it promises", "", float, double) {
  using T = TestType;
  auto const error = [](T x) {
    return absolute(static_cast<wider<T>>(math::erf(x)), std::erf(static_cast<wider<T>>(x)));
  };
  double const promised = std::is_same_v<T, float> ? 4e-7 : 7e-16;
  for (T reach : {T(30), T(4), T(1), T(1e-3)}) CHECK(worst<T>(-reach, reach, error) <= promised);
}

TEMPLATE_TEST_CASE("Where the range of the type ends the functions saturate", "", float, double) {
  using T = TestType;
  T const infinity = std::numeric_limits<T>::infinity();
  for (T x : {T(1000), T(1e30), infinity}) {
    CHECK(std::isfinite(math::exp(x)));
    CHECK(math::exp(x) > std::numeric_limits<T>::max() / 4);
    CHECK(math::exp(-x) >= 0);
    CHECK(math::exp(-x) < 4 * std::numeric_limits<T>::min());
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
  CHECK(math::expm1(T(0)) == 0);
  CHECK(math::tanh(T(0)) == 0);
  CHECK(std::abs(math::erf(T(0))) < 4 * std::numeric_limits<T>::epsilon());
}

TEMPLATE_TEST_CASE("The functions may be used at compile time", "", float, double) {
  using T = TestType;
  constexpr T e = math::exp(T(1)), t = math::tanh(T(1)), f = math::erf(T(1));
  CHECK(std::abs(e - T(2.718281828459045)) < 8 * std::numeric_limits<T>::epsilon());
  CHECK(std::abs(t - T(0.7615941559557649)) < 8 * std::numeric_limits<T>::epsilon());
  CHECK(std::abs(f - T(0.8427007929497149)) < 8 * std::numeric_limits<T>::epsilon());
}
