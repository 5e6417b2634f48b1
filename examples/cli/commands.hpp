// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

#include <nlohmann/json.hpp>

#include <string>

/// The commands. Each returns its result in two forms, as JSON and as text (`tokenize` only in the one that is asked
/// for, because texts may be long). None prints anything: a command that fails half way must leave standard output
/// empty.

namespace trimtab::cli {

using ordered_json = nlohmann::ordered_json;

struct output {
  /// An object from the start, not null. If memory runs out while nlohmann's library turns null into an object, its
  /// destructor reads memory that was never initialised. So every value that is built member by member starts like
  /// this.
  ordered_json json = ordered_json::object();
  std::string text = {};
  int status = 0;  ///< the exit status
};

/// Runs the command of a line.
output run(const command_line& line);

output fit(const fit_command& command, const common_options& common);
output sweep(const sweep_command& command, const common_options& common);
output study(const study_command& command, const common_options& common);
output certify(const certify_command& command, const common_options& common);
output eval(const eval_command& command, const common_options& common);
output check(const check_command& command, const common_options& common);
output loss(const loss_command& command, const common_options& common);
output explain(const explain_command& command, const common_options& common);
output report(const report_command& command, const common_options& common);
output logits(const logits_command& command, const common_options& common);
output generate(const generate_command& command, const common_options& common);
output bake(const bake_command& command, const common_options& common);
output export_to(const export_command& command);
output import_from(const import_command& command, const common_options& common);
output task(const task_command& command, const common_options& common);
output tokenize(const tokenize_command& command, const common_options& common);
output inspect(const inspect_command& command);

}  // namespace trimtab::cli
