// SPDX-License-Identifier: Apache-2.0

#include <trimtab/backend/eigen/fold.hpp>
#include <trimtab/core/random.hpp>

#include "support/catch.hpp"

#include <bit>
#include <complex>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace trimtab::test::fold_tests {

namespace {

using eigen::fold;

/// What the name says: the upper half is combined with the lower one until one number is left.
template <typename T, typename Combine>
T folded_in_halves(std::vector<T> numbers, Combine combine) {
  while (numbers.size() > 1) {
    const std::size_t half = numbers.size() / 2;
    for (std::size_t k = 0; k < half; ++k) numbers[k] = combine(numbers[k], numbers[k + half]);
    numbers.resize(half);
  }
  return numbers.front();
}

template <typename T>
auto bits(T x) {
  return std::bit_cast<std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>(x);
}

template <index_t count, typename T>
void check_fold(random_generator& random) {
  const auto add = [](auto a, auto b) { return a + b; };
  const auto larger = [](auto a, auto b) { return a < b ? b : a; };
  for (int round = 0; round < 20; ++round) {
    std::vector<T> numbers;
    for (index_t k = 0; k < count; ++k) numbers.push_back(static_cast<T>(random.uniform() - 0.5));
    if (round > 15) numbers[static_cast<std::size_t>(random.below(count))] = std::numeric_limits<T>::quiet_NaN();
    if (round % 5 == 0)
      for (std::size_t k = 0; k < numbers.size(); ++k) numbers[k] = k % 3 == 0 ? T(0) : -T(0);
    CAPTURE(count, round);
    auto sum = numbers, top = numbers;
    CHECK(bits(fold<count>(sum.data(), add)) == bits(folded_in_halves(numbers, add)));
    CHECK(bits(fold<count>(top.data(), larger)) == bits(folded_in_halves(numbers, larger)));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("Numbers are folded in halves, whatever the SIMD width", "", float, double) {
  random_generator random(1);
  check_fold<1, TestType>(random);
  check_fold<2, TestType>(random);
  check_fold<8, TestType>(random);
  check_fold<16, TestType>(random);
  check_fold<64, TestType>(random);
}

TEST_CASE("Numbers that no packet holds are folded too") {
  long double long_numbers[] = {1, 2, 3, 4};
  CHECK(fold<4>(long_numbers, [](auto a, auto b) { return a < b ? b : a; }) == 4);
  std::vector<std::complex<double>> numbers = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
  CHECK(fold<4>(numbers.data(), [](auto a, auto b) { return a + b; }) == std::complex<double>(16, 20));
}

}  // namespace trimtab::test::fold_tests
