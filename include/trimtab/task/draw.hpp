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

/// Which templates and which lengths prompts have.
struct shape_options {
  std::vector<int> templates = {};  ///< numbers in the task's list; empty: all
  std::vector<int> lengths = {};    ///< in tokens, of train and test prompts; empty: the most common one
  bool any_length = false;          ///< train and test prompts of all lengths, in place of `lengths`

  bool is_chosen() const { return any_length or not templates.empty() or not lengths.empty(); }
  /// Whether train and test prompts may have this length.
  bool has(int length, int most_common) const {
    return any_length or (lengths.empty() ? length == most_common : std::ranges::count(lengths, length) > 0);
  }
};

/// The chosen of some templates, or all. Throws `bad_argument` for a number that none has.
template <typename Templates>
std::vector<std::string_view> chosen_templates(const std::string& task, const Templates& all,
                                               const std::vector<int>& chosen) {
  if (chosen.empty()) return {all.begin(), all.end()};
  std::vector<std::string_view> templates;
  for (const int number : chosen) {
    if (number < 0 or number >= std::ssize(all))
      throw error(error_kind::bad_argument, "the task " + task + " has the templates 0 to " +
                                                std::to_string(std::ssize(all) - 1) + ", and no template " +
                                                std::to_string(number));
    templates.push_back(all[static_cast<std::size_t>(number)]);
  }
  return templates;
}

/// Throws `bad_argument` for a length that no prompt of the task has.
inline void require_lengths(const std::string& task, const std::vector<int>& asked, std::vector<int> there) {
  std::ranges::sort(there);
  there.erase(std::unique(there.begin(), there.end()), there.end());
  for (const int length : asked) {
    if (std::ranges::binary_search(there, length)) continue;
    std::string list;
    for (const int one : there) list += (list.empty() ? "" : ", ") + std::to_string(one);
    throw error(error_kind::bad_argument, "the task " + task + " has no prompts of " + std::to_string(length) +
                                              " tokens for this tokenizer and these templates; it has " + list);
  }
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
