// SPDX-License-Identifier: Apache-2.0

// The shortest complete run: load a model, make prompts, learn one number for each layer and token at two sites, and
// check on prompts with other names that the steered model gives the answer that the strength points at.

#include <trimtab/trimtab.hpp>

#include <cstdio>
#include <iostream>

using namespace trimtab;

int main() try {
  const auto model = from_pretrained<gpt2<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2");
  const auto prompts = task::ioi(model.tokenizer(), {.train = 32, .test = 32, .seed = 1});

  // With the same parameters, β = +1 steers towards the correct name and β = −1 towards the other one.
  const auto steering =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::activ_scalar{}));
  const auto objective = objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.03 * objective::minimality{};
  const auto result = trainer(steering, objective, adam{.learning_rate = 0.03}).fit(prompts.train, {.steps = 100});

  report::table table(report::metrics_header(prompts.test.front().prompt.substr(0, 24) + "..."));
  const metrics test = evaluate(result, prompts.test);
  table.add(report::untouched_row("untouched", test));
  report::add_metrics(table, "activ_scalar", test, count_parameters(result.values));
  std::cout << table.text();
  return test.at.at(+1).flip_rate > 0.5 and test.at.at(-1).flip_rate > 0.5 ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
