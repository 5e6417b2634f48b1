// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options_of.hpp"

#include <optional>
#include <string>
#include <vector>

/// Options that several commands have.

namespace trimtab::cli {

inline constexpr index_t most_steps = 1'000'000'000;

void add_common(options_of o, common_options& to);
void add_model(options_of o, path& to, common_options& how);
/// How texts become prompts.
void add_text(options_of o, common_options& how);
/// A text to continue, or its token ids.
void add_prompt(options_of o, std::optional<std::string>& prompt, std::vector<int>& ids);
/// Which prompts of a task.
void add_shape(options_of& o, data_options& to);
void add_data(options_of o, data_options& to, common_options& how);
void add_objective(options_of o, objective_options& to, bool takes_share = false);
/// Prompts that must not change.
void add_retained(options_of o, path& file, objective_options& to, bool of_a_fit = false);
void add_other_weights(options_of o, common_options& how);
void add_steering(options_of o, strength_options& to, common_options& how);
/// What is fitted, on which prompts and how.
void add_fit(options_of& o, fit_command& c, common_options& how);
/// What the work may take, and what it will take. `what` is "fit" or "sweep".
void add_bound(options_of o, size_options& to, const std::string& what);
/// The same for work that is cut as the memory allows.
void add_bound(options_of o, std::optional<index_t>& memory);
/// What a fit may take of the machine, and how its steps are cut.
void add_size(options_of o, fit_command& c);

}  // namespace trimtab::cli
