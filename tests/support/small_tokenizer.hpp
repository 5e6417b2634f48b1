// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/text/byte_level.hpp>
#include <trimtab/text/tokenizer.hpp>

#include <string>
#include <utility>
#include <vector>

/// A byte-level tokenizer for tests that need none of the real ones: the id of each byte is the byte, and each merge,
/// in order, gets the next id from 256.

namespace trimtab::test {

inline text::tokenizer_data small_tokenizer_data(const std::vector<std::pair<std::string, std::string>>& merges = {}) {
  text::tokenizer_data data;
  for (int byte = 0; byte < 256; ++byte)
    data.vocabulary.emplace_back(text::byte_level_symbol(static_cast<unsigned char>(byte)), byte);
  data.merges = merges;
  for (const auto& [left, right] : merges)
    data.vocabulary.emplace_back(left + right, static_cast<int>(data.vocabulary.size()));
  return data;
}

}  // namespace trimtab::test
