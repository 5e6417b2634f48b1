// SPDX-License-Identifier: Apache-2.0

#include "asked.hpp"

#include "objective_of_file.hpp"
#include "option_values.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/steer/same_place.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace trimtab::cli {

namespace {

/// The names of all roles of the prompts, in the order in which they begin in the first prompt that has them.
std::vector<std::string> roles_of(const std::vector<prompt_pair>& prompts) {
  std::vector<std::pair<int, std::string>> found;
  std::set<std::string_view> names;
  for (const auto& pair : prompts)
    for (const auto& [name, span] : pair.roles)
      if (names.insert(name).second) found.emplace_back(span.first, name);
  std::ranges::stable_sort(found, {}, &std::pair<int, std::string>::first);
  std::vector<std::string> roles;
  for (auto& [first, name] : found) roles.push_back(std::move(name));
  return roles;
}

/// The position key before the prompts are known. For roles that were not named, a key that allows any length stands
/// in.
position_key key_of(const at_option& at) {
  if (at.positions == "shared") return positions::shared();
  if (at.positions == "from_end") return positions::from_end(at.count);
  if (at.positions == "role" and not at.roles.empty()) return positions::role(at.roles);
  return at.positions == "role" ? positions::from_end() : positions::absolute();
}

/// The position key once the prompts are known: if no roles were named, all roles of the prompts.
position_key key_of(const at_option& at, const std::vector<prompt_pair>& prompts) {
  if (at.positions != "role" or not at.roles.empty()) return key_of(at);
  auto roles = roles_of(prompts);
  if (roles.empty())
    throw error(error_kind::bad_data,
                "--positions role needs prompts with roles, and none has one; give lines \"roles\": {\"subject\": "
                "[first, last]}");
  return positions::role(std::move(roles));
}

}  // namespace

fit_command with_sites(fit_command command, const model_config& config) {
  if (not command.at.empty() or std::ranges::find(command.given, "--sites", &given_option::name) != command.given.end())
    return command;
  bool adds = false;
  policy::visit_with(command.policy, command.variant,
                     [&]<typename Policy>(const Policy&) { adds = only_adds<Policy>; });
  command.sites = without_repeated(command.sites, adds, config.parallel_residual);
  return command;
}

std::vector<fit_command> compositions_of(const sweep_command& command, const model_config& config) {
  const auto or_own = [](const std::vector<std::string>& varied, const std::string& own) {
    return varied.empty() ? std::vector{own} : varied;
  };
  std::vector<fit_command> fits;
  for (const auto& policy : or_own(command.policies, command.fit.policy))
    for (const auto& by : or_own(command.positions, command.fit.positions)) {
      fit_command fit = command.fit;
      fit.policy = policy;
      fit.positions = by;
      fits.push_back(with_sites(std::move(fit), config));
    }
  return fits;
}

std::vector<at_option> asked_by(const fit_command& command) {
  auto asked = command.at;
  if (asked.empty())
    for (const auto& site : command.sites)
      asked.push_back({.site = site,
                       .policy = command.policy,
                       .options = command.variant,
                       .layers = command.layers,
                       .positions = command.positions,
                       .roles = command.roles});
  for (auto& at : asked)
    if (at.positions.empty()) {
      const bool shared = command.method != "gradient" or policy::shares_positions_by_default(at.policy);
      at.positions = shared ? "shared" : "absolute";
    }
  return asked;
}

std::vector<position_key> keys_of(const std::vector<at_option>& asked) {
  std::vector<position_key> keys;
  for (const auto& at : asked) keys.push_back(key_of(at));
  return keys;
}

std::vector<chosen_at> chosen_for(const std::vector<at_option>& asked, const std::vector<prompt_pair>& prompts) {
  std::vector<chosen_at> chosen;
  for (const auto& at : asked)
    chosen.push_back({.site = at.site,
                      .policy = at.policy,
                      .options = at.options,
                      .layers = at.layers,
                      .positions = key_of(at, prompts)});
  return chosen;
}

void require_measurable(const std::vector<chosen_at>& chosen, const std::vector<named_prompts>& sets) {
  for (const auto& one : chosen) {
    const auto key = one.positions.resolved(sets.front().pairs);
    for (const auto& set : sets)
      for (const auto& pair : set.pairs) (void)key.records(pair);
  }
}

std::string policies_of(const std::vector<at_option>& asked) {
  std::vector<std::string> names;
  for (const auto& at : asked)
    if (std::ranges::find(names, at.policy) == names.end()) names.push_back(at.policy);
  return text::joined(names, " + ");
}

std::string list_of(const std::vector<double>& values) { return text::joined(values, ",", strength_text); }

std::string exact(double value) { return ordered_json(value).dump(); }

std::map<std::string, std::string> made_by(const fit_command& command, const objective_options& objective,
                                           const adam& optimizer, index_t steps, std::uint64_t seed,
                                           const any_model& model, const common_options& common) {
  std::map<std::string, std::string> made = {{"learning_rate", exact(optimizer.learning_rate)},
                                             {"steps", std::to_string(steps)},
                                             {"seed", std::to_string(seed)},
                                             {"precision", precision_name(common.precision)}};
  say(objective, not command.data.retain.empty(), made);
  if (command.at.empty()) {
    made["sites"] = text::joined(command.sites, ",");
    made["chosen_layers"] = command.layers_text;
  } else {
    made["at"] = command.at_text;
  }
  for (const auto& [option, value] : command.variant) made[option] = value;
  if (common.weights != weight_type::as_in_file) made["weights"] = word_of(weight_words, common.weights);
  if (command.init > 0) made["init"] = "normal:" + exact(command.init);
  if (not command.data.retain.empty()) made["retain"] = command.data.retain.string();
  if (command.data.task.empty())
    made["data"] = command.data.train.string();
  else
    made["task"] = command.data.task;
  if (const auto begin = before_prompts(model); not begin.empty()) made["prompts_begin_with"] = begin;
  return made;
}

}  // namespace trimtab::cli
