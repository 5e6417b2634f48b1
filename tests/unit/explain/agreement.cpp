// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/explained.hpp"

namespace trimtab::test::agreement_tests {

TEST_CASE("two methods are compared on the places that both score") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = corrupted_prompts(model.config(), {4, 3, 4});
  const auto map = [&](std::vector<std::string> sites, layer_set layers = layers::all()) {
    return explain::attribution(model, prompts, {.sites = std::move(sites), .layers = std::move(layers)});
  };
  const auto both = map({"attn_out", "mlp_out"}), one = map({"resid_post", "mlp_out"}, layers::list({1, 2}));
  const auto found = explain::agreement_of(both, one);
  REQUIRE(found);
  CHECK(found->places == 8);  // mlp_out of two layers, at four positions
  CHECK(found->rankings.k == 8);
  CHECK(found->rankings.spearman.value == 1);  // the same scores
  CHECK(found->rankings.spearman.low == 1);
  CHECK(explain::agreement_of(both, one, 3)->rankings.k == 3);
  CHECK_FALSE(explain::agreement_of(map({"attn_out"}), map({"mlp_out"})));
  auto heads = explain::options{.sites = {"attn_z"}, .per_head = true};
  CHECK_FALSE(explain::agreement_of(map({"attn_z"}), explain::attribution(model, prompts, heads)));
}

TEST_CASE("prompts are drawn for both rankings at once") {
  // Each prompt ranks alike in both, and the two prompts differ: drawn apart, the rankings would disagree at times.
  const std::vector<std::vector<double>> scores{{3, 2, 1}, {1, 5, 9}};
  const auto paired = compare_rankings(scores, scores, 1);
  CHECK((paired.spearman.low == 1 and paired.overlap.low == 1));
  const std::vector<double> fixed{4, 7, 10};
  const auto against_fixed = compare_rankings(scores, fixed, 1);
  CHECK(against_fixed.spearman.value == 1);
  CHECK(against_fixed.spearman.low == -1);
}

}  // namespace trimtab::test::agreement_tests
