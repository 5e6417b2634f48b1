// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"

#include <trimtab/core/prompt_pair.hpp>

/// How the untouched model answers a prompt.

namespace trimtab::cli {

struct untouched_answer {
  bool is_right = false;  ///< the correct answer is likelier than the wrong one
  bool is_said = false;   ///< it is the likeliest of all tokens
};
untouched_answer answer_of(const any_model& model, const prompt_pair& pair);

}  // namespace trimtab::cli
