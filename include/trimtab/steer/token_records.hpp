// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/model/batch.hpp>
#include <trimtab/steer/parameter_layout.hpp>
#include <trimtab/steer/sequence.hpp>

#include <cstddef>
#include <span>
#include <vector>

/// Which records the tokens of a batch use.

namespace trimtab {

/// Each token's record, or -1 for none, by sequence and intervention: [sequences][interventions][tokens].
using token_records = std::vector<std::vector<std::vector<int>>>;

/// The records that the layouts' positions give. Throws `mismatch` where positions do not fit a prompt.
inline token_records records_of(std::span<const parameter_layout> layouts, std::span<const prompt_pair> prompts,
                                std::span<const sequence> sequences) {
  token_records all;
  for (const sequence& s : sequences) {
    auto& of_sequence = all.emplace_back();
    for (const parameter_block& block : layouts[static_cast<std::size_t>(s.replica)].blocks) {
      const prompt_pair& prompt = prompts[static_cast<std::size_t>(s.prompt)];
      of_sequence.push_back(block.layers.empty() ? std::vector<int>(prompt.ids.size(), -1)
                                                 : block.positions.records(prompt));
    }
  }
  return all;
}

/// The first token of a sequence that has rows where all positions are computed, or only the scored ones.
inline std::size_t first_row(const sequence& s, std::size_t tokens, scored where) {
  return where == scored::all ? static_cast<std::size_t>(s.past) : tokens - 1;
}

}  // namespace trimtab
