// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"

#include <trimtab/report/fit_report.hpp>

#include <map>
#include <string>
#include <vector>

/// What `fit` and `report` share: a fit as a page shows it.

namespace trimtab::cli {

/// Measures an intervention and gathers what a page shows of it; `made` says how it came to be.
report::fit_report describe(any_composition const& composition, parameters const& values,
                            std::vector<named_prompts> const& sets, std::vector<loss_values> history,
                            std::string const& name, std::map<std::string, std::string> const& made);

/// A folder without the way to it.
std::string name_of(path const& folder);

/// Writes the page of some fits and the file of their heat maps, each where it has a name.
void write_reports(std::vector<report::fit_report> const& fits, std::string const& title, path const& page,
                   path const& heatmap);

}  // namespace trimtab::cli
