// SPDX-License-Identifier: Apache-2.0

// Does steering change the direction of an activation, or its length? For each layer, the table shows the ratio of the
// lengths, |out| / |h|, and the cosine between out and h. A vector may change both. A scalar changes the length only;
// with dyn_scalar, by how much depends on the activation.

#include <trimtab/trimtab.hpp>

#include <cmath>
#include <cstdio>
#include <iostream>
#include <string>

using namespace trimtab;

int main() try {
  const auto model = from_pretrained<gpt2<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2");
  const auto prompts = task::ioi(model.tokenizer(), {.train = 32, .test = 32, .seed = 1});

  report::table table({"at the last token of test prompts, strength +1", "layer", "norm ratio", "cosine"});
  const auto fit_and_measure = [&](const std::string& name, auto policy, double learning_rate, double lambda_m) {
    const auto steering = steer(model, at(site::attn_out{}, policy, layers::all(), positions::from_end(8)));
    const auto objective =
        objective::effectiveness{} + 1.0 * objective::faithfulness{} + lambda_m * objective::minimality{};
    const auto result =
        trainer(steering, objective, adam{.learning_rate = learning_rate}).fit(prompts.train, {.steps = 150});
    const site_geometry found = measure_geometry(steering, result.values, prompts.test, +1).front();
    for (std::size_t layer = 0; layer < found.norm_ratio.size(); ++layer)
      table.add({name, std::to_string(found.block.layers[layer]), report::number(found.norm_ratio[layer][0]),
                 report::number(found.cosine[layer][0])});
    return found;
  };
  fit_and_measure("steer_vec", policy::steer_vec{}, 0.01, 0.003);
  const site_geometry scalar = fit_and_measure("dyn_scalar", policy::dyn_scalar<>{}, 0.001, 0.01);
  std::cout << table.text();

  // A number that multiplies an activation keeps its direction, or reverses it.
  for (const auto& layer : scalar.cosine)
    if (std::abs(std::abs(layer[0]) - 1) > 1e-5) return 1;
  return 0;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
