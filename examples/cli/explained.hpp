// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "commands.hpp"
#include "model.hpp"

#include <trimtab/report/page/explain_section.hpp>

#include <optional>
#include <string>
#include <vector>

/// What the methods of `explain` say, as JSON and as facts for people.

namespace trimtab::cli {

/// A method, the places that it was asked for, and what it said of them.
struct explained {
  explain::options chosen = {};
  explain::place_map map = {};
  std::optional<explain::ranking_curve> curve = {};
  std::vector<std::pair<std::string, ranking_agreement>> with_fits = {};  ///< by file
  report::fit_report shown = {};
  ordered_json json = ordered_json::object();
};

/// A number, null for NaN.
ordered_json number_or_null(double x);

/// Adds KEY and KEY_interval.
void add_interval(const std::string& key, const with_interval& x, ordered_json& to);

/// "0.83 [0.70, 0.91]"
std::string text_of(const with_interval& x);

/// The scores of a map: {"method", "metric", "prompts", "clean", "corrupt", "scores", "counts"}, with "per_prompt" on
/// request, and "addends" and "lens" where the method has them. `layers` are the model's.
ordered_json json_of(const explain::place_map& map, std::span<const prompt_pair> prompts, index_t layers,
                     bool per_prompt);

/// {"kept", "faithfulness", "faithfulness_by_score", "cpr", "cmd", with intervals, "random"}
ordered_json json_of(const explain::ranking_curve& curve);

/// {"spearman", "kendall", "overlap", with intervals, "k"}
void add_agreement(const ranking_agreement& found, ordered_json& to);

/// Whether a fit intervenes at a site that a map scores.
bool shares_site(const explain::place_map& map, const parameters& fit);

/// The agreement with a fit, its overlap being that of the places that the fit has kept, or of ten if it has kept all.
/// Throws `mismatch` for a fit at other places.
ranking_agreement agreement_with_fit(const explain::place_map& map, const parameters& fit, const std::string& name);

/// The maps of a method, one for each site, whose places have these names. Cells of the logit lens show the likeliest
/// token.
report::map_group maps_of(const explain::place_map& map, const std::vector<std::string>& names, const any_model& model);

/// `explain --method attention`.
output attention(const explain_command& command, const common_options& common, const any_model& model);

}  // namespace trimtab::cli
