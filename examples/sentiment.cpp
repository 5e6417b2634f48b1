// SPDX-License-Identifier: Apache-2.0

// How do I steer on my own data? Prompt pairs are JSON Lines. Here they are short reviews, to be continued by " good" or
// by " bad", and the model is one that reads them (models/reviews.py). A map of rank one, the same for every token in one
// layer, turns praise into blame and blame into praise, in reviews whose words and templates stand in no review that the
// model or the fit has seen. `sentiment gpt2/` does the same with the folder of another GPT-2.

#include <trimtab/trimtab.hpp>

#include <cstdio>
#include <iostream>

using namespace trimtab;

int main(int argc, char** argv) try {
  const auto model =
      from_pretrained<gpt2<eigen_backend<float>>>(argc > 1 ? argv[1] : TRIMTAB_EXAMPLE_MODELS "/tiny-reviews");
  const auto train = io::read_prompts(TRIMTAB_EXAMPLE_REVIEWS "/train.jsonl", model.tokenizer());
  const auto test = io::read_prompts(TRIMTAB_EXAMPLE_REVIEWS "/test.jsonl", model.tokenizer());

  const auto steering =
      steer(model, at(site::resid_post{}, policy::low_rank<1>{}, layers::list({1}), positions::shared()));
  const auto objective =
      objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.0002 * objective::minimality{};
  const auto result = trainer(steering, objective, adam{.learning_rate = 0.01}).fit(train, {.steps = 100});

  report::table table(report::metrics_header("reviews"));
  const metrics learned = evaluate(result, train), unseen = evaluate(result, test);
  table.add(report::untouched_row("untouched, train", learned));
  report::add_metrics(table, "low_rank<1>, train", learned, count_parameters(result.values));
  table.add(report::untouched_row("untouched, held out", unseen));
  report::add_metrics(table, "low_rank<1>, held out", unseen, count_parameters(result.values));
  std::cout << table.text();
  return result.history.back().total() < result.history.front().total() ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
