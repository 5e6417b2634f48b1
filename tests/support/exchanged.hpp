// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/explain/interchange.hpp>
#include <trimtab/measure/evaluate.hpp>
#include <trimtab/steer/observe.hpp>

#include "explained.hpp"

#include <string>
#include <vector>

/// Exact runs made with the library's own interventions: what the faster ones of explain/ must equal, bit for bit.

namespace trimtab::test {

/// z[correct] − z[wrong] of the untouched model after these ids, in the model's precision.
template <typename Model>
double plain_difference(const Model& model, const std::vector<int>& ids, const prompt_pair& p) {
  const auto z = logits(model, std::span(&ids, 1));
  return static_cast<double>(z(0, p.correct_id) - z(0, p.wrong_id));
}

/// The same with the policy's `theta` at strength 1 at the tokens of a span, at one site and layer.
template <typename Site, typename Policy, typename Model>
double steered_difference(const Model& model, const std::vector<int>& ids, const prompt_pair& p, index_t layer,
                          token_span tokens, Policy policy, std::vector<double> theta) {
  prompt_pair at_place = p;
  at_place.ids = ids;
  at_place.roles = {{"here", tokens}};
  const auto composition = steer(model, at(Site{}, policy, layers::list({layer}), positions::role({"here"})));
  const std::vector<prompt_pair> one{at_place};
  const parameters values{composition.layout(one), std::move(theta)};
  const auto z = steered_logits(composition, values, one, 1);
  return static_cast<double>(z(0, p.correct_id) - z(0, p.wrong_id));
}

/// The activations of one token, all heads of `attn_z` one after another.
template <typename T>
std::vector<double> activations_of(const host_matrix<T>& rows, index_t token, index_t heads) {
  std::vector<double> h;
  for (index_t head = 0; head < heads; ++head)
    for (index_t j = 0; j < rows.cols; ++j) h.push_back(static_cast<double>(rows(token * heads + head, j)));
  return h;
}

/// Calls check(Site{}, name, heads) for each site of a kind of model.
template <typename Kind, typename Check>
void each_site(Check check) {
  const auto of = [&]<typename... Sites>(std::tuple<Sites...>) {
    (check(Sites{}, std::string(Sites::text), Sites::rows == site_rows::head ? Kind::config().heads : index_t{1}), ...);
  };
  of(sites_of<Kind>{});
}

}  // namespace trimtab::test
