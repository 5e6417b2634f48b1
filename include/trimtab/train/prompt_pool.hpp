// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/steer/continuations.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <span>
#include <vector>

namespace trimtab {

/// A prompt of a fit, and the texts of its answers' further tokens, as indices into a pool.
struct pooled_prompt {
  index_t prompt = 0;
  std::vector<index_t> continuations = {};
};

/// The prompts, and after them the texts of their further tokens, as in steer/continuations.hpp.
inline std::vector<index_t> with_continuations(std::span<const pooled_prompt> prompts) {
  std::vector<index_t> all;
  for (const pooled_prompt& p : prompts) all.push_back(p.prompt);
  for (const pooled_prompt& p : prompts) all.insert(all.end(), p.continuations.begin(), p.continuations.end());
  return all;
}

/// The prompts of several fits and their continuations, each stored once however many fits see it.
class prompt_pool {
 public:
  /// A prompt and its continuations, which are added if they are not there. In the pool a `step` has its pair's index.
  pooled_prompt add(const prompt_pair& prompt) {
    pooled_prompt added{index_of(prompt)};
    if (not prompt.has_sequences()) return added;
    std::vector<prompt_pair> texts = with_continuations(std::span(&prompt, 1));
    for (prompt_pair& text : std::span(texts).subspan(1)) {
      text.step.pair = static_cast<std::size_t>(added.prompt);
      added.continuations.push_back(index_of(text));
    }
    return added;
  }
  const std::vector<prompt_pair>& all() const { return all_; }

 private:
  index_t index_of(const prompt_pair& prompt) {
    std::vector<index_t>& alike = by_ids_[prompt.ids];
    const auto same =
        std::ranges::find_if(alike, [&](index_t n) { return all_[static_cast<std::size_t>(n)] == prompt; });
    if (same != alike.end()) return *same;
    all_.push_back(prompt);
    return alike.emplace_back(std::ssize(all_) - 1);
  }

  std::vector<prompt_pair> all_ = {};
  std::map<std::vector<int>, std::vector<index_t>> by_ids_ = {};
};

}  // namespace trimtab
