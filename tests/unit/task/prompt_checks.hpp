// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/task/prompt_pair.hpp>

#include "support/catch.hpp"

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

/// Checks that hold for the prompts of every task.

namespace trimtab::test {

/// The text of the tokens that play a role.
template <typename Tokenizer>
std::string text_of(const Tokenizer& tokenizer, const prompt_pair& pair, const std::string& role) {
  const auto [first, last] = pair.roles.at(role);
  REQUIRE((0 <= first and first < last and last <= static_cast<int>(pair.ids.size())));
  return tokenizer.decode(
      std::span(pair.ids).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first)));
}

/// Checks that each prompt's ids, answers and last token agree with its texts, and that no prompt occurs twice.
template <typename Tokenizer>
void check_prompts(const Tokenizer& tokenizer, const std::vector<prompt_pair>& prompts) {
  std::set<std::tuple<std::string, std::string, std::string>> different;
  for (const auto& pair : prompts) {
    CAPTURE(pair.prompt, pair.correct, pair.wrong);
    CHECK(pair.ids == tokenizer.encode(pair.prompt));
    CHECK(std::vector{pair.correct_id} == tokenizer.encode(pair.correct));
    CHECK(std::vector{pair.wrong_id} == tokenizer.encode(pair.wrong));
    CHECK(pair.correct_id != pair.wrong_id);
    const auto length = static_cast<int>(pair.ids.size());
    CHECK(pair.roles.at("end") == token_span{length - 1, length});
    different.emplace(pair.prompt, pair.correct, pair.wrong);
  }
  CHECK(different.size() == prompts.size());
}

/// Checks that all prompts of `train` and `test` have the same length, and those of `test_other_lengths` other lengths.
inline void check_lengths(const task::prompt_sets& sets) {
  const auto length = sets.train.at(0).ids.size();
  for (const auto& pair : sets.train) CHECK(pair.ids.size() == length);
  for (const auto& pair : sets.test) CHECK(pair.ids.size() == length);
  for (const auto& pair : sets.test_other_lengths) CHECK(pair.ids.size() != length);
}

inline std::set<std::string> answers(const std::vector<prompt_pair>& prompts) {
  std::set<std::string> all;
  for (const auto& pair : prompts) all.insert({pair.correct, pair.wrong});
  return all;
}

inline bool disjoint(const std::set<std::string>& a, const std::set<std::string>& b) {
  for (const auto& word : a)
    if (b.contains(word)) return false;
  return true;
}

}  // namespace trimtab::test
