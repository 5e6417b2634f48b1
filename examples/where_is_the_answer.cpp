// SPDX-License-Identifier: Apache-2.0

// Where is the answer decided, and do methods agree? Attribution patching guesses it from gradients, patching tries every
// place, and a sparse fit keeps the places that it needs. The logit lens shows from which layer on the answer can be read.

#include <trimtab/trimtab.hpp>

#include <cstdio>
#include <iostream>
#include <string>

using namespace trimtab;

namespace {

/// A map of each site; each line is a layer, the last one on top, and each column a token.
void show(const std::string& method, const parameters& scores) {
  std::cout << method << '\n';
  for (const parameter_block& block : scores.layout.blocks)
    std::cout << report::text_of(report::map_of(scores, block)) << '\n';
}

}  // namespace

int main() try {
  const auto model = from_pretrained<gpt2<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2");
  const auto prompts = task::ioi(model.tokenizer(), {.train = 32, .test = 16, .seed = 1});
  const explain::options places{.sites = {"attn_out", "mlp_out"}};

  const auto guessed = explain::attribution(model, prompts.test, places);
  const auto exact = explain::patching(model, prompts.test, places);
  const auto steering =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}), at(site::mlp_out{}, policy::activ_scalar{}));
  const auto objective = objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.03 * objective::minimality{};
  const auto fit = trainer(steering, objective, adam{.learning_rate = 0.03}).fit(prompts.train, {.steps = 100});

  show("attribution patching", {guessed.places, guessed.scores});
  show("patching", {exact.places, exact.scores});
  show("the scalars of a fit", fit.values);

  const auto kept = static_cast<std::size_t>(count_parameters(fit.values).nonzero_parameters);
  const auto of_guess = compare_rankings(guessed.per_prompt, exact.scores, kept);
  const auto of_fit = compare_rankings(exact.per_prompt, fit.values.theta, kept);
  std::printf("Spearman's rho with patching: attribution patching %.2f, the fit %.2f\n", of_guess.spearman.value,
              of_fit.spearman.value);
  std::printf("of the %zu places that the fit keeps, patching ranks a share of %.2f first\n", kept,
              of_fit.overlap.value);

  const auto lens = explain::logit_lens(model, prompts.test);
  for (index_t l = 0; l < model.config().layers; ++l)
    std::printf("after layer %td the answer leads by %.2f\n", l,
                lens.score(lens.block("resid_post"), l, lens.block("resid_post").positions.count() - 1));
  return of_guess.spearman.value > 0.5 ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
