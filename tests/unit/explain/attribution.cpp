// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>
#include <trimtab/explain/attribution.hpp>

#include "support/explained.hpp"
#include "support/refusal.hpp"

#include <tuple>

namespace trimtab::test::attribution_tests {

namespace {

/// The trainer's gradient of ActivScalar's parameters at the identity, for D at β = +1.
template <typename Kind, typename Model>
std::vector<double> trainers_gradient(const Model& model, std::span<const prompt_pair> prompts,
                                      const position_key& key) {
  const auto all_at = [&]<typename... Sites>(std::tuple<Sites...>) {
    return steer(model, at(Sites{}, policy::activ_scalar{}, layers::all(), key)...);
  };
  const auto composition = all_at(sites_of<Kind>{});
  const auto layout = composition.layout(prompts);
  const parameters identity{layout, std::vector<double>(static_cast<std::size_t>(layout.size()))};
  const std::vector<double> strengths{1};
  const auto objective = 1.0 * objective::effectiveness{.margin = 0, .shape = objective::psi::identity};
  return objective_and_gradient(composition, objective, identity, prompts, strengths).gradient;
}

template <typename Kind, typename T>
void check_gradient_is_trainers(const position_key& key) {
  CAPTURE(key.text(), sizeof(T));
  const auto model = small_model<Kind, T>();
  const explain::options chosen{
      .sites = all_sites<Kind>(), .positions = key, .per_head = true, .attribute = explain::attribution_kind::gradient};
  const auto prompts = random_prompts(model.config(), {6, 6, 6});
  const auto of_all = explain::attribution(model, prompts, chosen);
  const auto expected = trainers_gradient<Kind>(model, prompts, key);
  REQUIRE(of_all.scores.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(std::abs(of_all.scores[i] + expected[i]) <= (sizeof(T) == 4 ? 1e-5 : 1e-14) * largest(expected));
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const std::vector<prompt_pair> one{prompts[n]};
    auto alone = trainers_gradient<Kind>(model, one, key);
    for (double& g : alone) g = 0 - g;  // and not -0
    CHECK(largest(alone) > 0.01);
    CHECK(same_bits(explain::attribution(model, one, chosen).scores, alone));
    CHECK(same_bits(of_all.per_prompt[n], alone));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("the gradient of a place is the trainer's, bit for bit", "", small_gpt2, small_neox_parallel,
                   small_neox_sequential) {
  for (const auto& key :
       {positions::absolute(), positions::from_end(3), positions::shared(), positions::role({"subject", "end"})}) {
    check_gradient_is_trainers<TestType, double>(key);
    check_gradient_is_trainers<TestType, float>(key);
  }
}

TEMPLATE_TEST_CASE("integrated gradients add up to the gap, the midpoint's error falling fastest", "", small_gpt2,
                   small_neox_parallel) {
  const auto model = small_model<TestType, double>();
  const auto prompts = corrupted_prompts(model.config(), {5, 3, 1});
  const auto error = [&](explain::path_rule rule, index_t steps) {
    const auto map = explain::attribution(model, prompts,
                                          {.sites = {"resid_pre"},
                                           .layers = layers::list({0}),
                                           .positions = positions::shared(),
                                           .attribute = explain::attribution_kind::integrated,
                                           .steps = steps,
                                           .rule = rule});
    return map.scores.front() - (map.clean - map.corrupt);
  };
  using enum explain::path_rule;
  CHECK(std::abs(error(midpoint, 1024)) < 1e-5);
  CHECK(std::abs(error(midpoint, 128) / error(midpoint, 512) - 16) < 0.8);
  CHECK(std::abs(error(left, 512) / error(left, 2048) - 4) < 0.2);
  CHECK(std::abs(error(right, 512) / error(right, 2048) - 4) < 0.2);
  CHECK(error(left, 128) * error(right, 128) < 0);
}

TEMPLATE_TEST_CASE("one step of integrated gradients from the left is attribution patching", "", small_gpt2,
                   small_neox_parallel) {
  const auto model = small_model<TestType, double>();
  const auto prompts = corrupted_prompts(model.config(), {5, 3, 1});
  explain::options chosen{
      .sites = all_sites<TestType>(), .per_head = true, .steps = 1, .rule = explain::path_rule::left};
  const auto patched = explain::attribution(model, prompts, chosen);
  chosen.attribute = explain::attribution_kind::integrated;
  const auto integrated = explain::attribution(model, prompts, chosen);
  CHECK(score_difference(integrated.per_prompt, patched.per_prompt) <= 1e-13 * largest(patched.scores));
  CHECK(integrated.clean == patched.clean);
  CHECK(integrated.corrupt == patched.corrupt);
}

TEMPLATE_TEST_CASE("a score depends neither on other places, other prompts, memory nor threads", "", small_gpt2,
                   small_neox_parallel) {
  const auto model = small_model<TestType, float>();
  const auto prompts = corrupted_prompts(model.config(), {5, 3, 1, 6});
  const std::span<const prompt_pair> all = prompts;
  using enum explain::attribution_kind;
  for (const auto kind : {gradient, patching, integrated}) {
    const explain::options chosen{.sites = all_sites<TestType>(), .attribute = kind, .steps = 3};
    const auto whole = explain::attribution(model, all, chosen);
    auto fewer = chosen;
    fewer.sites = {"mlp_out"}, fewer.layers = layers::list({1});
    const auto part = explain::attribution(model, all, fewer);
    for (index_t i = 0; i < 6; ++i) {
      const double a = part.score(part.block("mlp_out"), 1, i), b = whole.score(whole.block("mlp_out"), 1, i);
      CHECK(a == b);
    }
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      auto alone = explain::attribution(model, all.subspan(n, 1), chosen);
      auto with_others = whole.per_prompt[n];
      std::erase_if(with_others, [](double x) { return std::isnan(x); });
      CHECK(same_bits(alone.scores, with_others));
    }
    auto tight = chosen;
    tight.memory = 250'000;
    CHECK(same_bits(explain::attribution(model, all, tight).scores, whole.scores));
    CHECK(same_bits(explain::attribution(small_model<TestType, float>(3), all, chosen).scores, whole.scores));
  }
}

TEST_CASE("tokens that share a position add up, and tokens without one have none") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = corrupted_prompts(model.config(), {5, 3});
  const std::span<const prompt_pair> all = prompts;
  const auto by = [&](const position_key& key) {
    return explain::attribution(model, all, {.sites = {"resid_post"}, .positions = key});
  };
  const auto each = by(positions::absolute()), shared = by(positions::shared()), last = by(positions::from_end(1)),
             roles = by(positions::role({"subject"}));
  REQUIRE(each.places.blocks.front().positions.count() == 5);
  for (index_t l = 0; l < 3; ++l)
    for (std::size_t n = 0; n < 2; ++n) {
      const auto at = [&](const explain::place_map& map, index_t position) {
        return map.per_prompt[n][static_cast<std::size_t>(map.places.blocks.front().layer_offset(l) + position)];
      };
      double sum = 0;
      for (index_t i = 0; i < std::ssize(prompts[n].ids); ++i) sum += at(each, i);
      CHECK(std::abs(at(shared, 0) - sum) < 1e-14);
      CHECK(at(last, 0) == at(each, std::ssize(prompts[n].ids) - 1));
      CHECK(at(roles, 0) == at(each, 1));
      CHECK(std::isnan(at(each, 4)) == (n == 1));
    }
  CHECK(each.counts == std::vector<index_t>{2, 2, 2, 1, 1, 2, 2, 2, 1, 1, 2, 2, 2, 1, 1});
}

TEST_CASE("attribution refuses what it cannot do") {
  const auto model = small_model<small_neox_parallel, double>();
  auto prompts = corrupted_prompts(model.config(), {5, 3});
  const auto refuses = [&](error_kind kind, const explain::options& chosen, const std::string& part) {
    CHECK_THAT(refusal(kind, [&] { explain::attribution(model, prompts, chosen); }),
               Catch::Matchers::ContainsSubstring(part));
  };
  using enum error_kind;
  using enum explain::attribution_kind;
  using enum explain::metric_kind;
  refuses(bad_argument, {.sites = {"resid_mid"}}, "no site 'resid_mid'");
  refuses(bad_argument, {.sites = {"mlp_out", "mlp_out"}}, "named twice");
  refuses(bad_argument, {.sites = {}}, "at least one site");
  refuses(bad_argument, {.layers = layers::list({3})}, "no layer 3");
  refuses(bad_argument, {.per_head = true}, "only attn_z has heads");
  refuses(bad_argument, {.metric = kl, .attribute = gradient}, "KL divergence is 0");
  refuses(bad_argument, {.metric = kl, .direction = explain::patch_direction::noising}, "KL divergence is 0");
  refuses(bad_argument, {.attribute = integrated, .steps = 0}, "at least one step");
  refuses(bad_data, {.positions = positions::role({"object"})}, "object");
  refuses(memory, {.memory = 1000}, "more than the 1.0 KB that are left for them");
  prompts[1].corrupt_ids.clear();
  refuses(bad_data, {}, "prompt pair 2 has no corrupt prompt");
  prompts[1].corrupt_ids = prompts[1].ids;
  refuses(bad_data, {}, "equal to its prompt");
  prompts[1].corrupt_ids.pop_back();
  refuses(bad_data, {}, "2 tokens, but its prompt has 3");
}

}  // namespace trimtab::test::attribution_tests
