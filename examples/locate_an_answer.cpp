// SPDX-License-Identifier: Apache-2.0

// Where is the answer decided? Minimality leaves few parameters that are not zero. Setting those of one site at a time
// to zero shows which sites decide the answer and which can be removed.

#include <trimtab/trimtab.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>

using namespace trimtab;

namespace {

/// A copy of the parameters in which those of one block are exactly zero, so that its intervention does nothing.
parameters without(parameters values, const parameter_block& block) {
  const auto first = values.theta.begin() + block.offset;
  std::fill(first, first + block.records() * block.record_size, 0.0);
  return values;
}

}  // namespace

int main() try {
  const auto model = from_pretrained<gpt2<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2");
  const auto prompts = task::ioi(model.tokenizer(), {.train = 32, .test = 32, .seed = 1});
  const auto steering =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::activ_scalar{}),
            at(site::resid_post{}, policy::activ_scalar{}));
  const auto objective = objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.03 * objective::minimality{};
  const auto result = trainer(steering, objective, adam{.learning_rate = 0.03}).fit(prompts.train, {.steps = 150});

  // Each line is a layer, the last one on top; each column is a token.
  for (const parameter_block& block : result.values.layout.blocks)
    std::cout << report::text_of(report::map_of(result.values, block)) << '\n';

  report::table table(report::metrics_header("taken away"));
  const metrics whole = evaluate(result, prompts.test);
  report::add_metrics(table, "nothing", whole, count_parameters(result.values));
  double least = 1;
  for (const parameter_block& block : result.values.layout.blocks) {
    const parameters rest = without(result.values, block);
    const metrics left = evaluate(steering, rest, prompts.test);
    report::add_metrics(table, block.site, left, count_parameters(rest));
    least = std::min(least, left.flip_rate_both);
  }
  std::cout << table.text();
  return whole.flip_rate_both > 0.5 and least < whole.flip_rate_both ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
