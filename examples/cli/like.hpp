// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "describe.hpp"

#include <string>
#include <vector>

/// `trimtab fit --like FILE`: the options of a fit come from its intervention file, and those that are given besides
/// replace them.

namespace trimtab::cli {

/// The words of a command line with the options that a file named by --like says put before those given; `changed`
/// receives the names of the latter. Throws `bad_file` for a file that says no options, or one that no fit repeats:
/// whoever made a file must not choose what is written here.
std::vector<std::string> with_like(const description& d, const std::vector<std::string>& words,
                                   std::vector<std::string>& changed);

/// The options of a parsed command that say what is fitted and how, in place of what is written, shown or resumed.
std::vector<given_option> given_in(const description& d, const CLI::App& command);

}  // namespace trimtab::cli
