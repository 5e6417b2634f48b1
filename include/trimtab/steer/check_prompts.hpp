// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/core/view.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

/// Checks of prompts and strengths before anything is computed with them.

namespace trimtab {

/// Throws `bad_data` for no prompts, a token outside the vocabulary among those that terms read, or two equal answers.
inline void check_prompts(std::span<const prompt_pair> prompts, index_t vocabulary) {
  if (prompts.empty()) throw error(error_kind::bad_data, "there are no prompts; at least one prompt pair is needed");
  std::size_t number = 0;
  for (const prompt_pair& p : prompts) {
    const std::string which = "prompt pair " + std::to_string(++number);
    const auto require_known = [&](std::span<const int> ids, const std::string& what) {
      for (int id : ids)
        if (id < 0 or id >= vocabulary)
          throw error(error_kind::bad_data, which + " has the " + what + " " + std::to_string(id) +
                                                ", outside the model's vocabulary of " + std::to_string(vocabulary));
    };
    std::vector<int> answers(p.correct_ids().begin(), p.correct_ids().end());
    answers.insert(answers.end(), p.wrong_ids().begin(), p.wrong_ids().end());
    // Of retained prompts too: terms run on every row, and what does not concern them has no weight.
    require_known(answers, "answer token");
    require_known(p.correct_rest, "answer token");
    require_known(p.wrong_rest, "answer token");
    for (const auto& [name, ids] : p.tokens) require_known(ids, "token of '" + name + "'");
    if (p.retained) continue;
    std::ranges::sort(answers);
    if (std::ranges::adjacent_find(answers) == answers.end() or p.correct_rest != p.wrong_rest) continue;
    throw error(error_kind::bad_data,
                which + (p.has_sets() ? " has one token twice among its answers; all must differ"
                                      : " has the same token as correct and as wrong answer; they must differ"));
  }
}

/// Throws `bad_data` for a prompt pair with sets or sequences of answers, of which `who` compares one with one.
inline void require_single_answers(std::span<const prompt_pair> prompts, const std::string& who) {
  const auto several =
      std::ranges::find_if(prompts, [](const prompt_pair& p) { return p.has_sets() or p.has_sequences(); });
  if (several != prompts.end())
    throw error(error_kind::bad_data, "prompt pair " + std::to_string(several - prompts.begin() + 1) +
                                          " has several tokens as an answer, and " + who +
                                          " compares one token with one; give each one token");
}

/// Throws `bad_argument` for no strengths, one that is not finite, or one given twice.
inline void check_strengths(std::span<const double> strengths) {
  if (strengths.empty())
    throw error(error_kind::bad_argument, "there are no strengths; give at least one, such as 1,-1");
  for (double beta : strengths) {
    if (not(std::abs(beta) <= std::numeric_limits<double>::max()))  // also NaN
      throw error(error_kind::bad_argument, "a strength is " + setting_text(beta) + "; it must be a finite number");
    if (std::ranges::count(strengths, beta) > 1)
      throw error(error_kind::bad_argument,
                  "the strength " + setting_text(beta) + " is given twice; list each strength once");
  }
}

}  // namespace trimtab
