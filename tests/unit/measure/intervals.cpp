// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>
#include <trimtab/measure/intervals.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <cmath>

namespace trimtab::test::intervals_tests {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("Wilson's interval has the values that Newcombe (1998) tabulates, method 3") {
  struct {
    index_t count, n;
    interval expected;
  } const known[] = {
      {81, 263, {0.2553, 0.3662}}, {15, 148, {0.0624, 0.1605}}, {0, 20, {0, 0.1611}}, {1, 29, {0.0061, 0.1718}}};
  for (const auto& [count, n, expected] : known) {
    CAPTURE(count, n);
    const double rate = static_cast<double>(count) / static_cast<double>(n);
    const interval found = wilson(rate, n), mirrored = wilson(1 - rate, n);
    CHECK(std::abs(found.low - expected.low) < 5e-5);
    CHECK(std::abs(found.high - expected.high) < 5e-5);
    CHECK(std::abs(mirrored.low - (1 - found.high)) < 1e-15);
    CHECK(std::abs(mirrored.high - (1 - found.low)) < 1e-15);
  }
  CHECK(wilson(0, 5).low == 0);
  CHECK(wilson(1, 7).high == 1);
}

TEST_CASE("Averaged over the true rate, Wilson's interval covers it 95 times in 100") {
  for (index_t n : {8, 64, 200}) {
    CAPTURE(n);
    constexpr int rates = 400;
    double coverage = 0;
    for (int i = 0; i < rates; ++i) {
      const double p = (i + 0.5) / rates, trials = static_cast<double>(n);
      for (index_t k = 0; k <= n; ++k) {
        const auto hits = static_cast<double>(k);
        const interval found = wilson(hits / trials, n);
        if (found.low <= p and p <= found.high)
          coverage += std::exp(std::lgamma(trials + 1) - std::lgamma(hits + 1) - std::lgamma(trials - hits + 1) +
                               hits * std::log(p) + (trials - hits) * std::log(1 - p)) /
                      rates;
      }
    }
    CHECK(std::abs(coverage - 0.95) < 0.01);
  }
}

TEST_CASE("Means have standard errors, and differences are taken pair by pair") {
  const std::vector<double> a{1, 2, 6}, b{0, 3, 3};
  CHECK(mean_of(a).mean == 3);
  CHECK(std::abs(mean_of(a).standard_error - std::sqrt((4 + 1 + 9) / 2.0 / 3)) < 1e-15);
  const estimate difference = paired_difference(a, b);  // 1, -1, 3
  CHECK(std::abs(difference.mean - 1) < 1e-15);
  CHECK(std::abs(difference.standard_error - std::sqrt((0 + 4 + 4) / 2.0 / 3)) < 1e-15);
  CHECK(std::abs(around(difference).high - around(difference).low - 2 * 1.959963984540054 * difference.standard_error) <
        1e-15);
  CHECK(mean_of(std::vector{7.0}).mean == 7);
  CHECK(std::isnan(mean_of(std::vector{7.0}).standard_error));
}

TEST_CASE("An evaluation keeps the figures of each prompt, and its rates are counts divided once") {
  const auto model = small_model<small_gpt2, double>();
  const auto steering = steer(model, at(site::attn_out{}, policy::affine{}, layers::all(), positions::from_end(2)));
  const auto prompts = random_prompts(model.config(), {4, 2, 7, 5, 3, 6, 1});
  const auto values = random_parameters(steering.layout(prompts), 5, 0.5);
  const metrics m = evaluate(steering, values, prompts, {.strengths = {1, -1, 0.5}, .prompts_at_once = 3});
  CHECK(m.strengths == std::vector<double>{1, -1, 0.5});
  const auto mean_at = [&](double beta, double strength_metrics::*figure) {
    return mean_of(each_prompt(m, beta, figure)).mean;
  };
  for (double beta : {0.0, 1.0, -1.0, 0.5}) {
    CAPTURE(beta);
    CHECK(each_prompt(m, beta, &strength_metrics::logit_diff) == m.logit_diffs.at(beta));
    for (const auto figure :
         {&strength_metrics::logit_diff, &strength_metrics::probability_correct, &strength_metrics::probability_wrong,
          &strength_metrics::kl_masked, &strength_metrics::kl_full, &strength_metrics::top_other_same})
      CHECK(std::abs(mean_at(beta, figure) - m.at.at(beta).*figure) < 1e-15);
    const auto flips = std::ranges::count_if(m.logit_diffs.at(beta), [&](double d) { return beta * d > 0; });
    CHECK(m.at.at(beta).flip_rate == static_cast<double>(flips) / 7);
  }
  CHECK(std::abs(mean_of(each_prompt(m, &strength_metrics::kl_masked)).mean - m.kl_masked) < 1e-15);
  CHECK(std::abs(mean_of(each_prompt(m, &strength_metrics::top_other_same)).mean - m.top_other_same) < 1e-15);
  CHECK(mean_of(follows_every_strength(m)).mean == m.flip_rate_both);
  CHECK((m.at.at(1).flip_rate > 0 and m.at.at(1).flip_rate < 1));  // the test is not trivial

  const metrics same = evaluate(steering, values, prompts, {.strengths = {1, -1, 0.5}});
  CHECK_NOTHROW(require_same_prompts(m, same));
  const metrics fewer = evaluate(steering, values, std::span(prompts).first(6), {.strengths = {1, -1, 0.5}});
  CHECK_THAT(refusal(error_kind::mismatch, [&] { require_same_prompts(m, fewer); }),
             ContainsSubstring("different prompts or strengths"));
}

}  // namespace trimtab::test::intervals_tests
