// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "study.hpp"

#include <trimtab/trimtab.hpp>

#include <string>
#include <utility>

/// Both tasks on one model, with the three policies of the paper at its three sites and the library's default settings.

namespace demo {

using namespace trimtab;

/// Prompts as tokens, for the axis of a heat map: words where all prompts agree, else the role in brackets or a dot.
template <typename Tokenizer>
std::vector<std::string> common_tokens(Tokenizer const& tokenizer, std::vector<prompt_pair> const& prompts) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < prompts.front().ids.size(); ++i) {
    bool same = true;
    for (prompt_pair const& p : prompts) same = same and p.ids[i] == prompts.front().ids[i];
    std::string role;
    for (auto const& [name, span] : prompts.front().roles)
      if (static_cast<int>(i) >= span.first and static_cast<int>(i) < span.last) role = "[" + name + "]";
    tokens.push_back(same ? tokenizer.decode(std::span(prompts.front().ids).subspan(i, 1)) : role.empty() ? "…" : role);
  }
  return tokens;
}

template <typename Model, typename Policy>
auto fit(Model const& model, std::string const& label, task::prompt_sets const& prompts, Policy policy) {
  constexpr fit_defaults defaults = defaults_of<Policy>();
  constexpr index_t steps = 200;
  const auto steering =
      steer(model, at(site::attn_out{}, policy), at(site::mlp_out{}, policy), at(site::resid_post{}, policy));
  const auto objective =
      objective::effectiveness{} + 1.0 * objective::faithfulness{} + defaults.lambda_m * objective::minimality{};
  report::progress_bar progress(label, steps);
  return trainer(steering, objective, adam{.learning_rate = defaults.learning_rate})
      .fit(prompts.train, {.steps = steps, .before_step = [&](index_t step, loss_values const& loss) {
                             progress.show(step, "loss " + report::number(loss.total(), 3));
                             return true;
                           }});
}

template <typename Model>
void study_task(Model const& model, std::string const& name, task::prompt_sets const& prompts, study& into) {
  const auto add = [&](std::string const& policy, auto const& result, bool untouched) {
    const parameter_counts size = count(result.values);
    const metrics train = evaluate(result, prompts.train), test = evaluate(result, prompts.test);
    if (untouched) {
      into.rows.push_back(report::untouched_row(name + " untouched, train", train));
      into.rows.push_back(report::untouched_row(name + " untouched, test", test));
    }
    into.rows.push_back(report::metrics_row(name + " " + policy + ", train", train, size));
    into.rows.push_back(report::metrics_row(name + " " + policy + ", test", test, size));
  };

  const auto scalars = fit(model, name + " activ_scalar", prompts, policy::activ_scalar{});
  add("activ_scalar", scalars, true);
  add("steer_vec", fit(model, name + " steer_vec", prompts, policy::steer_vec{}), false);
  const auto dynamic = fit(model, name + " dyn_scalar", prompts, policy::dyn_scalar<policy::gate{.bias = false}>{});
  add("dyn_scalar", dynamic, false);
  if (not prompts.test_other_lengths.empty()) {
    const metrics other = evaluate(dynamic, prompts.test_other_lengths);
    into.rows.push_back(report::untouched_row(name + " untouched, other lengths", other));
    into.rows.push_back(report::metrics_row(name + " dyn_scalar, other lengths", other, count(dynamic.values)));
  }
  into.rows.emplace_back();

  into.heat_maps += "<h2>" + report::escaped(name) + ": the scalars that activ_scalar learned</h2>\n";
  const std::vector<std::string> tokens = common_tokens(model.tokenizer(), prompts.train);
  for (parameter_block const& block : scalars.values.layout.blocks)
    into.heat_maps += report::html_of(report::map_of(scalars.values, block, tokens));
}

template <typename Model>
study run_study(std::string const& name) {
  const auto model = from_pretrained<Model>(TRIMTAB_EXAMPLE_MODELS "/" + name);
  study s;
  study_task(model, name + " IOI", task::ioi(model.tokenizer(), {.seed = 1}), s);
  study_task(model, name + " CCC", task::ccc(model.tokenizer(), {.seed = 1}), s);
  return s;
}

}  // namespace demo
