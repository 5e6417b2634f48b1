// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"

#include <trimtab/report/page/fit_report.hpp>

#include <map>
#include <string>
#include <vector>

/// What `fit` and `report` share: a fit as a page shows it.

namespace trimtab::cli {

/// Measures an intervention and gathers what a page shows of it; `made` says how it came to be.
report::fit_report describe(const any_composition& composition, const parameters& values,
                            const std::vector<named_prompts>& sets, std::vector<loss_values> history,
                            const std::string& name, const std::map<std::string, std::string>& made);

/// A folder without the way to it.
std::string name_of(const path& folder);

/// Writes the page of some fits and the file of their heat maps, each where it has a name.
void write_reports(const std::vector<report::fit_report>& fits, const std::string& title, const path& page,
                   const path& heatmap);

}  // namespace trimtab::cli
