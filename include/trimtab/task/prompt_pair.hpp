// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>

#include <concepts>
#include <optional>
#include <string_view>
#include <vector>

/// The result of a task: prompt pairs to train and to test on, for any tokenizer.

namespace trimtab::task {

struct prompt_sets {
  std::vector<prompt_pair> train = {};
  std::vector<prompt_pair> test = {};                ///< of train's length, with none of its entities
  std::vector<prompt_pair> test_other_lengths = {};  ///< of any length but train's, with none of its entities
};

/// Text to token ids.
///
/// Satisfied by: `text::tokenizer`.
/// Cutting a text before a space must not change its ids.
template <typename T>
concept text_encoder = requires(const T& encoder, std::string_view text) {
  { encoder.encode(text) } -> std::convertible_to<std::vector<int>>;
};

/// The ids of a prompt: those that the encoder puts before every prompt, if it has an `encode_prompt`, then those of
/// the text. An answer has only the latter.
std::vector<int> prompt_ids(const text_encoder auto& encoder, std::string_view text) {
  if constexpr (requires { encoder.encode_prompt(text); })
    return encoder.encode_prompt(text);
  else
    return encoder.encode(text);
}

/// The id of a text that is one token, nothing for a text of several.
std::optional<int> single_token(const text_encoder auto& encoder, std::string_view text) {
  const std::vector<int> ids = encoder.encode(text);
  return ids.size() == 1 ? std::optional(ids.front()) : std::nullopt;
}

}  // namespace trimtab::task
