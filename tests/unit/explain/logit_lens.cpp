// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/exchanged.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::logit_lens_tests {

TEMPLATE_TEST_CASE("after the last layer the lens shows the model's own answer, bit for bit", "", small_gpt2,
                   small_neox_parallel, small_neox_sequential) {
  const auto check = [&]<typename T>(T) {
    const auto model = small_model<TestType, T>();
    const auto prompts = random_prompts(model.config(), {5, 1, 3});
    const auto whole = explain::logit_lens(model, prompts);
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      const auto lens = explain::logit_lens(model, std::span(prompts).subspan(n, 1));
      const prompt_pair& p = prompts[n];
      const auto z = logits(model, std::span(&p.ids, 1), scored::all);
      const parameter_block& block = lens.places.blocks.front();
      REQUIRE(lens.lens.size() == 3);
      REQUIRE(lens.lens[2].size() == p.ids.size());
      for (index_t i = 0; i < z.rows; ++i) {
        CHECK(lens.score(block, 2, i) == static_cast<double>(z(i, p.correct_id) - z(i, p.wrong_id)));
        CHECK(whole.per_prompt[n][static_cast<std::size_t>(whole.places.blocks[0].layer_offset(2) + i)] ==
              lens.score(block, 2, i));
        const auto& reading = lens.lens[2][static_cast<std::size_t>(i)];
        const auto said =
            detail::read_answers(std::span<const T>(z.values).subspan(static_cast<std::size_t>(i * z.cols),
                                                                      static_cast<std::size_t>(z.cols)),
                                 p);
        CHECK(reading.probability_correct == said.probability_correct);
        CHECK(reading.probability_wrong == said.probability_wrong);
        index_t better = 1;
        for (index_t j = 0; j < z.cols; ++j) better += z(i, j) > z(i, p.correct_id);
        CHECK(reading.rank_correct == static_cast<double>(better));
        CHECK(std::ranges::none_of(
            std::span(z.values).subspan(static_cast<std::size_t>(i * z.cols), static_cast<std::size_t>(z.cols)),
            [&](T x) { return x > z(i, reading.top_id); }));
      }
      CHECK(lens.clean == lens.score(block, 2, z.rows - 1));
    }
  };
  check(float{});
  check(double{});
}

TEST_CASE("earlier layers are read as if they were the last ones") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = random_prompts(model.config(), {4});
  const auto lens = explain::logit_lens(model, prompts);
  // A model of one layer, with the same weights.
  auto config = small_gpt2::config();
  config.layers = 1;
  const gpt2<eigen_backend<double>> first(random_weights(config, 3), eigen_backend<double>(1));
  const auto z = logits(first, std::span(&prompts[0].ids, 1), scored::all);
  for (index_t i = 0; i < 4; ++i)
    CHECK(lens.score(lens.places.blocks[0], 0, i) == z(i, prompts[0].correct_id) - z(i, prompts[0].wrong_id));
}

TEST_CASE("over several prompts readings are means, and the token is the most frequent one") {
  const auto model = small_model<small_neox_parallel, double>();
  const auto prompts = random_prompts(model.config(), {5, 3, 4});
  const explain::options chosen{.sites = {"resid_post"}, .positions = positions::from_end(2)};
  const auto lens = explain::logit_lens(model, prompts, chosen);
  for (std::size_t l = 0; l < 3; ++l)
    for (std::size_t i = 0; i < 2; ++i) {
      double rank = 0, probability = 0;
      for (std::size_t n = 0; n < 3; ++n) {
        const auto one = explain::logit_lens(model, std::span(prompts).subspan(n, 1), chosen);
        rank += one.lens[l][i].rank_wrong / 3, probability += one.lens[l][i].probability_correct / 3;
      }
      CHECK(std::abs(lens.lens[l][i].rank_wrong - rank) < 1e-13);
      CHECK(std::abs(lens.lens[l][i].probability_correct - probability) < 1e-15);
    }
  auto tight = chosen;
  tight.memory = 60'000;
  CHECK(same_bits(explain::logit_lens(model, prompts, tight).scores, lens.scores));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { explain::logit_lens(model, prompts, {}); }),
             Catch::Matchers::ContainsSubstring("its only site is resid_post"));
}

}  // namespace trimtab::test::logit_lens_tests
