// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/exchanged.hpp"
#include "support/refusal.hpp"

#include <numeric>

namespace trimtab::test::direct_logit_tests {

namespace {

double total(const explain::place_map& map, std::string_view site, std::size_t prompt) {
  const parameter_block& block = map.block(site);
  const auto first = map.per_prompt[prompt].begin() + block.offset;
  return std::accumulate(first, first + block.size(), 0.0,
                         [](double sum, double x) { return std::isnan(x) ? sum : sum + x; });
}

double total(const explain::place_map& map) {
  return std::accumulate(map.addends.begin(), map.addends.end(), 0.0,
                         [](double sum, const auto& addend) { return sum + addend.second; });
}

}  // namespace

TEMPLATE_TEST_CASE("shares of the stream's addends sum to the logit difference", "", small_gpt2, small_neox_parallel,
                   small_neox_sequential) {
  const auto model = small_model<TestType, double>();
  const auto prompts = random_prompts(model.config(), {5, 1, 3});
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const auto map = explain::direct_logit(model, std::span(prompts).subspan(n, 1));
    const double sum = total(map) + total(map, "attn_out", 0) + total(map, "mlp_out", 0);
    CHECK(std::abs(map.clean) > 0.1);
    CHECK(std::abs(sum - map.clean) <= 1e-13);
    CHECK(map.clean == plain_difference(model, prompts[n].ids, prompts[n]));
    CHECK(map.addends.size() == 3);
    CHECK((map.addends.at("position_embedding") == 0) == (model.config().rotary_channels > 0));
    for (const auto& block : map.places.blocks)
      for (index_t l = 0; l < 3; ++l)
        for (index_t i = 0; i < block.positions.count(); ++i)
          CHECK((map.score(block, l, i) != 0) == (i + 1 == block.positions.count()));
  }
}

TEMPLATE_TEST_CASE("a share is what the addend changes if the final norm's deviation stays", "", small_gpt2,
                   small_neox_parallel) {
  // Where the deviation cannot change, it is what zero ablation of the last MLP takes away.
  using model_type = typename TestType::template model<eigen_backend<double>>;
  const model_type model(affine_norms(TestType::config(), 3), eigen_backend<double>(1));
  const auto prompts = random_prompts(model.config(), {5, 1, 3});
  const auto shares = explain::direct_logit(model, prompts);
  const auto ablated = explain::ablation(model, prompts);
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const auto last = static_cast<std::size_t>(std::ssize(prompts[n].ids) - 1);
    const auto at = [&](const explain::place_map& map) {
      return map.per_prompt[n][static_cast<std::size_t>(map.block("mlp_out").layer_offset(2)) + last];
    };
    CHECK(std::abs(at(shares)) > 0.01);
    CHECK(std::abs(at(shares) - at(ablated)) <= 1e-13);
  }
}

TEMPLATE_TEST_CASE("the shares of heads and of the projection's bias sum to that of attn_out", "", small_gpt2,
                   small_neox_parallel) {
  const auto build = [](bool with_bias) {
    using model_type = typename TestType::template model<eigen_backend<double>>;
    return model_type(edited_weights(random_weights(TestType::config(), 3),
                                     [=](index_t, auto& w) {
                                       if (not with_bias) std::ranges::fill(w.attn_out.bias.values, 0);
                                     }),
                      eigen_backend<double>(1));
  };
  for (const bool with_bias : {false, true}) {
    const auto model = build(with_bias);
    const auto prompts = random_prompts(model.config(), {5, 3});
    const auto map = explain::direct_logit(model, prompts, {.sites = {"attn_z", "attn_out"}, .per_head = true});
    const auto together = explain::direct_logit(model, prompts, {.sites = {"attn_z"}});
    for (std::size_t n = 0; n < 2; ++n)
      for (index_t l = 0; l < 3; ++l) {
        const index_t last = std::ssize(prompts[n].ids) - 1;
        const auto at = [&](const explain::place_map& of, const char* site, index_t part) {
          const parameter_block& block = of.block(site);
          return of.per_prompt[n][static_cast<std::size_t>(block.layer_offset(l) + last * block.parts + part)];
        };
        double heads = 0;
        for (index_t head = 0; head < model.config().heads; ++head) heads += at(map, "attn_z", head);
        CHECK(std::abs(heads - at(together, "attn_z", 0)) <= 1e-14);
        CHECK((std::abs(heads - at(map, "attn_out", 0)) <= 1e-14) == not with_bias);
      }
  }
}

TEST_CASE("direct attribution refuses other sites and metrics") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = random_prompts(model.config(), {5});
  const auto refuses = [&](const explain::options& chosen, const std::string& part) {
    CHECK_THAT(refusal(error_kind::bad_argument, [&] { explain::direct_logit(model, prompts, chosen); }),
               Catch::Matchers::ContainsSubstring(part));
  };
  refuses({}, "'resid_post' is not");
  refuses({.sites = {"attn_out"}, .metric = explain::metric_kind::probability}, "to no other metric");
  refuses({.sites = {"mlp"}}, "no site 'mlp'");
}

}  // namespace trimtab::test::direct_logit_tests
