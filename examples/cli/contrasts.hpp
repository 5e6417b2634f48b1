// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"
#include "model.hpp"

#include <vector>

/// What `fit --method mean-difference` and `--method pca` contrast.

namespace trimtab::cli {

/// Token ids in pairs, as many of one kind as of the other.
struct contrasts {
  std::vector<std::vector<int>> positive = {}, negative = {};
};

/// The texts of --positive and --negative, or the prompts and their corrupt prompts. Throws `bad_data` for a prompt
/// without one, `bad_text` for a text that the model cannot read, and `io`.
contrasts contrasts_of(const fit_command& command, const any_model& model, const std::vector<prompt_pair>& prompts);

}  // namespace trimtab::cli
