// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
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

  friend bool operator==(const prompt_pair&, const prompt_pair&) = default;
};

}  // namespace trimtab
