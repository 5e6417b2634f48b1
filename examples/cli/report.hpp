// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"

#include <trimtab/report/page/fit_report.hpp>

#include <functional>
#include <map>
#include <string>
#include <vector>

/// What `fit` and `report` share: the report of a fit.

namespace trimtab::cli {

/// Measures an intervention and gathers what a page shows of it; `task` is what the prompts were drawn from, or empty,
/// `made` holds the settings that it was made with, `warnings` what is to be said of the fit.
report::fit_report describe(const any_composition& composition, const parameters& values,
                            const std::vector<named_prompts>& sets, const std::string& task,
                            std::vector<loss_values> history, const std::string& name,
                            const std::map<std::string, std::string>& made,
                            const std::vector<std::string>& warnings = {});

/// The last part of a folder's path.
std::string name_of(const path& folder);

/// Throws `io` for a file of heat maps that could not be written, before the work begins.
void require_heatmap(const picture_options& picture);

/// Writes the page of some fits and the file of their heat maps; a path that is empty is not written.
void write_reports(const std::vector<report::fit_report>& fits, const std::string& title, const path& page,
                   const picture_options& heatmap);

/// What a file of pictures may hold, as its ending says: SVG, which goes on below at a width in pixels and becomes PDF and
/// PNG too, or numbers.
struct picture_forms {
  std::function<std::string(double)> svg = {};
  std::function<std::string()> csv = {}, json = {};
};

/// Writes a file of pictures, if one is asked for.
void write_picture(const picture_options& picture, const picture_forms& forms);

/// The heat maps of fits as numbers.
std::string json_of(const std::vector<report::fit_report>& fits);

}  // namespace trimtab::cli
