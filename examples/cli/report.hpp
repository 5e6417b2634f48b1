// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"

#include <trimtab/report/page/fit_report.hpp>

#include <map>
#include <string>
#include <vector>

/// What `fit` and `report` share: the report of a fit.

namespace trimtab::cli {

/// Measures an intervention and gathers what a page shows of it; `made` holds the settings that it was made with.
report::fit_report describe(const any_composition& composition, const parameters& values,
                            const std::vector<named_prompts>& sets, std::vector<loss_values> history,
                            const std::string& name, const std::map<std::string, std::string>& made);

/// The last part of a folder's path.
std::string name_of(const path& folder);

/// Writes the page of some fits and the file of their heat maps; a path that is empty is not written.
void write_reports(const std::vector<report::fit_report>& fits, const std::string& title, const path& page,
                   const path& heatmap);

}  // namespace trimtab::cli
