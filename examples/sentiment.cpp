// SPDX-License-Identifier: Apache-2.0

// How do I steer on my own data? Prompt pairs are JSON Lines. Here they are sentences about an evening, to be continued
// by " fun" or by " long". The embedded model was not trained on such text, so the intervention can only learn to name
// an answer at the end of the prompt. With a folder of a real GPT-2, `sentiment gpt2/`, the same program steers a model
// that understands the sentences.

#include <trimtab/trimtab.hpp>

#include <cstdio>
#include <iostream>

using namespace trimtab;

int main(int argc, char** argv) try {
  const auto model =
      from_pretrained<gpt2<eigen_backend<float>>>(argc > 1 ? argv[1] : TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2");
  const auto train = io::read_prompts(TRIMTAB_EXAMPLE_REVIEWS "/train.jsonl", model.tokenizer());
  const auto test = io::read_prompts(TRIMTAB_EXAMPLE_REVIEWS "/test.jsonl", model.tokenizer());

  // Reviews differ in length, so all tokens share one gate, which computes its scalar from each token's activation.
  const auto steering =
      steer(model, at(site::attn_out{}, policy::dyn_scalar<>{}), at(site::mlp_out{}, policy::dyn_scalar<>{}));
  const auto objective = objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.01 * objective::minimality{};
  const auto result = trainer(steering, objective, adam{.learning_rate = 0.003}).fit(train, {.steps = 100});

  report::table table(report::metrics_header("reviews"));
  const metrics learned = evaluate(result, train), unseen = evaluate(result, test);
  table.add(report::untouched_row("untouched, train", learned));
  report::add_metrics(table, "dyn_scalar, train", learned, count_parameters(result.values));
  table.add(report::untouched_row("untouched, test", unseen));
  report::add_metrics(table, "dyn_scalar, test", unseen, count_parameters(result.values));
  std::cout << table.text();
  return result.history.back().total() < result.history.front().total() ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
