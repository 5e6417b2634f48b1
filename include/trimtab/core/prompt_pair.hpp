// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

/// What a model is steered on: a prompt, the token that should follow it and the one that should not.

namespace trimtab {

/// The tokens [first, last) of a prompt.
struct token_span {
  int first = 0;
  int last = 0;

  friend bool operator==(const token_span&, const token_span&) = default;
};

/// Several tokens that count as one answer, the first of which stands for them where one token is asked for.
struct answer_set {
  std::vector<int> ids = {};
  std::vector<std::string> texts = {};  ///< as many, or none

  friend bool operator==(const answer_set&, const answer_set&) = default;
};

/// A text whose next token is a further token of an answer, `prompt_pair::correct_id`: see steer/continuations.hpp.
struct answer_step {
  int sign = 0;          ///< +1 for the correct answer, -1 for the wrong one; 0: no step
  std::size_t pair = 0;  ///< the number of its prompt pair in the list of prompts that both are in

  friend bool operator==(const answer_step&, const answer_step&) = default;
};

struct prompt_pair {
  std::string prompt = {};
  std::vector<int> ids = {};  ///< the prompt's tokens; its last one is where answers are scored
  int correct_id = 0;
  int wrong_id = 0;
  std::string correct = {};  ///< with its leading space, " Mary"
  std::string wrong = {};
  std::map<std::string, token_span> roles = {};         ///< by name: which tokens have which role in the task
  std::map<std::string, std::vector<int>> tokens = {};  ///< by name: token ids that custom terms read
  std::map<std::string, double> numbers = {};           ///< by name: numbers that custom terms read
  /// A counterfactual prompt of as many tokens, after which the answer is another; empty without one.
  std::string corrupt = {};
  std::vector<int> corrupt_ids = {};
  /// Where there are several acceptable answers, or several wrong ones: all of them, `correct_id` or `wrong_id` first.
  answer_set all_correct = {};
  answer_set all_wrong = {};
  /// Where an answer is a sequence of tokens: those after the first, which is `correct_id` or `wrong_id`.
  std::vector<int> correct_rest = {};
  std::vector<int> wrong_rest = {};
  answer_step step = {};
  /// Has no answers to steer between: what follows it is to stay as it is (`objective::retention`).
  bool retained = false;

  bool has_sets() const { return not all_correct.ids.empty() or not all_wrong.ids.empty(); }
  bool has_sequences() const { return not correct_rest.empty() or not wrong_rest.empty(); }
  std::span<const int> correct_ids() const {
    return all_correct.ids.empty() ? std::span(&correct_id, 1) : all_correct.ids;
  }
  std::span<const int> wrong_ids() const { return all_wrong.ids.empty() ? std::span(&wrong_id, 1) : all_wrong.ids; }

  friend bool operator==(const prompt_pair&, const prompt_pair&) = default;
};

}  // namespace trimtab
