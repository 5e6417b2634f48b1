// SPDX-License-Identifier: Apache-2.0
#include <trimtab/core/random.hpp>

#include "support/catch.hpp"

#include <array>
#include <cmath>
#include <map>
#include <random>
#include <vector>

namespace trimtab::test::random_tests {

using trimtab::random_generator;

static_assert(std::uniform_random_bit_generator<random_generator>);

TEST_CASE("The generator is SplitMix64") {
  random_generator random(1234567);  // the published test vector of this seed
  for (const auto expected :
       {6457827717110365317u, 3203168211198807973u, 9817491932198370423u, 4593380528125082431u, 16408922859458223821u})
    CHECK(random() == expected);
}

TEST_CASE("Whole numbers below a bound are equally likely") {
  random_generator random(1);
  constexpr int draws = 70'000;
  std::array<int, 7> counts{};
  for (int i = 0; i < draws; ++i) ++counts.at(random.below(counts.size()));
  for (const auto count : counts) CHECK(std::abs(count - draws / 7) < 500);  // five standard deviations
  CHECK(random.below(1) == 0);
}

TEST_CASE("A bound that does not divide the generator's range is not biased") {
  // With a bound of two thirds of the range, a plain remainder would give the lower half twice as often as the upper
  // one.
  const auto bound = static_cast<std::size_t>(random_generator::max() / 3 * 2);
  random_generator random(1);
  int lower = 0;
  for (int i = 0; i < 10'000; ++i) lower += random.below(bound) < bound / 2 ? 1 : 0;
  CHECK(std::abs(lower - 5'000) < 300);
}

TEST_CASE("Real numbers are uniform or normal") {
  random_generator random(1);
  constexpr int draws = 100'000;
  double sum = 0, normal_sum = 0, normal_squares = 0;
  for (int i = 0; i < draws; ++i) {
    const auto u = random.uniform();
    REQUIRE((u >= 0 and u < 1));
    const auto z = random.normal();
    REQUIRE(std::isfinite(z));
    sum += u;
    normal_sum += z;
    normal_squares += z * z;
  }
  CHECK(std::abs(sum / draws - 0.5) < 0.005);
  CHECK(std::abs(normal_sum / draws) < 0.02);
  CHECK(std::abs(normal_squares / draws - 1) < 0.03);
}

TEST_CASE("A shuffle makes every order equally often") {
  random_generator random(1);
  std::map<std::vector<int>, int> orders;
  for (int i = 0; i < 6'000; ++i) {
    std::vector<int> list{1, 2, 3};
    random.shuffle(list);
    ++orders[list];
  }
  CHECK(orders.size() == 6);
  for (const auto& [order, count] : orders) CHECK(std::abs(count - 1'000) < 150);

  std::vector<int> nothing;
  random.shuffle(nothing);
  CHECK(nothing.empty());
}

}  // namespace trimtab::test::random_tests
