// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/steer/check_prompts.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

/// The corrupt prompts of prompt pairs.

namespace trimtab::explain::detail {

/// Throws `bad_data` as `trimtab::check_prompts` does, and for a prompt pair without a corrupt prompt, with one of
/// another length or with one that is equal to the prompt.
inline void check_corrupt(std::span<const prompt_pair> prompts, index_t vocabulary) {
  check_prompts(prompts, vocabulary);
  require_single_answers(prompts, "explain");
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const prompt_pair& p = prompts[n];
    const auto refuse = [&](const std::string& what) {
      throw error(error_kind::bad_data, "prompt pair " + std::to_string(n + 1) + " has " + what);
    };
    if (p.corrupt_ids.empty()) refuse("no corrupt prompt, which this method needs");
    if (p.corrupt_ids.size() != p.ids.size())
      refuse("a corrupt prompt of " + std::to_string(p.corrupt_ids.size()) + " tokens, but its prompt has " +
             std::to_string(p.ids.size()) + "; both need the same number");
    if (p.corrupt_ids == p.ids) refuse("a corrupt prompt that is equal to its prompt; they must differ");
  }
}

inline std::vector<std::vector<int>> corrupt_ids_of(std::span<const prompt_pair> prompts) {
  std::vector<std::vector<int>> ids;
  for (const prompt_pair& p : prompts) ids.push_back(p.corrupt_ids);
  return ids;
}

}  // namespace trimtab::explain::detail
