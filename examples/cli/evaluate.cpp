// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "memory.hpp"
#include "objective_of_file.hpp"
#include "per_prompt.hpp"
#include "plan.hpp"
#include "provenance.hpp"
#include "ranks.hpp"
#include "talk.hpp"

#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/intervention_tensors.hpp>

/// `trimtab eval` and `trimtab loss`: what an intervention from a file does to prompts.

namespace trimtab::cli {

namespace {

/// The objective of the fit, with the composition's weight of minimality if the file says none.
objective_options objective_to_measure(const any_composition& composition, const intervention_file& file,
                                       const path& name, const objective_options& asked) {
  auto objective = objective_of(file, name, asked, unsaid::has_its_default);
  if (not objective.lambda_m) objective.lambda_m = composition.defaults().lambda_m;
  return objective;
}

}  // namespace

output eval(const eval_command& command, const common_options& common) {
  if (command.plan) return plan_eval(command, common);
  require_writable(command.per_prompt_csv);
  const auto model = load_model(command.model, common);
  const auto [file, composition, values] = read_steering(*model, command.intervention, common);
  const auto objective = objective_to_measure(*composition, file, command.intervention, command.objective);
  output found;
  auto csv = per_prompt_header;
  auto terms = ordered_json::object();
  const auto sets =
      read_data(*model, command.data, seed_of(command.data, file, command.intervention), file.keys(), "data");
  warn_of_other_train(file.made, command.intervention, command.data, sets.front().pairs);
  if (const auto nothing_left = empty_masked_kl(*model, objective, sets)) warn(*nothing_left);
  const auto stays =
      retained_in_fit(file, command.intervention, command.data.retain, command.objective, unsaid::has_its_default);
  const auto retained = read_retained(*model, stays, file.keys(), sets.front().pairs);
  const index_t memory = left_for_work(command.memory, common);
  for (const auto& set : sets) {
    if (set.pairs.empty()) continue;
    const auto figures = measured(*composition, values, set, objective.strengths, common, memory, all_ranks());
    add_metrics(set.name, figures, found);
    if (command.per_prompt) found.json[set.name]["per_prompt"] = per_prompt_json(figures, set.pairs);
    if (not command.per_prompt_csv.empty()) csv += per_prompt_lines(set.name, figures, set.pairs);
    terms[set.name] =
        terms_of(composition->loss(values, with_retained(set.pairs, retained), objective, false, all_ranks(), memory));
  }
  if (not retained.empty()) add_retention(*composition, values, retained, objective, found, all_ranks(), memory);
  add_counts(count_parameters(values), found);
  if (all_ranks().size() > 1) found.json["ranks"] = prompts_of_ranks(sets.front().pairs.size());
  if (not command.per_prompt_csv.empty()) io::write_file_atomically(command.per_prompt_csv, csv);
  found.json["objective"] = terms;
  return found;
}

output loss(const loss_command& command, const common_options& common) {
  require_writable(command.gradient);
  const auto model = load_model(command.model, common);
  const auto [file, composition, values] = read_steering(*model, command.intervention, common);
  const auto sets =
      read_data(*model, command.data, seed_of(command.data, file, command.intervention), file.keys(), "data");
  const auto& train = sets.front().pairs;
  warn_of_other_train(file.made, command.intervention, command.data, train);
  const auto stays =
      retained_in_fit(file, command.intervention, command.data.retain, command.objective, unsaid::is_an_error);
  const auto pairs = with_retained(train, read_retained(*model, stays, file.keys(), train));
  const auto objective = objective_to_measure(*composition, file, command.intervention, command.objective);
  const auto result = composition->loss(values, pairs, objective, not command.gradient.empty(), {},
                                        left_for_work(command.memory, common));
  if (not command.gradient.empty()) {
    const auto gradient = tensors_of(values.layout, result.gradient, model->config());
    io::write_safetensors(command.gradient, io::stored_tensors(gradient, common.precision == arithmetic::in_double),
                          {{"format", "trimtab-gradient-1"}, {"policy", file.policies()}});
  }

  output found;
  found.json = terms_of(result);
  found.json["per_prompt"] = ordered_json::array();
  for (const auto& prompt : result.prompts) {
    auto differences = ordered_json::object();
    for (const double strength : objective.strengths)
      differences[strength_text(strength)] = prompt.logit_diff.at(strength);
    found.json["per_prompt"].push_back({{"logit_diff", differences}, {"kl", prompt.kl}});
  }
  found.text = columns({"loss", rounded(result.loss)}) + columns({"effectiveness", rounded(result.effectiveness)}) +
               columns({"faithfulness", rounded(result.faithfulness)}) +
               columns({"minimality", rounded(result.minimality)}) +
               (result.retention ? columns({"retention", rounded(*result.retention)}) : "") +
               (result.norm_preservation ? columns({"norm preservation", rounded(*result.norm_preservation)}) : "");
  return found;
}

}  // namespace trimtab::cli
