// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/exchanged.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::patching_tests {

namespace {

using enum explain::patch_direction;

/// Compares each place with a run of its own, bit for bit.
template <typename Kind, typename T>
void check_each_place(explain::patch_direction direction) {
  CAPTURE(sizeof(T), direction == noising);
  const auto model = small_model<Kind, T>();
  const auto prompts = corrupted_prompts(model.config(), {4, 1, 3});
  const auto map = explain::patching(model, prompts, {.sites = all_sites<Kind>(), .direction = direction});
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const prompt_pair& p = prompts[n];
    const auto& base = direction == denoising ? p.corrupt_ids : p.ids;
    const auto& other = direction == denoising ? p.ids : p.corrupt_ids;
    const double untouched = plain_difference(model, base, p);
    const auto source = activations(model, std::span(&other, 1), all_sites<Kind>());
    each_site<Kind>([&]<typename Site>(Site, const std::string& name, index_t heads) {
      CAPTURE(n, name);
      const parameter_block& block = map.block(name);
      for (index_t l = 0; l < 3; ++l)
        for (int i = 0; i < static_cast<int>(p.ids.size()); ++i) {
          const double patched =
              steered_difference<Site>(model, base, p, l, {i, i + 1}, explain::interchange{},
                                       activations_of(source.at(name)[static_cast<std::size_t>(l)], i, heads));
          CHECK(map.per_prompt[n][static_cast<std::size_t>(block.layer_offset(l) + i)] == patched - untouched);
        }
    });
  }
}

}  // namespace

TEMPLATE_TEST_CASE("patching a place is a run of its own with the other run's activations", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  check_each_place<TestType, double>(denoising);
  check_each_place<TestType, double>(noising);
  check_each_place<TestType, float>(denoising);
}

TEMPLATE_TEST_CASE("a head is patched alone, and all heads of a token together are attn_z", "", small_gpt2,
                   small_neox_parallel) {
  const auto model = small_model<TestType, double>();
  const auto prompts = corrupted_prompts(model.config(), {4});
  const prompt_pair& p = prompts.front();
  const index_t heads = model.config().heads;
  const auto map = explain::patching(model, prompts, {.sites = {"attn_z"}, .per_head = true});
  const auto own = activations(model, std::span(&p.corrupt_ids, 1), {"attn_z"});
  const auto other = activations(model, std::span(&p.ids, 1), {"attn_z"});
  for (index_t l = 0; l < 3; ++l)
    for (int i = 0; i < 4; ++i)
      for (index_t head = 0; head < heads; ++head) {
        const auto layer = static_cast<std::size_t>(l);
        auto mixed = activations_of(own.at("attn_z")[layer], i, heads);
        const auto from = activations_of(other.at("attn_z")[layer], i, heads);
        const auto width = static_cast<std::ptrdiff_t>(from.size()) / heads;
        std::copy_n(from.begin() + head * width, width, mixed.begin() + head * width);
        const double patched =
            steered_difference<site::attn_z>(model, p.corrupt_ids, p, l, {i, i + 1}, explain::interchange{}, mixed);
        CHECK(map.per_prompt[0][static_cast<std::size_t>(map.places.blocks[0].layer_offset(l) + i * heads + head)] ==
              patched - map.corrupt);
      }
}

TEMPLATE_TEST_CASE("what decides all restores the clean run exactly", "", small_gpt2, small_neox_parallel,
                   small_neox_sequential) {
  const auto check = [&]<typename T>(T) {
    const auto model = small_model<TestType, T>();
    for (const auto metric :
         {explain::metric_kind::logit_diff, explain::metric_kind::probability, explain::metric_kind::kl}) {
      // The stream that leaves the model at the scored token; the stream that enters it, at all tokens together.
      const auto all = corrupted_prompts(model.config(), {5, 3, 1});
      const auto last = explain::patching(model, all,
                                          {.sites = {"resid_post"},
                                           .layers = layers::list({2}),
                                           .positions = positions::from_end(1),
                                           .metric = metric});
      const auto first = explain::patching(
          model, all,
          {.sites = {"resid_pre"}, .layers = layers::list({0}), .positions = positions::shared(), .metric = metric});
      for (const auto& map : {last, first}) {
        CHECK(map.scores == std::vector<double>{1});
        for (std::size_t n = 0; n < all.size(); ++n) {
          const auto alone =
              explain::patching(model, std::span(all).subspan(n, 1), {.sites = {"resid_post"}, .metric = metric});
          CHECK(map.per_prompt[n].front() == alone.clean - alone.corrupt);
          CHECK(alone.clean != alone.corrupt);
        }
      }
    }
  };
  check(float{});
  check(double{});
}

TEMPLATE_TEST_CASE("places before the scored token have no influence in the last layer, but for resid_pre", "",
                   small_gpt2, small_neox_parallel) {
  const auto model = small_model<TestType, double>();
  const auto prompts = corrupted_prompts(model.config(), {4, 3});
  const auto map = explain::patching(model, prompts, {.sites = all_sites<TestType>()});
  for (const parameter_block& block : map.places.blocks)
    for (std::size_t n = 0; n < 2; ++n)
      for (index_t i = 0; i < std::ssize(prompts[n].ids); ++i) {
        const bool influences =
            block.site == "resid_pre" ? prompts[n].ids != prompts[n].corrupt_ids : i + 1 == std::ssize(prompts[n].ids);
        CAPTURE(block.site, n, i);
        CHECK((map.per_prompt[n][static_cast<std::size_t>(block.layer_offset(2) + i)] != 0) == influences);
      }
}

TEMPLATE_TEST_CASE("where the model is affine in a place, attribution is patching", "", small_gpt2,
                   small_neox_parallel) {
  using model_type = typename TestType::template model<eigen_backend<double>>;
  const model_type model(affine_norms(TestType::config(), 3), eigen_backend<double>(1));
  const auto prompts = corrupted_prompts(model.config(), {4, 1, 3});
  for (const auto direction : {denoising, noising}) {
    const explain::options chosen{.sites = {"mlp_out", "attn_out", "resid_post"}, .direction = direction};
    const auto exact = explain::patching(model, prompts, chosen),
               first_order = explain::attribution(model, prompts, chosen);
    const auto last = [&](const explain::place_map& map, std::size_t n) {
      return map.per_prompt[n][static_cast<std::size_t>(map.block("mlp_out").layer_offset(2) +
                                                        std::ssize(prompts[n].ids) - 1)];
    };
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      CHECK(std::abs(last(exact, n)) > 0.01);
      CHECK(std::abs(last(exact, n) - last(first_order, n)) <= 1e-13 * std::abs(last(exact, n)));
    }
    CHECK(score_difference(exact.per_prompt, first_order.per_prompt) > 0.01);  // elsewhere it is not affine
  }
}

TEMPLATE_TEST_CASE("patching depends neither on other places, other prompts, memory nor threads", "", small_gpt2,
                   small_neox_parallel) {
  const auto model = small_model<TestType, float>();
  const auto prompts = corrupted_prompts(model.config(), {5, 3, 1, 6});
  const explain::options chosen{.sites = all_sites<TestType>()};
  const auto whole = explain::patching(model, prompts, chosen);
  auto fewer = chosen;
  fewer.sites = {"mlp_out"}, fewer.layers = layers::list({1});
  const auto part = explain::patching(model, prompts, fewer);
  for (index_t i = 0; i < 6; ++i)
    CHECK(part.score(part.block("mlp_out"), 1, i) == whole.score(whole.block("mlp_out"), 1, i));
  auto tight = chosen;
  tight.memory = 60'000;
  CHECK(same_bits(explain::patching(model, prompts, tight).scores, whole.scores));
  CHECK(same_bits(explain::patching(small_model<TestType, float>(3), prompts, chosen).scores, whole.scores));
  tight.memory = 10'000;
  CHECK_THAT(refusal(error_kind::memory, [&] { explain::patching(model, prompts, tight); }),
             Catch::Matchers::ContainsSubstring("more than the 10.0 KB that are left for them"));
}

TEST_CASE("tokens that share a position are patched together") {
  const auto model = small_model<small_gpt2, double>();
  auto prompts = corrupted_prompts(model.config(), {5});
  prompt_pair& p = prompts.front();
  p.roles = {{"pair", {1, 3}}};
  const auto map = explain::patching(
      model, prompts, {.sites = {"resid_post"}, .layers = layers::list({0}), .positions = positions::role({"pair"})});
  // Both tokens are exchanged where the second run has the first one's stream too: patch the second alone there.
  const auto clean = activations(model, std::span(&p.ids, 1), {"resid_post"});
  const auto corrupt = activations(model, std::span(&p.corrupt_ids, 1), {"resid_post"});
  double best = 0;
  for (int i = 1; i < 3; ++i)
    best += steered_difference<site::resid_post>(model, p.corrupt_ids, p, 0, {i, i + 1}, explain::interchange{},
                                                 activations_of(clean.at("resid_post")[0], i, 1)) -
            map.corrupt;
  CHECK(map.scores.front() != 0);
  CHECK(map.per_prompt[0].front() != best);  // and not one after the other
  const auto all = explain::patching(
      model, prompts, {.sites = {"resid_post"}, .layers = layers::list({0}), .positions = positions::shared()});
  CHECK(all.scores == std::vector<double>{1});
}

TEST_CASE("without a gap between the runs there is no share, and a warning says so") {
  const auto model = small_model<small_gpt2, double>();
  auto prompts = corrupted_prompts(model.config(), {4});
  prompts.push_back(prompts.front());
  std::swap(prompts[1].ids, prompts[1].corrupt_ids);
  const auto map = explain::patching(model, prompts);
  CHECK(map.clean == map.corrupt);
  CHECK(std::ranges::all_of(map.scores, [](double x) { return std::isnan(x); }));
  REQUIRE(map.warnings.size() == 1);
  CHECK_THAT(map.warnings[0], Catch::Matchers::ContainsSubstring("36 of 36 places have no share"));
  CHECK(std::ranges::none_of(map.per_prompt[0], [](double x) { return std::isnan(x); }));
}

}  // namespace trimtab::test::patching_tests
