// SPDX-License-Identifier: Apache-2.0

// Which policy flips the answer with the fewest parameters and the smallest side effects? Four policies are trained on
// the same prompts and compared on prompts with other names: how often each flips the answer, how much else it changes,
// and how many parameters it uses.

#include <trimtab/trimtab.hpp>

#include <cstdio>
#include <iostream>
#include <utility>

using namespace trimtab;

int main() try {
  const auto model = from_pretrained<gpt2<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2");
  const auto prompts = task::ioi(model.tokenizer(), {.train = 32, .test = 32, .seed = 1});

  report::table table(report::metrics_header("on prompts with other names"));
  bool is_first = true;
  double worst = 1;
  const auto try_policy = [&](const char* name, auto policy) {
    constexpr fit_defaults defaults = defaults_of<decltype(policy)>();  // what suits the policy's kind of parameters
    const auto steering = steer(model, at(site::attn_out{}, policy), at(site::mlp_out{}, policy));
    const auto objective =
        objective::effectiveness{} + 1.0 * objective::faithfulness{} + defaults.lambda_m * objective::minimality{};
    const auto result =
        trainer(steering, objective, adam{.learning_rate = defaults.learning_rate}).fit(prompts.train, {.steps = 150});
    const metrics test = evaluate(result, prompts.test);
    if (std::exchange(is_first, false)) table.add(report::untouched_row("untouched", test));
    report::add_metrics(table, name, test, count_parameters(result.values));
    worst = std::min(worst, test.flip_rate_both);
  };
  try_policy("activ_scalar  (1 + ba) h", policy::activ_scalar{});
  try_policy("steer_vec     h + bv", policy::steer_vec{});
  try_policy("dyn_scalar    (1 + b w.h) h", policy::dyn_scalar<gate::linear<gate::bias::none>>{});
  try_policy("affine        (1 + ba) h + bv", policy::affine{});

  std::cout << table.text();
  return worst > 0.5 ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
