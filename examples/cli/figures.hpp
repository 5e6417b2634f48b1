// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "commands.hpp"
#include "model.hpp"

#include <trimtab/report/text.hpp>

#include <string>
#include <vector>

/// The figures of an evaluation, as JSON and as text.

namespace trimtab::cli {

/// {"flip_rate": {"+1", "-1", "both"}, "logit_diff": {"0", "+1", "-1"}, "probability": {"correct", "wrong"},
/// "kl_masked", "kl_by_strength", ...}, with Wilson's 95 % interval of each rate ("flip_rate_interval") and the
/// standard error of each mean over prompts ("logit_diff_error", ...; null for a single prompt).
ordered_json to_json(const metrics& m);

/// The same figures of the untouched model, with "newly_flipped": for each strength how many prompts the intervention
/// gains and loses, and the 95 % interval of the difference.
ordered_json untouched_json(const metrics& m);

/// A table with a line for each strength, the untouched model's first, and which prompts are newly flipped.
std::string to_text(const std::string& name, const metrics& m);

/// The loss and its terms.
ordered_json terms_of(const loss_result& found);

/// What becomes of prompts that are to stay as they are.
ordered_json retention_json(const any_composition& composition, const parameters& values,
                            const std::vector<prompt_pair>& retained, const objective_options& objective,
                            const any_communicator& ranks = {}, index_t memory = 0);
/// Adds "retain": what becomes of prompts that are to stay as they are.
void add_retention(const any_composition& composition, const parameters& values,
                   const std::vector<prompt_pair>& retained, const objective_options& objective, output& to,
                   const any_communicator& ranks = {}, index_t memory = 0);

/// Adds "parameters", "nonzero_parameters", "nonzero_sites" and "l1".
void add_counts(const parameter_counts& c, output& to);

/// Adds one set's figures to an output, and under "untouched" those without the intervention.
void add_metrics(const std::string& name, const metrics& m, output& to);

using report::counted;

/// A line of cells, in aligned columns.
std::string columns(const std::vector<std::string>& cells);
std::string rounded(double value);

/// Polishes until the end, for `most` steps if that is not 0, or until a signal that an `interrupt_watch` notes; shows
/// a progress bar.
polished polish_until_ended(const any_composition& composition, const parameters& values,
                            std::span<const prompt_pair> prompts, const objective_options& objective, index_t most,
                            const common_options& common);
/// What polishing changed: {"steps", "before", "after"}, with the largest violations.
ordered_json to_json(const polished& found);

}  // namespace trimtab::cli
