// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "talk.hpp"

#include <trimtab/io/intervention_tensors.hpp>

/// `trimtab eval` and `trimtab loss`: what an intervention from a file does to prompts.

namespace trimtab::cli {

namespace {

objective_options with_defaults(objective_options objective, any_composition const& composition) {
  objective.lambda_m = objective.lambda_m.value_or(composition.defaults().lambda_m);
  return objective;
}

ordered_json terms_of(loss_result const& found) {
  return {{"loss", found.loss},
          {"effectiveness", found.effectiveness},
          {"faithfulness", found.faithfulness},
          {"minimality", found.minimality}};
}

}  // namespace

output eval(eval_command const& command, common_options const& common) {
  auto const model = load_model(command.model, common);
  auto const [file, composition, values] = read_steering(*model, command.intervention);
  auto const objective = with_defaults(command.objective, *composition);
  output found;
  auto terms = ordered_json::object();
  for (auto const& set :
       read_data(*model, command.data, seed_of(command.data, file, command.intervention), file.positions)) {
    if (set.pairs.empty()) continue;
    add_metrics(set.name, measured(*composition, values, set, objective.strengths, common), found);
    terms[set.name] = terms_of(composition->loss(values, set.pairs, objective, false));
  }
  add_counts(count(values), found);
  found.json["objective"] = terms;
  return found;
}

output loss(loss_command const& command, common_options const& common) {
  require_writable(command.gradient);
  auto const model = load_model(command.model, common);
  auto const [file, composition, values] = read_steering(*model, command.intervention);
  auto const pairs = read_pairs(*model, command.data, file.positions);
  auto const result =
      composition->loss(values, pairs, with_defaults(command.objective, *composition), not command.gradient.empty());
  if (not command.gradient.empty()) {
    auto const gradient = tensors_of(values.layout, result.gradient, model->config());
    io::write_safetensors(command.gradient, io::stored_tensors(gradient, common.precision == arithmetic::in_double),
                          {{"format", "trimtab-gradient-1"}, {"policy", file.policy}});
  }

  output found;
  found.json = terms_of(result);
  found.json["per_prompt"] = ordered_json::array();
  for (auto const& prompt : result.prompts) {
    auto differences = ordered_json::object();
    for (double const strength : command.objective.strengths)
      differences[strength_text(strength)] = prompt.logit_diff.at(strength);
    found.json["per_prompt"].push_back({{"logit_diff", differences}, {"kl", prompt.kl}});
  }
  found.text = columns({"loss", rounded(result.loss)}) + columns({"effectiveness", rounded(result.effectiveness)}) +
               columns({"faithfulness", rounded(result.faithfulness)}) +
               columns({"minimality", rounded(result.minimality)});
  return found;
}

}  // namespace trimtab::cli
