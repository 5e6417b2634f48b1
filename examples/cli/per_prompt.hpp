// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "commands.hpp"

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/measure/metrics.hpp>

#include <string>
#include <vector>

/// The figures of each prompt, in JSON and as CSV.

namespace trimtab::cli {

/// A list of {"prompt", "correct", "wrong", "logit_diff", "flipped", "probability", "kl_masked", "kl_full",
/// "top_other_same"}; the figures are by strength, 0 the untouched model. Texts are null for prompts given as ids.
ordered_json per_prompt_json(const metrics& m, const std::vector<prompt_pair>& pairs);

inline const std::string per_prompt_header =
    "set,prompt,strength,logit_diff,flipped,probability_correct,probability_wrong,kl_masked,kl_full,top_other_same,"
    "text\n";

/// The lines of a set: one for each prompt, counted from 0, and strength.
std::string per_prompt_lines(const std::string& set, const metrics& m, const std::vector<prompt_pair>& pairs);

}  // namespace trimtab::cli
