// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/view.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <vector>

namespace trimtab {

/// The prompts of several fits, each stored once however many fits see it.
class prompt_pool {
 public:
  /// The index of a prompt, which is added if it is not there.
  index_t add(const prompt_pair& prompt) {
    std::vector<index_t>& alike = by_ids_[prompt.ids];
    const auto same =
        std::ranges::find_if(alike, [&](index_t n) { return all_[static_cast<std::size_t>(n)] == prompt; });
    if (same != alike.end()) return *same;
    all_.push_back(prompt);
    return alike.emplace_back(std::ssize(all_) - 1);
  }
  const std::vector<prompt_pair>& all() const { return all_; }

 private:
  std::vector<prompt_pair> all_ = {};
  std::map<std::vector<int>, std::vector<index_t>> by_ids_ = {};
};

}  // namespace trimtab
