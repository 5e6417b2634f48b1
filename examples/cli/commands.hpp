// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

#include <nlohmann/json.hpp>

#include <string>

/// The commands. Each gives what it found twice, for programs and for people (`tokenize` only as asked for: texts may be
/// long), and prints nothing: a command that fails half way must leave standard output empty.

namespace trimtab::cli {

using ordered_json = nlohmann::ordered_json;

struct output {
  /// An object from the start, like all that is built member by member: where memory ends while nlohmann's makes one of
  /// null, its destructor touches what was never made.
  ordered_json json = ordered_json::object();
  std::string text = {};
  int status = 0;  ///< the exit status
};

output fit(fit_command const& command, common_options const& common);
output eval(eval_command const& command, common_options const& common);
output loss(loss_command const& command, common_options const& common);
output report(report_command const& command, common_options const& common);
output logits(logits_command const& command, common_options const& common);
output generate(generate_command const& command, common_options const& common);
output tokenize(tokenize_command const& command, common_options const& common);
output inspect(inspect_command const& command);

}  // namespace trimtab::cli
