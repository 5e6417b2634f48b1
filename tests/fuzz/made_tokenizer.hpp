// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/tokenizer_files.hpp>

#include "fuzz.hpp"
#include "support/small_tokenizer.hpp"

#include <set>
#include <string>

/// What the targets for tokenizer files do with what was read.

namespace trimtab::fuzz {

/// Adds the symbols of bytes that the vocabulary lacks, so that a short file can make a tokenizer.
inline void add_byte_symbols(text::tokenizer_data& data) {
  static auto const symbols = test::small_tokenizer_data().vocabulary;
  std::set<std::string> known;
  for (auto const& [token, id] : data.vocabulary) known.insert(token);
  for (auto const& [symbol, byte] : symbols)
    if (not known.contains(symbol)) data.vocabulary.emplace_back(symbol, 10'000 + byte);
}

/// Makes the tokenizer and uses it.
inline void check_tokenizer(text::tokenizer_data const& data, std::string const& file) {
  auto const tokenizer = accepted(file, [&] { return io::detail::make_tokenizer(data, file); });
  if (not tokenizer) return;
  for (auto const& [token, id] : data.vocabulary)
    require(tokenizer->token(id) == token and tokenizer->find(token) == id);
  for (auto const special : {text::special_tokens::ordinary, text::special_tokens::allow}) {
    std::string text = "ab abc  a\u0301#<e>'s 1\n";
    if (not data.added_tokens.empty()) text += data.added_tokens.front().content + " x";
    auto const ids = tokenizer->encode(text, special);
    auto const decoded = tokenizer->decode(ids);
    // An added token may take white space with it, or have the spelling of a byte.
    bool const is_exact = data.added_tokens.empty() and not data.nfc and not data.add_prefix_space;
    if (is_exact) require(decoded == text);
  }
}

}  // namespace trimtab::fuzz
