// SPDX-License-Identifier: Apache-2.0

#include "parity/compositions.hpp"

#include <trimtab/policy/library.hpp>
#include <trimtab/steer/dynamic_steering.hpp>
#include <trimtab/steer/objective_and_gradient.hpp>
#include <trimtab/train/trainer.hpp>

#include <algorithm>
#include <optional>

namespace trimtab::test {

namespace {

template <typename B>
any_policy<B> policy_of(const problem& p) {
  std::string name = p.policy;
  std::ranges::replace(name, '_', '-');
  std::optional<any_policy<B>> found;
  policy::visit_with(name, p.options, [&](auto policy) { found.emplace(policy); });
  return *found;
}

template <typename Model>
dynamic_steering<Model> composed(const Model& model, const problem& p) {
  using B = typename Model::backend_type;
  std::vector<any_intervention<B>> interventions;
  for (const auto& site : p.sites)
    interventions.push_back({*site::find(site), policy_of<B>(p), layers::list(p.layers), p.positions});
  return steer(model, std::move(interventions));
}

template <typename T>
host_matrix<double> widened(const host_matrix<T>& m) {
  host_matrix<double> wide(m.rows, m.cols);
  std::ranges::copy(m.values, wide.values.begin());
  return wide;
}

/// The logits at the last positions, taken from a pass that scores all positions.
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

}  // namespace

case_result run_case(const any_model<double>& any, const steered_case& c) {
  return std::visit(
      [&](const auto& model) {
        const auto composition = composed(model, c);
        const parameter_layout layout = composition.layout(c.prompts);
        const parameters values{layout, lane_of(layout, c.parameters)};
        case_result result;
        result.logits = logits_of(composition, values, c, scored::last);
        result.logits_of_all = logits_of(composition, values, c, scored::all);
        const auto found = objective_and_gradient(composition, c.objective, values, c.prompts, c.strengths);
        result.loss = found.loss;
        result.gradient = tensors_of(layout, found.gradient, model.config().layers);
        result.measured = evaluate(composition, values, c.prompts, {.strengths = c.strengths});
        return result;
      },
      any);
}

logits_by_strength run_in_float(const any_model<float>& any, const steered_case& c) {
  return std::visit(
      [&](const auto& model) {
        const auto composition = composed(model, c);
        const parameter_layout layout = composition.layout(c.prompts);
        return logits_of(composition, {layout, lane_of(layout, c.parameters)}, c, scored::last);
      },
      any);
}

fit_result run_fit(const any_model<double>& any, const trajectory& t) {
  return std::visit(
      [&](const auto& model) {
        const auto result = trainer(composed(model, t), t.objective, t.optimizer)
                                .fit(t.prompts, {.steps = t.steps, .strengths = t.strengths});
        return fit_result{result.history, tensors_of(result.values.layout, result.values.theta, model.config().layers)};
      },
      any);
}

}  // namespace trimtab::test
