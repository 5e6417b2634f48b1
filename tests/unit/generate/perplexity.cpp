// SPDX-License-Identifier: Apache-2.0
#include <trimtab/generate/generate.hpp>
#include <trimtab/generate/perplexity.hpp>

#include "support/compositions.hpp"

#include <cmath>

namespace trimtab::test::perplexity_tests {

TEST_CASE("Perplexity is the geometric mean of 1/p over the tokens that count") {
  host_matrix<double> logits(4, 3);
  for (const auto& [row, token, p] : {std::tuple(0, 2, .5), {1, 0, .25}, {2, 1, .8}})
    for (index_t j = 0; j < 3; ++j) logits(row, j) = std::log(j == token ? p : (1 - p) / 2) + 7;
  const std::vector ids{1, 2, 0, 1};
  CHECK(std::abs(perplexity(logits, ids, 1) - std::cbrt(1 / (.5 * .25 * .8))) < 1e-14);
  CHECK(std::abs(perplexity(logits, ids, 2) - std::sqrt(1 / (.25 * .8))) < 1e-14);
  CHECK(std::abs(perplexity(logits, ids, 3) - 1 / .8) < 1e-14);
  CHECK(std::isnan(perplexity(logits, ids, 4)));
}

TEST_CASE("A text's perplexity under the model that wrote it follows from the probabilities it was written with") {
  const auto model = small_model<small_gpt2, double>();
  const std::vector<prompt_pair> prompts{{.ids = {5, 2, 9}}};
  const auto text = generate(model, prompts,
                             {.strengths = {0}, .new_tokens = 5, .how = {.temperature = 1}, .log_probabilities = true})
                        .front();
  double sum = 0;
  for (const double log_p : text.log_probabilities) sum += log_p;
  auto ids = prompts.front().ids;
  ids.insert(ids.end(), text.ids.begin(), text.ids.end());
  CHECK(std::abs(perplexity(model, ids, 3) - std::exp(-sum / 5)) < 1e-9);
}

}  // namespace trimtab::test::perplexity_tests
