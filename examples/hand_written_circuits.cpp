// SPDX-License-Identifier: Apache-2.0

// How right is a method that says where an answer is decided? Here the weights of five models are written by hand, so
// the places that the answer passes through are known, and every method gets a mark: the area under the ROC curve of its
// ranking, which is 1 if all places that decide come before all that do not, and 0.5 for a random order.

#include <trimtab/trimtab.hpp>

#include "circuits/known_circuits.hpp"

#include <cmath>
#include <cstdio>
#include <vector>

using namespace trimtab;
using circuits::circuit_weights;

namespace {

/// The mark of the scores of these places; scores of 1e-12 and less are rounding.
double mark(const circuit_weights& truth, const parameter_layout& places, const std::vector<double>& scores) {
  std::vector<double> sizes;
  std::vector<bool> decides;
  for (const parameter_block& block : places.blocks)
    for (const index_t layer : block.layers)
      for (index_t i = 0; i < block.positions.count(); ++i) {
        const double score = std::abs(scores[static_cast<std::size_t>(block.layer_offset(layer) + i)]);
        sizes.push_back(score < 1e-12 ? 0 : score);
        decides.push_back(truth.decides(block.site, layer, block.positions.roles()[static_cast<std::size_t>(i)]));
      }
  return roc_area(sizes, decides);
}
double mark(const circuit_weights& truth, const explain::place_map& map) { return mark(truth, map.places, map.scores); }

}  // namespace

int main() try {
  std::printf("%-10s %9s %12s %11s %9s %9s %7s %5s\n", "circuit", "gradient", "attribution", "integrated", "patching",
              "ablation", "direct", "fit");
  bool patching_is_right = true;
  for (const auto& [name, which] : circuits::all_circuits) {
    const circuit_weights truth(which, false);
    const gpt2<eigen_backend<double>> model(truth, eigen_backend<double>(1));
    const auto prompts = truth.prompts(12);
    const auto tokens =
        prompts.front().roles.size() == 2 ? positions::role({"subject", "end"}) : positions::role({"subject"});
    explain::options places{.sites = {"attn_out", "mlp_out"}, .positions = tokens};
    const auto attributed = [&](explain::attribution_kind kind) {
      places.attribute = kind;
      return mark(truth, explain::attribution(model, prompts, places));
    };
    using enum explain::attribution_kind;
    const double by_gradient = attributed(gradient), by_attribution = attributed(patching),
                 by_integration = attributed(integrated),
                 by_patching = mark(truth, explain::patching(model, prompts, places)),
                 by_ablation = mark(truth, explain::ablation(model, prompts, places)),
                 by_addends = mark(truth, explain::direct_logit(model, prompts, places));

    const auto steering = steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), tokens),
                                at(site::mlp_out{}, policy::activ_scalar{}, layers::all(), tokens));
    const auto fit =
        trainer(steering, objective::effectiveness{} + 0.03 * objective::minimality{}, adam{.learning_rate = 0.05})
            .fit(prompts, {.steps = 100});
    std::printf("%-10s %9.2f %12.2f %11.2f %9.2f %9.2f %7.2f %5.2f\n", name, by_gradient, by_attribution,
                by_integration, by_patching, by_ablation, by_addends, mark(truth, fit.values.layout, fit.values.theta));
    patching_is_right = patching_is_right and by_patching == 1;
  }
  std::printf(
      "\nredundant: two paths carry the answer. Without one of them the other still does, so ablation misses both;\n"
      "where they meet, the sum is saturated, and a slope there is zero. direct sees only what is added to the last\n"
      "stream. A sparse fit keeps as few places as steer, not all that decide.\n");
  return patching_is_right ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
