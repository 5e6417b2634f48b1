// SPDX-License-Identifier: Apache-2.0
#include "parity/cuda/compare.hpp"
#include "support/explained.hpp"

#include <trimtab/explain/ablation.hpp>
#include <trimtab/explain/attribution.hpp>
#include <trimtab/explain/direct_logit.hpp>
#include <trimtab/explain/logit_lens.hpp>
#include <trimtab/explain/patching.hpp>
#include <trimtab/explain/ranking_curve.hpp>

namespace trimtab::test::explain_tests {

namespace {

template <typename Kind, typename B>
auto model_on(const B& backend) {
  return typename Kind::template model<B>(random_weights(Kind::config(), 3), backend);
}

/// The scores of all methods, without places that no prompt has.
template <typename Kind, typename Model>
std::vector<double> scores(const Model& model, std::span<const prompt_pair> prompts) {
  std::vector<double> all;
  const auto keep = [&](const explain::place_map& map) {
    for (double x : map.scores)
      if (not std::isnan(x)) all.push_back(x);
  };
  explain::options chosen{.sites = {"attn_z", "mlp_out"}, .per_head = true, .steps = 2};
  using enum explain::attribution_kind;
  for (const auto kind : {gradient, patching, integrated}) {
    chosen.attribute = kind;
    keep(explain::attribution(model, prompts, chosen));
  }
  using enum explain::metric_kind;
  for (const auto metric : {logit_diff, kl}) {
    chosen.metric = metric;
    keep(explain::patching(model, prompts, chosen));
  }
  chosen.metric = probability;
  chosen.ablate = explain::ablation_kind::mean;
  keep(explain::ablation(model, prompts, chosen));
  keep(explain::direct_logit(model, prompts, {.sites = {"attn_z", "attn_out", "mlp_out"}, .per_head = true}));
  keep(explain::logit_lens(model, prompts));
  const explain::options added{.sites = {"attn_out", "mlp_out"}};
  const auto curve = explain::faithfulness_of(model, prompts, explain::attribution(model, prompts, added), added, 0);
  all.insert(all.end(), curve.by_size.faithfulness.begin(), curve.by_size.faithfulness.end());
  return all;
}

template <typename Kind>
void check_scores() {
  if (lacks_device()) return;
  const auto prompts = corrupted_prompts(Kind::config(), {3, 2});
  const auto right = scores<Kind>(model_on<Kind>(eigen_backend<double>(1)), prompts);
  CHECK(relative_difference(scores<Kind>(model_on<Kind>(watched_backend()), prompts), right) < 1e-4);
}

}  // namespace

TEST_CASE("places have the CPU's scores: gpt2") { check_scores<small_gpt2>(); }
TEST_CASE("places have the CPU's scores: parallel neox") { check_scores<small_neox_parallel>(); }

}  // namespace trimtab::test::explain_tests
