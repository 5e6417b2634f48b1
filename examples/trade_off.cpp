// SPDX-License-Identifier: Apache-2.0

// How many parameters does it take, and at what cost? Fits with different weights of minimality and faithfulness, side
// by side in one pass. The front are those that no other betters; of the fit at its knee, each place is left out in
// turn.

#include <trimtab/trimtab.hpp>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

using namespace trimtab;

int main() try {
  const auto model = from_pretrained<gpt2<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2");
  const auto prompts = task::ioi(model.tokenizer(), {.train = 16, .test = 32, .seed = 1});
  const auto steering =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::activ_scalar{}));
  const auto objective = objective::effectiveness{} + 1.0 * objective::faithfulness{} + 1.0 * objective::minimality{};

  const auto settings = grid({.lambda_f = {0.3, 1}, .lambda_m = logspace(0.1, 0.01, 4)}, {.steps = 50});
  const trainer fits(steering, objective, adam{});
  std::vector<decltype(fits)::replica_type> replicas;
  for (const fit_settings& one : settings)
    replicas.push_back(replica_at(steering, objective, adam{}, one, prompts.train));

  std::vector<parameters> found(settings.size());
  sweep(steering, replicas, [&](std::size_t k, const auto& result) { found[k] = result.values; });

  std::vector<trade_off> trades;
  const std::vector<metrics> tests = evaluate(steering, found, prompts.test);
  for (std::size_t k = 0; k < found.size(); ++k)
    trades.push_back({std::min(tests[k].at.at(+1).flip_rate, tests[k].at.at(-1).flip_rate), tests[k].kl_masked,
                      count_parameters(found[k]).nonzero_sites});
  const auto front = front_of(trades);
  const std::size_t knee = knee_of(trades, front).value();

  report::table table({"lambda-f", "lambda-m", "flip rate", "95 %", "KL", "places", ""});
  for (std::size_t k = 0; k < settings.size(); ++k) {
    const bool on_front = std::ranges::find(front, k) != front.end();
    table.add({report::number(settings[k].lambda_f, 1), report::number(settings[k].lambda_m, 3),
               report::number(trades[k].flip_rate), report::text_of(wilson(trades[k].flip_rate, tests[k].prompts)),
               report::number(trades[k].kl, 3), std::to_string(trades[k].places),
               k == knee  ? "knee"
               : on_front ? "front"
                          : ""});
  }
  std::cout << table.text();

  // Of up to 8 places all subsets are measured; of more, one place after another is taken away.
  const auto proof = explain::certify(steering, found[knee], prompts.train, {.exhaustive_up_to = 8});
  const auto necessary = std::ranges::count(proof.leave_one_out, true, &explain::left_out::necessary);
  std::printf(
      "\nflips are lost without any one of %td of the knee's %td places; %td places alone are enough for 95 %%\n",
      necessary, std::ssize(proof.places), std::ssize(proof.subsets.smallest.front()));
  return front.empty() ? 1 : 0;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
