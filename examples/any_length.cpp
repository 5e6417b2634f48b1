// SPDX-License-Identifier: Apache-2.0

// My prompts have different lengths: how do their tokens share parameters? By their distance from the end, by their
// role in the prompt, or all alike. Learned on prompts of one length, measured on prompts of other lengths.

#include <trimtab/trimtab.hpp>

#include <cstdio>
#include <iostream>

using namespace trimtab;

int main() try {
  const auto model = from_pretrained<gpt2<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2");
  const auto prompts = task::ioi(model.tokenizer(), {.train = 32, .test = 32, .test_other_lengths = 32, .seed = 1});

  report::table table(report::metrics_header("prompts of other lengths"));
  bool learned = true;
  const auto try_positions = [&](const char* name, const position_key& by) {
    const auto steering = steer(model, at(site::attn_out{}, policy::steer_vec{}, layers::all(), by),
                                at(site::mlp_out{}, policy::steer_vec{}, layers::all(), by));
    const auto objective =
        objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.003 * objective::minimality{};
    const auto result = trainer(steering, objective, adam{.learning_rate = 0.01}).fit(prompts.train, {.steps = 150});
    report::add_metrics(table, name, evaluate(result, prompts.test_other_lengths), count_parameters(result.values));
    learned = learned and result.history.back().total() < result.history.front().total();
  };
  try_positions("the last eight tokens", positions::from_end(8));
  try_positions("roles", positions::role({"io", "s1", "s2", "end"}));
  try_positions("all tokens alike", positions::shared());
  std::cout << table.text();
  return learned ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
