// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/task/prompt_pair.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

/// How tasks make a set of prompts: they draw at random until there are enough different ones.

namespace trimtab::task {

/// More would not fit into memory and must be a mistake.
inline constexpr int prompt_limit = 1'000'000;

/// Throws `bad_argument` unless 0 <= count <= `prompt_limit`.
inline void require_count(const std::string& name, int count) {
  if (count < 0 or count > prompt_limit)
    throw error(error_kind::bad_argument, name + " should be a number of prompts from 0 to " +
                                              std::to_string(prompt_limit) + ", found " + std::to_string(count));
}

/// Calls `draw()`, which returns a prompt or nothing, until there are `count` prompts that differ in text or in
/// answers. Throws `bad_data` if there seem to be no more: `set` names what was asked for, `remedy` says what to
/// change.
template <typename Draw>
std::vector<prompt_pair> draw_distinct(int count, std::string_view set, std::string_view remedy, Draw draw) {
  std::vector<prompt_pair> prompts;
  std::set<std::tuple<std::string, int, int>> seen;
  const auto wanted = static_cast<std::size_t>(count);
  // If one of n prompts is missing, the chance that 20 n draws do not find it is e^-20.
  for (std::size_t in_vain = 0; prompts.size() < wanted and in_vain < 20 * (prompts.size() + 50);) {
    std::optional<prompt_pair> drawn = draw();
    if (drawn and seen.emplace(drawn->prompt, drawn->correct_id, drawn->wrong_id).second) {
      prompts.push_back(std::move(*drawn));
      in_vain = 0;
    } else {
      ++in_vain;
    }
  }
  if (prompts.size() < wanted)
    throw error(error_kind::bad_data, std::string(set) + ": " + std::to_string(count) +
                                          " different prompts were asked for, but only " +
                                          std::to_string(prompts.size()) + " could be made; " + std::string(remedy));
  return prompts;
}

/// The most frequent value, the first of several. `values` must not be empty.
inline int most_common(const std::vector<int>& values) {
  std::map<int, std::ptrdiff_t> counts;
  for (const auto value : values) ++counts[value];
  return *std::ranges::max_element(values, {}, [&](int value) { return counts[value]; });
}

/// Cuts a list into two halves, the first one larger if they cannot be equal.
template <typename T>
std::pair<std::vector<T>, std::vector<T>> halves(const std::vector<T>& list) {
  const auto middle = list.begin() + (std::ssize(list) + 1) / 2;
  return {{list.begin(), middle}, {middle, list.end()}};
}

}  // namespace trimtab::task
