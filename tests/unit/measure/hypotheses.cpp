// SPDX-License-Identifier: Apache-2.0
#include <trimtab/core/random.hpp>
#include <trimtab/measure/hypotheses.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <vector>

namespace trimtab::test::hypotheses_tests {

namespace {

constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

/// `count` values of which the share `rate` is 1, evenly spread, the others 0.
std::vector<double> follows(int count, double rate) {
  std::vector<double> values;
  for (int n = 0; n < count; ++n) values.push_back(std::floor(rate * (n + 1)) - std::floor(rate * n));
  return values;
}

/// `count` normal values about a mean.
std::vector<double> about(double mean, double deviation, int count, std::uint64_t seed) {
  random_generator random(seed);
  std::vector<double> values;
  for (int n = 0; n < count; ++n) values.push_back(mean + deviation * random.normal());
  return values;
}

}  // namespace

TEST_CASE("A hypothesis is held above its margin, not held below it, and not decided across it", "[hypotheses]") {
  CHECK(at_least(-0.1, 0.05, {-0.1, 0.2}).said == verdict::held);
  CHECK(at_least(-0.1, 0.05, {-0.11, 0.2}).said == verdict::not_decided);
  CHECK(at_least(-0.1, -0.2, {-0.3, -0.1}).said == verdict::not_decided);
  CHECK(at_least(-0.1, -0.2, {-0.3, -0.11}).said == verdict::not_held);
  CHECK(at_least(-0.1, no_number, {no_number, no_number}).said == verdict::not_decided);
  CHECK(text_of(verdict::held) == "held");
  CHECK(text_of(verdict::not_held) == "not held");
  CHECK(text_of(verdict::not_decided) == "not decided");
}

TEST_CASE("Student's quantiles are those of the printed tables", "[hypotheses]") {
  const std::pair<index_t, double> table[] = {{1, 12.706}, {2, 4.303},  {3, 3.182},  {4, 2.776},
                                              {9, 2.262},  {10, 2.228}, {30, 2.042}, {120, 1.980}};
  for (const auto& [freedom, expected] : table) {
    CAPTURE(freedom);
    CHECK(std::abs(student_quantile(freedom) - expected) < 5e-4);
  }
  CHECK(std::abs(student_quantile(1) - std::tan(0.475 * std::numbers::pi)) < 1e-9);  // Cauchy's distribution
  CHECK(std::abs(student_quantile(1'000'000) - detail::normal_quantile) < 1e-5);
}

TEST_CASE("Student's interval of few values covers their mean 95 times in 100", "[hypotheses]") {
  for (const int count : {2, 3, 8}) {
    constexpr int trials = 4000;
    int covered = 0;
    for (int trial = 0; trial < trials; ++trial) {
      const auto f = mean_at_least(0, about(0.7, 2, count, static_cast<std::uint64_t>(1000 * count + trial)));
      covered += f.within.low <= 0.7 and 0.7 <= f.within.high;
    }
    CAPTURE(count);
    CHECK(std::abs(covered / double{trials} - 0.95) < 0.012);  // 3.5 standard errors
  }
}

TEST_CASE("As faithful, fewer parameters: paired differences decide where they are clear", "[hypotheses]") {
  // The KL of the other fit minus the own one: equal but for noise, then much larger for the own fit.
  CHECK(mean_at_least(-0.05, about(0, 0.05, 64, 1)).said == verdict::held);
  CHECK(mean_at_least(-0.05, about(-0.4, 0.05, 64, 2)).said == verdict::not_held);
  CHECK(mean_at_least(-0.05, about(-0.05, 0.4, 64, 3)).said == verdict::not_decided);
  // How many parameters more the other fit keeps, over three seeds.
  CHECK(mean_at_least(1, std::vector<double>{277, 301, 250}).said == verdict::held);
  CHECK(mean_at_least(1, std::vector<double>{-277, -301, -250}).said == verdict::not_held);
  CHECK(mean_at_least(1, std::vector<double>{300, -280, 15}).said == verdict::not_decided);
  // One fit is no evidence, whatever its size.
  const auto alone = mean_at_least(1, std::vector<double>{277});
  CHECK(alone.estimate == 277);
  CHECK(std::isnan(alone.within.low));
  CHECK(alone.said == verdict::not_decided);
}

TEST_CASE("As effective: flip rates are paired prompt by prompt", "[hypotheses]") {
  const auto good = follows(128, 0.9), same = follows(128, 0.89), bad = follows(128, 0.3);
  CHECK(rate_at_least(-0.1, good, same).said == verdict::held);
  CHECK(rate_at_least(-0.1, bad, good).said == verdict::not_held);
  CHECK(rate_at_least(-0.1, bad, good).estimate == paired_rates{.lost = 77, .prompts = 128}.difference());
  const auto few = follows(4, 1);
  CHECK(rate_at_least(-0.1, few, few).said == verdict::not_decided);  // four prompts do not say much
  // The same rates with other prompts among them: pairs that cancel widen the interval.
  std::vector<double> reversed(good.rbegin(), good.rend());
  CHECK(rate_at_least(-0.1, good, reversed).within.low < rate_at_least(-0.1, good, good).within.low);
}

TEST_CASE("The interval of a difference of two rates has the values that Newcombe (1998) tabulates, method 10",
          "[hypotheses]") {
  struct {
    double count, n, other, of_other;
    interval expected;
  } const known[] = {{56, 70, 48, 80, {0.0524, 0.3339}},
                     {9, 10, 3, 10, {0.1705, 0.8090}},
                     {10, 10, 0, 20, {0.6791, 1.0000}},
                     {0, 10, 0, 10, {-0.2775, 0.2775}}};
  for (const auto& [count, n, other, of_other, expected] : known) {
    CAPTURE(count, n);
    const auto found =
        difference_within(count / n, static_cast<index_t>(n), other / of_other, static_cast<index_t>(of_other));
    CHECK(std::abs(found.low - expected.low) < 5e-5);
    CHECK(std::abs(found.high - expected.high) < 5e-5);
  }
}

TEST_CASE("Generalises: the rate on new prompts may fall by the margin, if there was one to begin with",
          "[hypotheses]") {
  CHECK(generalises(-0.1, 0.95, 200, 0.95, 200).said == verdict::held);
  CHECK(generalises(-0.1, 0.2, 200, 0.95, 200).said == verdict::not_held);
  CHECK(generalises(-0.1, 0.85, 40, 0.95, 40).said == verdict::not_decided);
  // A fit that flips nothing where it was made loses nothing elsewhere; that is no generalisation.
  const auto idle = generalises(-0.1, 0, 200, 0, 200);
  CHECK(idle.within.low >= -0.1);
  CHECK(idle.said == verdict::not_decided);
}

TEST_CASE("Places are stable where every two fits keep the same", "[hypotheses]") {
  const std::vector<bool> some{true, true, false, false, true, false}, others{false, false, true, true, false, true},
      nearly{true, true, false, false, true, true}, none(6);
  CHECK(jaccard(some, some) == 1);
  CHECK(jaccard(some, others) == 0);
  CHECK(jaccard(some, nearly) == 0.75);
  CHECK(std::isnan(jaccard(none, none)));

  const std::vector<std::vector<bool>> stable{some, nearly, some}, unstable{some, others, some}, single{some},
      empty{none, none, none};
  CHECK(agreements(stable) == std::vector<double>{0.75, 1, 0.75});
  CHECK(mean_at_least(0.5, agreements(std::vector{some, some, some})).said == verdict::held);
  CHECK(mean_at_least(0.5, agreements(std::vector{some, others, std::vector<bool>(6, false)})).said ==
        verdict::not_held);
  CHECK(mean_at_least(0.5, agreements(unstable)).said == verdict::not_decided);
  CHECK(mean_at_least(0.5, agreements(empty)).said == verdict::not_decided);
  CHECK(agreements(single).empty());
}

}  // namespace trimtab::test::hypotheses_tests
