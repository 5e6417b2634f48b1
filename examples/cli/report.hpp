// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"

#include <trimtab/report/page/fit_report.hpp>

#include <map>
#include <string>
#include <vector>

/// What `fit` and `report` share: the report of a fit.

namespace trimtab::cli {

/// Measures an intervention and gathers what a page shows of it; `made` holds the settings that it was made with,
/// `warnings` what is to be said of the fit.
report::fit_report describe(const any_composition& composition, const parameters& values,
                            const std::vector<named_prompts>& sets, std::vector<loss_values> history,
                            const std::string& name, const std::map<std::string, std::string>& made,
                            const std::vector<std::string>& warnings = {});

/// The last part of a folder's path.
std::string name_of(const path& folder);

/// Throws `io` for a file of heat maps that could not be written, before the work begins.
void require_heatmap(const path& file);

/// Writes the page of some fits and the file of their heat maps; a path that is empty is not written.
void write_reports(const std::vector<report::fit_report>& fits, const std::string& title, const path& page,
                   const path& heatmap);

}  // namespace trimtab::cli
