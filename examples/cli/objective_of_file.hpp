// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"

#include <map>
#include <string>

/// The objective of a fit as its intervention file says it, for commands that measure by it.

namespace trimtab::cli {

/// What becomes of an option that is neither given nor in the file. The file of an imported intervention says nothing.
enum class unsaid { has_its_default, is_an_error };

/// `asked` with what the file says of each option that is not in `asked.given`. Throws `bad_file` for a number or a
/// word that none of them takes, and `bad_argument` where the file says nothing and that is an error; `name` is its
/// path.
objective_options objective_of(const intervention_file& file, const path& name, const objective_options& asked,
                               unsaid otherwise);

/// The file of the prompts that the fit retained: the one asked for, else the one that the intervention file names;
/// empty where there are none. Throws `bad_argument` for --lambda-r without such prompts, and `io` where they are not
/// there and that is an error; else it warns.
path retained_in_fit(const intervention_file& file, const path& name, const path& asked_for,
                     const objective_options& asked, unsaid otherwise);

/// Sets what a file says of an objective; `retains`: it has prompts that are to stay as they are.
void say(const objective_options& objective, bool retains, std::map<std::string, std::string>& made);

}  // namespace trimtab::cli
