// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/generate/growing_records.hpp>
#include <trimtab/generate/ledger.hpp>
#include <trimtab/generate/sampling.hpp>

#include <cstdint>
#include <functional>
#include <vector>

/// What to generate, and the texts that come of it.

namespace trimtab {

enum class stop_reason {
  length,       ///< as many new tokens as were asked for
  end,          ///< a token that ends a text
  stop_text,    ///< the caller's `after_token` said so
  context,      ///< the model reads no longer text
  interrupted,  ///< the caller's `after_token` ended all texts
};

/// A text that goes on, or went on.
struct generated_text {
  index_t prompt = 0;  ///< which of the prompts
  double strength = 0;
  index_t sample = 0;
  std::vector<int> ids = {};  ///< the new tokens, without one that ended the text
  stop_reason stopped = stop_reason::length;
  touched_by_site touched = {};                ///< set at the end
  index_t rows = 0;                            ///< how many tokens were run, those that were run again included
  std::vector<double> log_probabilities = {};  ///< of the new tokens before temperature, on request

  friend bool operator==(const generated_text&, const generated_text&) = default;
};

/// What is to be done after a new token.
enum class after { go_on, end_text, end_all };

struct generation_options {
  std::vector<double> strengths = {1};
  index_t new_tokens = 40;
  index_t samples = 1;  ///< for each prompt and strength; all strengths draw the same random numbers
  sampling how = {};
  std::uint64_t seed = 1;
  std::vector<int> end = {};  ///< tokens that end a text
  growth positions = {};
  bool log_probabilities = false;
  index_t texts_at_once = 16;  ///< which bounds the memory
  /// Called as after_token(text, its index in the result) after each new token.
  std::function<after(const generated_text&, index_t)> after_token = {};
};

}  // namespace trimtab
