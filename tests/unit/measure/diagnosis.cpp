// SPDX-License-Identifier: Apache-2.0

#include <trimtab/measure/diagnosis.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace trimtab::test::diagnosis_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<loss_values> history_of(std::size_t steps, const std::function<double(double)>& loss) {
  std::vector<loss_values> history;
  for (std::size_t k = 0; k <= steps; ++k)
    history.push_back({{{"effectiveness", 1, loss(static_cast<double>(k)), {}}}});
  return history;
}

std::vector<std::string> failures(const std::vector<loss_values>& history, fit_outcome more = {}) {
  more.history = history;
  if (more.counts.parameters == 0) more.counts = {.parameters = 10, .nonzero_parameters = 3};
  return failures_of(more);
}

}  // namespace

TEST_CASE("Of a fit that came to rest nothing is said") {
  CHECK(failures(history_of(200, [](double k) { return 1 + 2 * std::exp(-k / 20); })).empty());
  // Adam's noise about a minimum is no oscillation.
  CHECK(
      failures(history_of(200, [](double k) { return 1 + 2 * std::exp(-k / 20) + 0.001 * std::cos(3 * k); })).empty());
}

TEST_CASE("Each failure of a fit has a sentence with what to try") {
  const auto one = [](const std::vector<std::string>& found) {
    REQUIRE(found.size() == 1);
    return found.front();
  };
  CHECK_THAT(one(failures(history_of(200, [](double k) { return 1 + k / 100; }))),
             ContainsSubstring("ended higher than it began, at 3 after 1; lower the learning rate"));
  CHECK_THAT(one(failures(history_of(200, [](double k) { return 1 + 2 * std::exp(-k / 20) + 0.1 * std::cos(3 * k); }))),
             ContainsSubstring("the loss oscillates: over the last 50 steps it rose by "));
  CHECK_THAT(one(failures(history_of(200, [](double k) { return 3 - k / 100; }))),
             ContainsSubstring("the last 20 of 200 steps account for 10 % of the fall of the loss; make more steps"));
  CHECK_THAT(one(failures(history_of(1, [](double k) { return 3 - k; }))), ContainsSubstring("not at rest"));
}

TEST_CASE("A fit that learned nothing is told the weight at which nothing can be learned") {
  const auto still = history_of(50, [](double) { return 1.0; });
  const auto zeros = [&](double lambda, std::optional<double> most) {
    const auto found =
        failures(still, {.counts = {.parameters = 162}, .train = {}, .lambda_m = lambda, .lambda_max = most});
    REQUIRE(found.size() == 1);
    return found.front();
  };
  CHECK(
      zeros(10, 4.25) ==
      "nothing was learned: all 162 parameters are exactly zero at the minimality weight 10, and from 4.25 on nothing "
      "can leave zero; take a weight below that, such as a hundredth of it");
  CHECK_THAT(zeros(1, 4.25), ContainsSubstring("; make more steps"));
  CHECK_THAT(zeros(1, {}), ContainsSubstring("; take a smaller one"));
  CHECK_THAT(zeros(0, 0), ContainsSubstring("the gradient of the other terms is zero at the start"));
}

TEST_CASE("A strength at which no prompt follows is named") {
  metrics train{.prompts = 64, .strengths = {+1, -1, 0}};
  train.at[+1].flip_rate = 1;
  train.at[-1].flip_rate = 0;
  const auto found = failures(history_of(200, [](double k) { return std::exp(-k); }), {.train = train});
  REQUIRE(found.size() == 1);
  CHECK_THAT(found.front(), ContainsSubstring("at strength -1 not one of the 64 train prompts gives the answer"));
}

TEST_CASE("Vectors by statistics are told what they can change") {
  const auto still = history_of(0, [](double) { return 1.0; });
  metrics flips_nothing{.prompts = 5, .strengths = {1}};
  flips_nothing.at[1.0] = {};
  const auto found = failures(still, {.counts = {.parameters = 16}, .train = flips_nothing, .by_statistics = true});
  REQUIRE(found.size() == 2);
  CHECK_THAT(found[0], ContainsSubstring("differ nowhere: all 16 parameters are exactly zero; give other prompts"));
  CHECK_THAT(found[1], ContainsSubstring("not one of the 5 train prompts") and ContainsSubstring("take other sites"));
}

}  // namespace trimtab::test::diagnosis_tests
