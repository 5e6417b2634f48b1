// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "commands.hpp"
#include "data.hpp"
#include "model.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

/// What `fit` and `sweep` were asked for: the interventions and the settings as text.

namespace trimtab::cli {

/// The command with the sites of its policy if it names none: attn_out, mlp_out and resid_post, without those that would
/// repeat another of them in this model.
fit_command with_sites(fit_command command, const model_config& config);

/// The fits of a sweep by what is composed: one for each policy and positions, with the sites of its policy.
std::vector<fit_command> compositions_of(const sweep_command& command, const model_config& config);

/// The interventions that --at asks for, or that --policy, --sites, --layers and --positions do: one for each site.
std::vector<at_option> asked_by(const fit_command& command);

/// Their position keys before the prompts are known. For roles that were not named, a key that allows any length stands
/// in.
std::vector<position_key> keys_of(const std::vector<at_option>& asked);

/// The interventions once the prompts are known: if no roles were named, all roles of the prompts.
std::vector<chosen_at> chosen_for(const std::vector<at_option>& asked, const std::vector<prompt_pair>& prompts);

/// Throws for a set that could not be evaluated after the fit, whose prompts are those of the first set.
void require_measurable(const std::vector<chosen_at>& chosen, const std::vector<named_prompts>& sets);

/// "activ-scalar", or "activ-scalar + steer-vec".
std::string policies_of(const std::vector<at_option>& asked);

/// What an intervention file says of its fit.
std::map<std::string, std::string> made_by(const fit_command& command, const objective_options& objective,
                                           const adam& optimizer, index_t steps, std::uint64_t seed,
                                           const any_model& model, const common_options& common);

/// "1,-1"
std::string list_of(const std::vector<double>& values);

/// A number with all its digits, as JSON writes it.
std::string exact(double value);

}  // namespace trimtab::cli
