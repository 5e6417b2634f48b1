// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/huggingface/tokenizer_files.hpp>

#include "fuzz.hpp"
#include "support/small_tokenizer.hpp"

#include <set>
#include <string>

/// What the fuzz targets for tokenizer files do with the data that they read.

namespace trimtab::fuzz {

/// Adds the symbols of bytes that the vocabulary lacks, so that a short file can make a tokenizer.
inline void add_byte_symbols(text::tokenizer_data& data) {
  static const auto symbols = test::small_tokenizer_data().vocabulary;
  std::set<std::string> known;
  for (const auto& [token, id] : data.vocabulary) known.insert(token);
  for (const auto& [symbol, byte] : symbols)
    if (not known.contains(symbol)) data.vocabulary.emplace_back(symbol, 10'000 + byte);
}

/// Makes the tokenizer and uses it.
inline void check_tokenizer(const text::tokenizer_data& data, const std::string& file) {
  const auto tokenizer = accepted(file, [&] { return io::detail::make_tokenizer(data, file); });
  if (not tokenizer) return;
  for (const auto& [token, id] : data.vocabulary)
    require(tokenizer->token(id) == token and tokenizer->find(token) == id);
  for (const auto special : {text::special_tokens::ordinary, text::special_tokens::allow}) {
    std::string text = "ab abc  a\u0301#<e>'s 1\n";
    if (not data.added_tokens.empty()) text += data.added_tokens.front().content + " x";
    const auto ids = tokenizer->encode(text, special);
    const auto decoded = tokenizer->decode(ids);
    // An added token may strip white space beside it, or be spelt like a byte.
    const bool is_exact = data.added_tokens.empty() and not data.nfc and not data.add_prefix_space;
    if (is_exact) require(decoded == text);
  }
}

}  // namespace trimtab::fuzz
