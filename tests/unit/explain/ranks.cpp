// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/exchanged.hpp"
#include "support/thread_ranks.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

namespace trimtab::test::ranks_tests {

namespace {

using maker = std::function<explain::place_map(std::span<const prompt_pair>, explain::options)>;

/// Equal with NaN in the same places.
bool same_numbers(const std::vector<double>& a, const std::vector<double>& b) {
  return std::ranges::equal(a, b, [](double x, double y) { return x == y or (std::isnan(x) and std::isnan(y)); });
}

bool same(const explain::place_map& a, const explain::place_map& b) {
  bool lens = a.lens.size() == b.lens.size();
  for (std::size_t k = 0; lens and k < a.lens.size(); ++k)
    lens = std::ranges::equal(a.lens[k], b.lens[k], [](const auto& x, const auto& y) {
      return x.logit_diff == y.logit_diff and x.probability_correct == y.probability_correct and
             x.rank_wrong == y.rank_wrong and x.top_id == y.top_id;
    });
  return lens and same_numbers(a.scores, b.scores) and a.counts == b.counts and
         std::ranges::equal(a.per_prompt, b.per_prompt, same_numbers) and a.addends == b.addends and
         same_numbers({a.clean, a.corrupt}, {b.clean, b.corrupt}) and a.warnings == b.warnings;
}

/// Every rank gets what one alone gets.
void check_ranks(const maker& make, const explain::options& chosen) {
  const auto prompts = corrupted_prompts(small_gpt2::config(), {4, 2, 3, 4, 5});
  const auto alone = make(prompts, chosen);
  for (const int count : {2, 3, 7}) {
    std::vector<char> is_same(static_cast<std::size_t>(count));
    thread_ranks::run(count, [&](const thread_ranks& own) {
      auto shared = chosen;
      shared.ranks = own;
      is_same[static_cast<std::size_t>(own.rank())] = same(make(prompts, shared), alone);
    });
    CAPTURE(count, alone.method);
    CHECK(is_same == std::vector<char>(is_same.size(), 1));
  }
}

const auto& model() {
  static const auto m = small_model<small_gpt2, double>();
  return m;
}

}  // namespace

TEST_CASE("ranks that share the prompts of a map get the bits of one") {
  const auto attribution = [](auto prompts, auto chosen) { return explain::attribution(model(), prompts, chosen); };
  for (const auto kind : {explain::attribution_kind::gradient, explain::attribution_kind::patching,
                          explain::attribution_kind::integrated})
    check_ranks(attribution, {.attribute = kind, .steps = 3});
  for (const auto direction : {explain::patch_direction::denoising, explain::patch_direction::noising})
    check_ranks([](auto prompts, auto chosen) { return explain::patching(model(), prompts, chosen); },
                {.direction = direction});
  for (const auto kind : {explain::ablation_kind::zero, explain::ablation_kind::mean, explain::ablation_kind::resample})
    check_ranks([](auto prompts, auto chosen) { return explain::ablation(model(), prompts, chosen); },
                {.ablate = kind});
  check_ranks([](auto prompts, auto chosen) { return explain::direct_logit(model(), prompts, chosen); },
              {.sites = {"attn_out", "mlp_out"}});
  check_ranks([](auto prompts, auto chosen) { return explain::logit_lens(model(), prompts, chosen); },
              {.sites = {"resid_post"}});
}

TEST_CASE("ranks that share the runs of a curve get the bits of one") {
  const auto prompts = corrupted_prompts(model().config(), {4, 2, 3, 4, 5});
  const explain::options chosen{.sites = {"attn_out", "mlp_out"}};
  const auto map = explain::attribution(model(), prompts, chosen);
  const auto alone = explain::faithfulness_of(model(), prompts, map, chosen, 4);
  for (const int count : {2, 3}) {
    std::vector<char> is_same(static_cast<std::size_t>(count));
    thread_ranks::run(count, [&](const thread_ranks& own) {
      auto shared = chosen;
      shared.ranks = own;
      const auto found = explain::faithfulness_of(model(), prompts, map, shared, 4);
      is_same[static_cast<std::size_t>(own.rank())] =
          found.runs.by_size == alone.runs.by_size and found.runs.by_score == alone.runs.by_score and
          found.random_mean == alone.random_mean and found.cpr.value == alone.cpr.value;
    });
    CHECK(is_same == std::vector<char>(is_same.size(), 1));
  }
}

}  // namespace trimtab::test::ranks_tests
