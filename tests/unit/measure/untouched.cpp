// SPDX-License-Identifier: Apache-2.0

#include <trimtab/measure/untouched.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <vector>

namespace trimtab::test::untouched_tests {

namespace {

/// Logit differences before and at both strengths; three of four prompts are right before anything is done.
metrics some_metrics() {
  metrics m{.prompts = 4, .strengths = {+1, -1}};
  const auto add = [&](double beta, std::vector<double> diffs) {
    m.logit_diffs[beta] = diffs;
    for (const double d : diffs)
      m.per_prompt[beta].push_back(
          {.logit_diff = d, .flip_rate = beta * d > 0 ? 1.0 : 0.0, .kl_masked = beta == 0 ? 0.0 : 0.3});
    for (const auto& one : m.per_prompt[beta]) m.at[beta].flip_rate += one.flip_rate / 4;
  };
  add(0, {1, 2, 3, -1});
  add(+1, {2, -1, 3, 1});
  add(-1, {-1, -1, 1, -2});
  return m;
}

}  // namespace

TEST_CASE("The untouched model already flips what it is right about, and changes nothing") {
  const auto bare = untouched_of(some_metrics());
  CHECK(bare.at.at(+1).flip_rate == 0.75);
  CHECK(bare.at.at(-1).flip_rate == 0.25);
  CHECK(bare.flip_rate_both == 0);
  CHECK(bare.at.at(-1).kl_masked == 0);
  CHECK(bare.top_other_same == 1);
  CHECK(bare.logit_diffs.at(+1) == some_metrics().logit_diffs.at(0));
  CHECK(bare.per_prompt.at(+1)[3].flip_rate == 0);
  CHECK(each_prompt(bare, &strength_metrics::kl_masked) == std::vector<double>(4, 0.0));
}

TEST_CASE("Newly flipped prompts are counted in pairs with the untouched model's") {
  const auto m = some_metrics();
  CHECK(newly_flipped(m, +1) == paired_rates{.gained = 1, .lost = 1, .prompts = 4});
  CHECK(newly_flipped(m, -1) == paired_rates{.gained = 2, .lost = 0, .prompts = 4});
  CHECK(newly_flipped(m, -1).difference() == 0.5);
}

TEST_CASE("The interval of paired rates is that of Bonett and Price") {
  // By hand: n = 100, 20 gained, 5 lost: p = 21/102 and 6/102, their difference 15/102.
  const auto found = paired_rates{.gained = 20, .lost = 5, .prompts = 100}.within();
  const double d = 15. / 102, half = 1.959963984540054 * std::sqrt((27. / 102 - d * d) / 102);
  CHECK(std::abs(found.low - (d - half)) < 1e-15);
  CHECK(std::abs(found.high - (d + half)) < 1e-15);
  // No pair differs: the interval is narrow and around 0, and not empty.
  const auto none = paired_rates{.prompts = 64}.within();
  CHECK(none.low == -none.high);
  CHECK(none.high > 0.01);
  CHECK(paired_rates{.gained = 1, .prompts = 1}.within().high <= 1);
}

}  // namespace trimtab::test::untouched_tests
