// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"

#include <map>

namespace trimtab::test::fit_plan_tests {

namespace {

const auto& model() {
  static const auto m = small_model<small_gpt2, float>();
  return m;
}

auto composed() {
  return steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::range(1, 2), positions::from_end(2)),
               at(site::resid_post{}, policy::steer_vec{}, layers::list({2}), positions::from_end(1)));
}

const std::vector<double> strengths{1, -1};

}  // namespace

TEST_CASE("A plan counts the rows, tokens and bytes of the fit that is run") {
  const auto prompts = random_prompts(model().config(), {5, 3, 7, 4, 1});
  const auto layout = composed().layout(prompts);
  const auto whole = plan_of_fit<float>(model().config(), layout, prompts, strengths, 5, {}, 10, 1234);
  CHECK((whole.chunk == 5 and whole.chunks == 1));
  const steered run(composed(), std::vector{layout}, prompts, every_strength(5, strengths),
                    pass_use::forward_and_backward);
  index_t rows = 0;
  for (const sequence& s : run.sequences())
    rows += std::ssize(prompts[static_cast<std::size_t>(s.prompt)].ids) - s.past;
  CHECK(whole.rows == rows);
  CHECK(whole.rows == 18);  // two tokens of four prompts and one of the last, at both strengths
  CHECK(whole.touched ==
        std::map<std::string, std::vector<index_t>>{{"attn_out", {0, 9, 9}}, {"resid_post", {0, 0, 5}}});

  std::map<std::string, index_t> memory(whole.memory.begin(), whole.memory.end());
  CHECK(memory["weights"] == 1234);
  CHECK(memory["activations"] == bytes_of_step<float>(model().config(), layout, prompts, strengths).activations);
  CHECK(memory["parameters"] == layout.size() * (4 * 4 + 3 * 8));
  const auto cut = plan_of_fit<float>(model().config(), layout, prompts, strengths, 2, {}, 10, 1234);
  CHECK((cut.chunk == 2 and cut.chunks == 3 and cut.rows == 18));
  CHECK(cut.bytes() < whole.bytes());
  const auto batched = plan_of_fit<float>(model().config(), layout, prompts, strengths, 2, {.size = 3}, 10, 1234);
  CHECK((batched.chunk == 2 and batched.chunks == 2));
}

TEST_CASE("A plan counts the operations of products and attention") {
  // One layer, one prompt of three tokens, an intervention everywhere: nothing is past, nothing lies below.
  model_config config{
      .architecture = "gpt2", .layers = 1, .width = 4, .heads = 2, .hidden = 6, .context = 8, .vocabulary = 11};
  const gpt2<eigen_backend<float>> one(random_weights(config, 3), eigen_backend<float>(1));
  const auto composition =
      steer(one, at(site::resid_pre{}, policy::activ_scalar{}, layers::all(), positions::shared()));
  const auto prompts = random_prompts(config, {3});
  const auto plan = [&](index_t steps, index_t strengths_used) {
    return plan_of_fit<float>(config, composition.layout(prompts), prompts,
                              std::span(strengths).first(static_cast<std::size_t>(strengths_used)), 1, {}, steps, 0)
        .flops;
  };
  // Queries, keys and values of 3 rows; attention of the last token with 3 keys, twice; the rest for one row.
  const double forward = 3 * 4 * 12 + 2 * 3 * 4 + (4 * 4 + 2 * 4 * 6) + 4 * 11;
  CHECK(plan(0, 1) == 2 * (forward + forward));  // the untouched model, and the loss at the end
  CHECK(plan(7, 1) - plan(0, 1) == 2 * 7 * 2 * forward);
  CHECK(plan(7, 2) - plan(0, 2) == 2 * (plan(7, 1) - plan(0, 1)));
}

}  // namespace trimtab::test::fit_plan_tests
