// SPDX-License-Identifier: Apache-2.0
#include <trimtab/generate/generate.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <algorithm>

namespace trimtab::test::generate_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// A kind with room for texts that grow.
template <typename Kind>
model_config roomy() {
  auto config = Kind::config();
  config.context = 40;
  return config;
}
template <typename Kind, typename T>
auto roomy_model(int threads = 1) {
  return typename Kind::template model<eigen_backend<T>>(random_weights(roomy<Kind>(), 3), eigen_backend<T>(threads));
}

/// Generates without a cache: the whole text runs again for each token.
template <typename Composition>
generated_text plainly(const Composition& composition, const parameters& values, const prompt_pair& prompt,
                       double strength, index_t new_tokens, const growth& how) {
  using model_type = typename Composition::model_type;
  using B = typename model_type::backend_type;
  const model_type& model = composition.model();
  generated_text text{.strength = strength};
  std::vector<int> ids = prompt.ids;
  const auto shared = std::make_shared<replica_parameters<B>>(model.backend(), std::vector{values.layout});
  shared->storage.upload([&](index_t) { return std::span(values.theta); }, shared->theta);
  for (index_t n = 0; n < new_tokens; ++n) {
    token_records records(1);
    for (const parameter_block& block : values.layout.blocks)
      records[0].push_back(records_while_growing(block.positions, prompt, ids, how));
    const std::vector<sequence> one{{.beta = strength}};
    const binding<B> bound(model.backend(), model.config(), shared, one, records, scored::last);
    const batch<B> rows(model.backend(), model.config(), std::span(&ids, 1));
    workspace<B> memory(model.backend());
    const auto stream = memory.take(rows.rows(), model.config().width);
    const auto logits = memory.take(1, model.config().vocabulary);
    model.embed(rows, stream);
    pass<model_type, typename Composition::hooks_type> run(model, rows, {0, model.config().layers},
                                                           composition.hooks(bound));
    run.unembed(run.forward(stream), logits);
    const std::vector<double> z(logits.data, logits.data + logits.size());
    ids.push_back(most_probable(z));
    text.ids.push_back(ids.back());
    text.log_probabilities.push_back(log_probability(z, ids.back()));
  }
  return text;
}

void check_same_text(const generated_text& found, const generated_text& expected) {
  CHECK(found.ids == expected.ids);
  CHECK(found.log_probabilities == expected.log_probabilities);
}

/// Random parameters of which two in three records are zeros.
parameters sparse_parameters(const parameter_layout& layout) {
  auto values = random_parameters(layout, 1, 0.4);
  for (const parameter_block& block : layout.blocks)
    for (index_t r = 0; r < block.records(); ++r)
      if (r % 3 != 0) std::fill_n(values.theta.begin() + block.offset + r * block.record_size, block.record_size, 0.0);
  return values;
}

/// All policies and sites, under each key and phase: the same bits with the cache, alone or not.
template <typename Kind, int Shift>
void check_cache() {
  const auto model = roomy_model<Kind, float>(), two_threads = roomy_model<Kind, float>(2);
  const auto prompts = random_prompts(model.config(), {6, 3, 9});
  for (const position_key& key : {positions::shared(), positions::from_end(4), positions::role({"subject", "end"})})
    for (const growth& how : {growth{}, {steered_phase::prompt}, {steered_phase::generated}, {.as_processed = true}}) {
      if (key.by() == position_key::kind::role and how.phase == steered_phase::generated) continue;
      CAPTURE(Shift, key.text(), static_cast<int>(how.phase), how.as_processed);
      const auto places = hooked_places::everywhere<Kind>({key});
      const auto composition = hook_all_sites<Kind, Shift>(model, places);
      const auto threaded = hook_all_sites<Kind, Shift>(two_threads, places);
      const auto values = sparse_parameters(composition.layout(prompts));
      const generation_options options{
          .strengths = {1, 0, -0.8}, .new_tokens = 7, .positions = how, .log_probabilities = true, .texts_at_once = 4};
      const auto found = generate(composition, values, prompts, options);
      REQUIRE(found.size() == 9);
      for (const generated_text& text : found) {
        CAPTURE(text.prompt, text.strength);
        check_same_text(
            text, plainly(composition, values, prompts[static_cast<std::size_t>(text.prompt)], text.strength, 7, how));
        CHECK(text.stopped == stop_reason::length);
      }
      CHECK(generate(threaded, values, prompts, options) == found);
    }
}

}  // namespace

TEMPLATE_TEST_CASE("With a cache or without, alone or in a batch, on any threads: the same bits", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  check_cache<TestType, 0>();
  check_cache<TestType, 2>();
}

TEST_CASE("By default each next token is what a fit would score for the text so far") {
  const auto model = roomy_model<small_gpt2, double>();
  const auto prompts = random_prompts(model.config(), {5});
  const auto composition =
      hook_all_sites<small_gpt2, 1>(model, hooked_places::everywhere<small_gpt2>({positions::from_end(3)}));
  const auto values = random_parameters(composition.layout(prompts));
  const auto text = generate(composition, values, prompts, {.strengths = {-1}, .new_tokens = 6}).front();
  auto so_far = prompts.front();
  for (int id : text.ids) {
    const auto z = steered_logits(composition, values, std::span(&so_far, 1), -1);
    CHECK(most_probable(z.values) == id);
    so_far.ids.push_back(id);
  }
}

TEST_CASE("The untouched model continues prompts as strength 0 does") {
  const auto model = roomy_model<small_neox_parallel, float>();
  const auto prompts = random_prompts(model.config(), {4, 7});
  const auto untouched = generate(model, prompts, {.new_tokens = 5, .log_probabilities = true});
  REQUIRE(untouched.size() == 2);
  CHECK(untouched.front().touched.empty());
  const auto composition = hook_all_sites<small_neox_parallel, 1>(
      model, hooked_places::everywhere<small_neox_parallel>({positions::shared()}));
  const auto values = random_parameters(composition.layout(prompts));
  const auto at_zero =
      generate(composition, values, prompts, {.strengths = {0}, .new_tokens = 5, .log_probabilities = true});
  for (std::size_t n = 0; n < 2; ++n) {
    check_same_text(at_zero[n], untouched[n]);
    for (const auto& [site, layers] : at_zero[n].touched)
      for (const touched_tokens& count : layers) CHECK(count == touched_tokens{});
  }
}

TEST_CASE("A text ends at an end token, at the caller's word, at its length, and where the context ends") {
  const auto model = roomy_model<small_gpt2, float>();
  const auto prompts = random_prompts(model.config(), {5, 38});
  const auto whole = generate(model, prompts, {.new_tokens = 6});
  CHECK(whole[0].stopped == stop_reason::length);
  CHECK(whole[0].ids.size() == 6);
  CHECK(whole[1].stopped == stop_reason::context);
  CHECK(whole[1].ids.size() == 2);

  const auto& ids = whole[0].ids;
  const auto first = std::ranges::find(ids, ids[3]) - ids.begin();
  const auto ended = generate(model, std::span(prompts).first(1), {.new_tokens = 6, .end = {ids[3], 1}}).front();
  CHECK(ended.stopped == stop_reason::end);
  CHECK(ended.ids == std::vector<int>(ids.begin(), ids.begin() + first));

  std::vector<std::pair<index_t, std::size_t>> calls;
  const auto said = generate(model, prompts, {.new_tokens = 6, .after_token = [&](const generated_text& t, index_t n) {
                                                calls.emplace_back(n, t.ids.size());
                                                return n == 0 and t.ids.size() == 3 ? after::end_text : after::go_on;
                                              }});
  CHECK(said[0].stopped == stop_reason::stop_text);
  CHECK(said[0].ids == std::vector<int>(ids.begin(), ids.begin() + 3));
  CHECK(said[1] == whole[1]);
  CHECK(calls == std::vector<std::pair<index_t, std::size_t>>{{0, 1}, {1, 1}, {0, 2}, {1, 2}, {0, 3}});

  const auto broken = generate(
      model, prompts, {.new_tokens = 6, .texts_at_once = 1, .after_token = [](auto&, auto) { return after::end_all; }});
  CHECK(broken[0].stopped == stop_reason::interrupted);
  CHECK(broken[0].ids == std::vector<int>{ids.front()});
  CHECK(broken[1].stopped == stop_reason::interrupted);
  CHECK(broken[1].ids.empty());

  const auto none = generate(model, prompts, {.new_tokens = 0});
  CHECK(none[0].stopped == stop_reason::length);
  CHECK(none[0].ids.empty());
}

TEST_CASE("A sample has its own random numbers, whatever else is generated") {
  const auto model = roomy_model<small_gpt2, float>();
  const auto prompts = random_prompts(model.config(), {5, 4, 6});
  const generation_options options{
      .new_tokens = 12, .samples = 3, .how = {.temperature = 1.5}, .seed = 5, .texts_at_once = 2};
  const auto all = generate(model, prompts, options);
  REQUIRE(all.size() == 9);
  CHECK(all[0].ids != all[1].ids);
  auto at_once = options;
  at_once.texts_at_once = 9;
  CHECK(generate(model, prompts, at_once) == all);
  auto other_seed = options;
  other_seed.seed = 6;
  CHECK(generate(model, prompts, other_seed)[0].ids != all[0].ids);
  const auto first = generate(model, std::span(prompts).first(1), options);
  for (std::size_t n = 0; n < 3; ++n) CHECK(first[n] == all[n]);
  auto twice = options;
  twice.strengths = {1e-30, 1e-31};  // too weak to change a bit
  const auto composition =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::shared()));
  const auto both = generate(composition, random_parameters(composition.layout(prompts)), prompts, twice);
  for (std::size_t n = 0; n < 3; ++n) CHECK(both[n].ids == both[n + 3].ids);  // strengths share random numbers
}

TEST_CASE("The ledger of a text says which tokens were touched") {
  const auto model = roomy_model<small_gpt2, float>();
  const auto prompts = random_prompts(model.config(), {5});
  const auto composition =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::list({1}), positions::from_end(2)));
  const auto values = random_parameters(composition.layout(prompts));
  const auto counts = [&](const growth& how) {
    return generate(composition, values, prompts, {.new_tokens = 4, .positions = how}).front().touched.at("attn_out");
  };
  const auto only_in_layer_1 = [](touched_tokens count) { return std::vector<touched_tokens>{{}, count, {}}; };
  // Of four new tokens the last is not run.
  CHECK(counts({}) == only_in_layer_1({2, 3}));
  CHECK(counts({steered_phase::prompt}) == only_in_layer_1({2, 0}));
  CHECK(counts({steered_phase::generated}) == only_in_layer_1({0, 3}));
}

TEST_CASE("Only tokens that a longer text changes are computed again") {
  const auto model = roomy_model<small_gpt2, float>();
  const auto prompts = random_prompts(model.config(), {9});
  const auto rows = [&](const position_key& key, double strength, const growth& how) {
    const auto composition = steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), key));
    const auto values = random_parameters(composition.layout(prompts));
    return generate(composition, values, prompts, {.strengths = {strength}, .new_tokens = 5, .positions = how})
        .front()
        .rows;
  };
  CHECK(rows(positions::shared(), 1, {}) == 9 + 4);
  CHECK(rows(positions::role({"end"}), 1, {}) == 9 + 4);
  CHECK(rows(positions::from_end(3), 1, {}) == 9 + 4 * 4);
  CHECK(rows(positions::from_end(3), 1, {.as_processed = true}) == 9 + 4);
  CHECK(rows(positions::from_end(3), 1, {steered_phase::prompt}) == 9 + 4);
  CHECK(rows(positions::from_end(3), 1, {steered_phase::generated}) == 9 + 1 + 2 + 3 + 4);
  CHECK(rows(positions::from_end(3), 0, {}) == 9 + 4);
}

TEST_CASE("Generation refuses what it cannot do") {
  const auto model = roomy_model<small_gpt2, float>();
  const auto prompts = random_prompts(model.config(), {5});
  const auto composition =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::absolute()));
  const auto values = random_parameters(composition.layout(prompts));
  const auto refused = [&](error_kind kind, const generation_options& options) {
    return refusal(kind, [&] { generate(composition, values, prompts, options); });
  };
  CHECK_THAT(refused(error_kind::bad_argument, {}), ContainsSubstring("generated text has no fixed length"));
  CHECK(generate(composition, values, prompts, {.positions = {steered_phase::prompt}}).front().ids.size() == 35);
  CHECK_THAT(refused(error_kind::bad_argument, {.new_tokens = -1}), ContainsSubstring("new tokens is -1"));
  CHECK_THAT(refused(error_kind::bad_argument, {.samples = 0}), ContainsSubstring("samples is 0"));
  CHECK_THAT(refused(error_kind::bad_argument, {.how = {.top_p = 2}}), ContainsSubstring("top_p is 2"));
  CHECK_THAT(refused(error_kind::bad_argument, {.strengths = {1e40}, .positions = {steered_phase::prompt}}),
             ContainsSubstring("strength"));
  const std::vector<prompt_pair> too_long = random_prompts(model.config(), {41});
  CHECK_THAT(refusal(error_kind::bad_text, [&] { generate(model, too_long); }), ContainsSubstring("41 tokens"));
  const parameters zeros{values.layout, std::vector<double>(values.theta.size())};
  CHECK_THAT(refusal(error_kind::bad_argument,
                     [&] { generate(composition, zeros, prompts, {.positions = {steered_phase::prompt}}); }),
             ContainsSubstring("touches no token"));
}

}  // namespace trimtab::test::generate_tests
