// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/json/json.hpp>

#include "small_tokenizer.hpp"

/// A small tokenizer in the form of Hugging Face's `tokenizer.json`, for tests of its reader.

namespace trimtab::test {

/// "ab" is 256, " ab" is 257, the special token "<e>" is 258.
inline io::json small_tokenizer_json() {
  const auto data = small_tokenizer_data({{"a", "b"}, {"Ġ", "ab"}});
  auto vocabulary = io::json::object();
  for (const auto& [token, id] : data.vocabulary) vocabulary[token] = id;
  return {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"added_tokens", io::json::array({{{"id", 258}, {"content", "<e>"}, {"special", true}, {"normalized", false}}})},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b", "Ġ ab"}}}}};
}

}  // namespace trimtab::test
