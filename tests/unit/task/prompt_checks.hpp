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

/// What holds for the prompts of every task.

namespace trimtab::test {

/// The text of the tokens that play a role.
template <typename Tokenizer>
std::string text_of(Tokenizer const& tokenizer, prompt_pair const& pair, std::string const& role) {
  auto const [first, last] = pair.roles.at(role);
  REQUIRE((0 <= first and first < last and last <= static_cast<int>(pair.ids.size())));
  return tokenizer.decode(
      std::span(pair.ids).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first)));
}

/// Each prompt's ids, answers and last token are what its texts say, and no prompt comes twice.
template <typename Tokenizer>
void check_prompts(Tokenizer const& tokenizer, std::vector<prompt_pair> const& prompts) {
  std::set<std::tuple<std::string, std::string, std::string>> different;
  for (auto const& pair : prompts) {
    CAPTURE(pair.prompt, pair.correct, pair.wrong);
    CHECK(pair.ids == tokenizer.encode(pair.prompt));
    CHECK(std::vector{pair.correct_id} == tokenizer.encode(pair.correct));
    CHECK(std::vector{pair.wrong_id} == tokenizer.encode(pair.wrong));
    CHECK(pair.correct_id != pair.wrong_id);
    auto const length = static_cast<int>(pair.ids.size());
    CHECK(pair.roles.at("end") == token_span{length - 1, length});
    different.emplace(pair.prompt, pair.correct, pair.wrong);
  }
  CHECK(different.size() == prompts.size());
}

/// All prompts of train and test have one length, those of the other set have others.
inline void check_lengths(task::prompt_sets const& sets) {
  auto const length = sets.train.at(0).ids.size();
  for (auto const& pair : sets.train) CHECK(pair.ids.size() == length);
  for (auto const& pair : sets.test) CHECK(pair.ids.size() == length);
  for (auto const& pair : sets.test_other_lengths) CHECK(pair.ids.size() != length);
}

inline std::set<std::string> answers(std::vector<prompt_pair> const& prompts) {
  std::set<std::string> all;
  for (auto const& pair : prompts) all.insert({pair.correct, pair.wrong});
  return all;
}

inline bool disjoint(std::set<std::string> const& a, std::set<std::string> const& b) {
  for (auto const& word : a)
    if (b.contains(word)) return false;
  return true;
}

}  // namespace trimtab::test
