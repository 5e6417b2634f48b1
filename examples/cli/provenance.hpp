// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"
#include "model.hpp"

#include <map>
#include <string>
#include <vector>

/// How an intervention was made: with what, on what and by which command, so that others can say it and do it again.

namespace trimtab::cli {

/// Completes what `made_by` says of a fit: all options, given or by default, the sets of prompts and their hashes, the
/// versions, the instruction set and the command line.
void add_provenance(const fit_command& command, const std::vector<named_prompts>& sets, const common_options& common,
                    std::map<std::string, std::string>& made);

/// Words as a line for a shell.
std::string shell_line(const std::vector<std::string>& words);

/// The options of a fit that an intervention file holds, a word each: "--task=ioi". `name` is the file's, for errors:
/// throws `bad_file` for a file that does not say them.
std::vector<std::string> arguments_in(const std::map<std::string, std::string>& made, const std::string& name);

/// "trimtab fit --model=gpt2 ...", the line that repeats a fit; empty for a file that does not say all of its options.
std::string line_that_repeats(const std::map<std::string, std::string>& made, const std::string& name);

/// The hash of the weights of a composition's model; `prompts` give its parameters their layout.
std::string weights_hash_of(const any_composition& composition, const std::vector<prompt_pair>& prompts);

/// Whether a file says that it was fitted on other prompts than these; false where it says nothing of them.
bool is_of_other_prompts(const std::map<std::string, std::string>& made, const std::vector<prompt_pair>& prompts);

/// Warns where the train prompts of a task are not those that the file was fitted on, such as another draw.
void warn_of_other_train(const std::map<std::string, std::string>& made, const path& name, const data_options& data,
                         const std::vector<prompt_pair>& train);

/// With --like and another policy, model or other prompts: says which settings are still those of the file.
void tell_what_is_kept(const fit_command& command);

/// Throws `mismatch` where a fit with --like reads other prompts or another model than the fit of the file, though none
/// were asked for.
void require_like(const fit_command& command, const std::vector<named_prompts>& sets, const std::string& model_hash);

/// Whether two fits have the same parameters, bit for bit, and if not how far they are apart and what may be the cause.
struct comparison {
  bool same_bits = false;
  std::string sentence = {};
};
comparison compare_with(const path& like, const intervention_file& made_now);

}  // namespace trimtab::cli
