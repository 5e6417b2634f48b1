// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "parity/compositions.hpp"

#include <trimtab/train/trainer.hpp>

#include <algorithm>

/// The definitions for compositions.hpp; a source file instantiates them for its policies.

namespace trimtab::test {

template <typename Policy, typename Model>
auto composed(const Model& model, const problem& p) {
  const auto hook = [&]<typename Site>(Site site) {
    const bool wanted = std::ranges::find(p.sites, Site::text) != p.sites.end();
    return at(site, Policy{}, wanted ? layers::list(p.layers) : layers::none(), p.positions);
  };
  using namespace site;
  if constexpr (exposes<resid_mid, Model::architecture::residual>)
    return steer(model, hook(resid_pre{}), hook(attn_z{}), hook(attn_out{}), hook(resid_mid{}), hook(mlp_post{}),
                 hook(mlp_out{}), hook(resid_post{}));
  else
    return steer(model, hook(resid_pre{}), hook(attn_z{}), hook(attn_out{}), hook(mlp_post{}), hook(mlp_out{}),
                 hook(resid_post{}));
}

template <typename T>
host_matrix<double> widened(const host_matrix<T>& m) {
  host_matrix<double> wide(m.rows, m.cols);
  std::ranges::copy(m.values, wide.values.begin());
  return wide;
}

/// The logits at the last positions, cut out where all positions are scored.
template <typename Steering>
logits_by_strength logits_of(const Steering& composition, const parameters& values, const problem& p, scored where) {
  logits_by_strength by_strength;
  for (double beta : p.strengths) {
    const auto rows = widened(steered_logits(composition, values, p.prompts, beta, where));
    host_matrix<double>& last = by_strength[beta] = {static_cast<index_t>(p.prompts.size()), rows.cols};
    index_t row = -1;
    for (index_t n = 0; n < last.rows; ++n) {
      row += where == scored::all ? static_cast<index_t>(p.prompts[static_cast<std::size_t>(n)].ids.size()) : 1;
      std::copy_n(rows.view().row(row), last.cols, last.view().row(n));
    }
  }
  return by_strength;
}

template <typename Policy>
case_result run_case(const any_model<double>& any, const steered_case& c) {
  return std::visit(
      [&](const auto& model) {
        const auto composition = composed<Policy>(model, c);
        const parameter_layout layout = composition.layout(c.prompts);
        const parameters values{layout, lane_of(layout, c.parameters)};
        case_result result;
        result.logits = logits_of(composition, values, c, scored::last);
        result.logits_of_all = logits_of(composition, values, c, scored::all);

        // As a trainer does it: all strengths in one batch.
        const auto sequences = every_strength(static_cast<index_t>(c.prompts.size()), c.strengths);
        steered run(composition, layout, c.prompts, sequences, 1, tape_use::forward_and_backward);
        load(model.backend(), values.theta, run.theta());
        const loss objective(model.backend(), c.objective, c.prompts, run.sequences());
        const auto logits = run.forward();
        result.loss = objective.values(logits, run.reference().logits(), layout, values.theta).front();
        objective.gradient(logits, run.reference().logits(), run.d_logits());
        run.backward();
        result.gradient = tensors_of(layout, model.backend().download(run.gradient()).values, model.config().layers);

        result.measured = evaluate(composition, values, c.prompts, {.strengths = c.strengths});
        return result;
      },
      any);
}

template <typename Policy>
logits_by_strength run_in_float(const any_model<float>& any, const steered_case& c) {
  return std::visit(
      [&](const auto& model) {
        const auto composition = composed<Policy>(model, c);
        const parameter_layout layout = composition.layout(c.prompts);
        return logits_of(composition, {layout, lane_of(layout, c.parameters)}, c, scored::last);
      },
      any);
}

template <typename Policy>
fit_result run_fit(const any_model<double>& any, const trajectory& t) {
  return std::visit(
      [&](const auto& model) {
        const auto result = trainer(composed<Policy>(model, t), t.objective, t.optimizer)
                                .fit(t.prompts, {.steps = t.steps, .strengths = t.strengths});
        return fit_result{result.history, tensors_of(result.values.layout, result.values.theta, model.config().layers)};
      },
      any);
}

}  // namespace trimtab::test
