// SPDX-License-Identifier: Apache-2.0

// How do I write my own policy? A policy is a row function with its adjoint. It is written once and runs in float and
// double, at every site of every model.

#include <trimtab/trimtab.hpp>

#include <cstdio>
#include <iostream>

using namespace trimtab;

/// Each channel has its own gain: out_j = (1 + β s_j) h_j. (activ_scalar has one gain for all channels.)
struct channel_gain {
  static constexpr per_channel<"scale"> scale{};
  static constexpr parameter_list parameters{scale};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = (1 + r.beta() * r(scale, j)) * r.h(j); });
  }
  constexpr void backward(row auto& r) const {  // given d_out: set d_h, add to the parameters' gradients
    r.each([&](auto j) {
      r.d_h(j) = (1 + r.beta() * r(scale, j)) * r.d_out(j);
      r.d(scale, j) += r.beta() * r.h(j) * r.d_out(j);
    });
  }
};

int main() try {
  const auto model = from_pretrained<gpt_neox<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-pythia");
  const auto prompts = task::ccc(model.tokenizer(), {.train = 32, .test = 32, .seed = 1});
  const auto steering = steer(model, at(site::resid_post{}, channel_gain{}, layers::all(), positions::from_end(8)));
  const auto objective = objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.003 * objective::minimality{};
  const auto result = trainer(steering, objective, adam{.learning_rate = 0.01}).fit(prompts.train, {.steps = 100});

  const metrics test = evaluate(result, prompts.test);
  report::table table(report::metrics_header("policy"));
  table.add(report::untouched_row("untouched", test));
  report::add_metrics(table, "channel_gain", test, count_parameters(result.values));
  std::cout << table.text();
  return result.history.back().total() < result.history.front().total() ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
