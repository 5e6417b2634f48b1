// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/exchanged.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::ranking_curve_tests {

namespace {

/// The difference after a prompt with all attn_out and mlp_out but the kept ones exchanged by the library's own
/// interventions.
template <typename Model>
double difference_of_kept(const Model& model, const prompt_pair& p, const explain::place_map& map,
                          const std::vector<bool>& kept) {
  using B = typename Model::backend_type;
  const auto source = activations(model, std::span(&p.corrupt_ids, 1), {"attn_out", "mlp_out"});
  prompt_pair by_token = p;
  by_token.roles.clear();
  for (int i = 0; i < static_cast<int>(p.ids.size()); ++i) by_token.roles[std::to_string(i)] = {i, i + 1};
  std::vector<any_intervention<B>> exchanged;
  std::vector<double> theta;
  for (const parameter_block& block : map.places.blocks)
    for (index_t l : block.layers)
      for (int i = 0; i < static_cast<int>(p.ids.size()); ++i) {
        if (kept[static_cast<std::size_t>(block.layer_offset(l) + i)]) continue;
        exchanged.push_back(
            {*site::find(block.site), explain::interchange{}, layers::list({l}), positions::role({std::to_string(i)})});
        const auto h = activations_of(source.at(block.site)[static_cast<std::size_t>(l)], i, 1);
        theta.insert(theta.end(), h.begin(), h.end());
      }
  if (exchanged.empty()) return plain_difference(model, p.ids, p);
  const auto composition = steer(model, std::move(exchanged));
  const std::vector<prompt_pair> one{by_token};
  const auto z = steered_logits(composition, {composition.layout(one), theta}, one, 1);
  return static_cast<double>(z(0, p.correct_id) - z(0, p.wrong_id));
}

}  // namespace

TEMPLATE_TEST_CASE("the curve is that of runs whose other places are exchanged", "", small_gpt2, small_neox_parallel) {
  const auto model = small_model<TestType, double>();
  const auto prompts = corrupted_prompts(model.config(), {4, 3, 4, 2});
  const explain::options chosen{.sites = {"attn_out", "mlp_out"}};
  const auto map = explain::patching(model, prompts, chosen);
  const auto found = explain::faithfulness_of(model, prompts, map, chosen, 0);
  const auto scores = explain::detail::ranked_scores(map, 2, chosen.direction);
  const auto expect = [&](const faithfulness_curve& curve, const std::vector<std::size_t>& order) {
    double clean = 0, corrupt = 0;
    for (std::size_t n = 2; n < 4; ++n) {
      clean += plain_difference(model, prompts[n].ids, prompts[n]);
      corrupt += plain_difference(model, prompts[n].corrupt_ids, prompts[n]);
    }
    REQUIRE(curve.faithfulness.size() == 10);
    for (std::size_t s = 0; s < 10; ++s) {
      std::vector<bool> kept(scores.size());
      const auto k = static_cast<std::size_t>(curve.kept[s] * static_cast<double>(scores.size()));
      for (std::size_t i = 0; i < k; ++i) kept[order[i]] = true;
      double sum = 0;
      for (std::size_t n = 2; n < 4; ++n) sum += difference_of_kept(model, prompts[n], map, kept);
      CHECK(std::abs(curve.faithfulness[s] - (sum - corrupt) / (clean - corrupt)) < 1e-12);
    }
    CHECK(curve.faithfulness.back() == 1);
    CHECK(curve.faithfulness[7] != curve.faithfulness[8]);
  };
  expect(found.by_size, order_by(sizes_of(scores)));
  expect(found.by_score, order_by(scores));
  CHECK(found.cpr.value == found.by_score.area());
  CHECK(found.cmd.value == found.by_size.area_to_one());
  // With two prompts measured, samples are the one, the other, and both.
  const auto of_one = [&](std::size_t n) {
    const std::vector<prompt_pair> ranked_as_before{prompts[0], prompts[1], prompts[n], prompts[n]};
    auto with = map;
    with.per_prompt[2] = with.per_prompt[3] = map.per_prompt[n];
    return explain::faithfulness_of(model, ranked_as_before, with, chosen, 0).cmd.value;
  };
  CHECK(std::abs(found.cmd.low - std::min({of_one(2), of_one(3), found.cmd.value})) < 1e-12);
  CHECK(std::abs(found.cmd.high - std::max({of_one(2), of_one(3), found.cmd.value})) < 1e-12);
}

TEST_CASE("without corrupt prompts the other places are ablated") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = random_prompts(model.config(), {4, 4, 4, 4});
  using enum explain::ablation_kind;
  std::vector<double> areas;
  for (const auto kind : {zero, mean, resample}) {
    const explain::options chosen{.sites = {"attn_z", "mlp_out"}, .per_head = true, .ablate = kind};
    const auto map = explain::ablation(model, prompts, chosen);
    const auto found = explain::faithfulness_of(model, prompts, map, chosen, 20);
    CHECK(found.by_size.faithfulness.front() == 0);  // 36 places: none are a thousandth of them
    CHECK(found.by_size.faithfulness.back() == 1);
    areas.push_back(found.cmd.value);
    CHECK(found.cpr.low <= found.cpr.high);
    REQUIRE(found.random_mean.size() == 10);
    for (std::size_t s = 0; s < 10; ++s) {
      CHECK(found.random_low[s] <= found.random_mean[s]);
      CHECK(found.random_mean[s] <= found.random_high[s]);
    }
    CHECK(found.random_low[8] < found.random_high[8]);
    auto tight = chosen;
    tight.memory = 100'000;
    CHECK(explain::faithfulness_of(model, prompts, map, tight, 0).by_size.faithfulness == found.by_size.faithfulness);
  }
  CHECK(areas[0] != areas[1]);
  CHECK(areas[1] != areas[2]);
}

TEST_CASE("noising takes away what a place supports, so its order is turned") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = corrupted_prompts(model.config(), {4, 4});
  const explain::options chosen{.sites = {"mlp_out"}, .direction = explain::patch_direction::noising};
  const auto map = explain::patching(model, prompts, chosen);
  const auto scores = explain::detail::ranked_scores(map, 1, chosen.direction);
  for (std::size_t i = 0; i < scores.size(); ++i) CHECK(scores[i] == -map.per_prompt[0][i]);
}

TEMPLATE_TEST_CASE("a curve on prompts held out is that of the second half, if places were ranked on the first", "",
                   small_gpt2, small_neox_parallel) {
  const auto model = small_model<TestType, double>();
  const auto prompts = corrupted_prompts(model.config(), {4, 3, 4, 2});
  const std::span<const prompt_pair> all = prompts;
  const explain::options chosen{.sites = {"attn_out", "mlp_out"}};
  const auto halves = explain::faithfulness_of(model, all, explain::patching(model, all, chosen), chosen, 5);
  const auto apart =
      explain::faithfulness_on(model, all.subspan(2), explain::patching(model, all.first(2), chosen), chosen, 5);
  CHECK(apart.by_size.faithfulness == halves.by_size.faithfulness);
  CHECK(apart.by_score.faithfulness == halves.by_score.faithfulness);
  CHECK((apart.cpr.value == halves.cpr.value and apart.cmd.low == halves.cmd.low));
  CHECK(apart.random_mean == halves.random_mean);
}

TEST_CASE("without corrupt prompts those held out say what replaces activations") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = random_prompts(model.config(), {4, 4, 4, 4});
  const std::span<const prompt_pair> all = prompts;
  const explain::options chosen{.sites = {"mlp_out"}, .ablate = explain::ablation_kind::mean};
  const auto map = explain::attribution(model, all.first(2),
                                        {.sites = {"mlp_out"}, .attribute = explain::attribution_kind::gradient});
  const auto found = explain::faithfulness_on(model, all.subspan(2), map, chosen, 0);
  CHECK(found.by_size.faithfulness.back() == 1);
  CHECK(found.by_size.faithfulness.front() == 0);
  const auto other = explain::faithfulness_on(model, all.subspan(1), map, chosen, 0);
  CHECK(other.runs.corrupt[1] != found.runs.corrupt[0]);  // the same prompt, among others
}

TEST_CASE("two rankings are compared on prompts drawn for both at once") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = corrupted_prompts(model.config(), {4, 3, 4, 2, 4, 4});
  const explain::options chosen{.sites = {"attn_out", "mlp_out"}};
  const auto exact = explain::faithfulness_of(model, prompts, explain::patching(model, prompts, chosen), chosen, 0);
  auto turned = explain::patching(model, prompts, chosen);
  for (auto& scores : turned.per_prompt)
    for (double& x : scores) x = -x;
  const auto other = explain::faithfulness_of(model, prompts, turned, chosen, 0);
  const auto difference = explain::difference_of(exact, other);
  CHECK(difference.cpr.value == exact.cpr.value - other.cpr.value);
  CHECK(difference.cpr.low < difference.cpr.high);
  CHECK((difference.cmd.low == 0 and difference.cmd.high == 0));  // by size nothing was turned
  const auto none = explain::difference_of(exact, exact);
  CHECK((none.cpr.low == 0 and none.cpr.high == 0));  // drawn apart, it would spread
}

TEST_CASE("curves of the stream, or of one prompt, are refused") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = corrupted_prompts(model.config(), {4, 4});
  const std::span<const prompt_pair> all = prompts;
  const auto stream = explain::attribution(model, all);
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { explain::faithfulness_of(model, all, stream); }),
             Catch::Matchers::ContainsSubstring("'resid_post' would override"));
  const auto one = explain::attribution(model, all.first(1), {.sites = {"mlp_out"}});
  CHECK_THAT(refusal(error_kind::bad_data, [&] { explain::faithfulness_of(model, all.first(1), one); }),
             Catch::Matchers::ContainsSubstring("at least two prompts"));
  const auto short_ones = explain::attribution(model, all, {.sites = {"mlp_out"}});
  const auto long_ones = corrupted_prompts(model.config(), {3, 5});
  CHECK_THAT(
      refusal(error_kind::bad_data,
              [&] { explain::faithfulness_on(model, std::span<const prompt_pair>(long_ones), short_ones); }),
      Catch::Matchers::ContainsSubstring("prompt pair 2 has 5 tokens, but places were ranked on prompts of at most 4"));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { explain::faithfulness_on(model, all, stream); }),
             Catch::Matchers::ContainsSubstring("'resid_post' would override"));
}

}  // namespace trimtab::test::ranking_curve_tests
