// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/position.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/steer/parameters.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

/// Which record each token of a growing text uses. By default positions keep their meaning: each next token is
/// computed exactly as a fit would score the text so far, so that `from_end` moves with the text.

namespace trimtab {

/// Which tokens an intervention acts on.
enum class steered_phase { all, prompt, generated };

struct growth {
  steered_phase phase = steered_phase::all;
  /// Whether tokens keep the record that they had when they were the last token, and so their keys and values, as in
  /// libraries that hook each step of a key-value cache.
  bool as_processed = false;
};

/// [tokens] the record of each token of a text that grew out of `prompt`, or -1 for none. Throws `mismatch` for
/// absolute positions and a prompt of another length, `bad_argument` for them in another phase than `prompt`.
inline std::vector<int> records_while_growing(const position_key& key, const prompt_pair& prompt,
                                              const std::vector<int>& text, const growth& how) {
  const bool on_generated = how.phase != steered_phase::prompt;
  if (key.by() == position_key::kind::absolute and on_generated)
    throw error(
        error_kind::bad_argument,
        "the intervention has absolute positions for prompts of " + std::to_string(key.count()) +
            " tokens, but generated text has no fixed length; steer the prompt only (phase prompt), or fit with "
            "from_end, role or shared positions");
  std::vector<int> records;
  if (on_generated and not how.as_processed) {
    prompt_pair grown = prompt;
    grown.ids = text;
    records = key.records(grown);
  } else {
    records = key.records(prompt);
  }
  if (on_generated and how.as_processed) {
    prompt_pair last_token;  // without a role
    last_token.ids = {0};
    records.resize(text.size(), key.records(last_token).front());
  }
  records.resize(text.size(), -1);
  if (how.phase == steered_phase::generated) std::fill_n(records.begin(), prompt.ids.size(), -1);
  return records;
}

/// Which records of an intervention are not all zeros, by layer. Zeros leave activations as they are, bit for bit, so
/// a token with such a record is one without any.
class active_records {
 public:
  active_records(const parameters& values, std::size_t intervention)
      : block_(&values.layout.blocks[intervention]), in_any_(static_cast<std::size_t>(block_->positions.count())) {
    for (std::size_t k = 0; k < block_->layers.size(); ++k) {
      std::vector<bool>& active = by_layer_.emplace_back(in_any_.size());
      for (std::size_t r = 0; r < active.size(); ++r)
        for (index_t part = 0; part < block_->parts; ++part)
          if (norm_of_record(*block_, values.record(*block_, static_cast<index_t>(k), static_cast<index_t>(r), part),
                             0) > 0)
            active[r] = in_any_[r] = true;
    }
  }

  const parameter_block& block() const { return *block_; }
  /// Whether the record is not zero in any layer.
  bool in_any(int record) const { return record >= 0 and in_any_[static_cast<std::size_t>(record)]; }
  /// The same in the block's k-th layer.
  bool in_layer(std::size_t k, int record) const {
    return record >= 0 and by_layer_[k][static_cast<std::size_t>(record)];
  }

 private:
  const parameter_block* block_;
  std::vector<bool> in_any_;
  std::vector<std::vector<bool>> by_layer_ = {};
};

}  // namespace trimtab
