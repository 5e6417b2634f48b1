// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/text/pattern.hpp>

#include <cassert>
#include <concepts>
#include <cstddef>
#include <string_view>

/// Splits text into the words within which byte pairs are merged, by GPT-2's regular expression
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// whose matches cover every text: a contraction; letters, digits or other signs, with one optional space before them;
/// or white space, which leaves its last character to the word that follows. `\s` here is Unicode's White_Space, as in
/// Hugging Face's tokenizers; PCRE2's own `\s` adds U+180E and Python's adds U+001C to U+001F.

namespace trimtab::text {

class word_splitter {
 public:
  /// Calls `visit` with one word after the other; together they are `text`, which must be valid UTF-8.
  template <std::invocable<std::string_view> Visit>
  void operator()(std::string_view text, Visit visit) const {
    pattern::matcher match(word_);
    for (std::size_t begin = 0; begin < text.size();) {
      const auto length = match(text, begin);
      assert(length and *length > 0);
      visit(text.substr(begin, *length));
      begin += *length;
    }
  }

 private:
  /// Compiled once for all splitters, because compiling takes far longer than splitting a prompt.
  static const pattern& word() {
    // The possessive `++` changes no match (each class is followed by the end) and avoids backtracking.
    static const pattern compiled(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}++| ?\p{N}++| ?[^\p{White_Space}\p{L}\p{N}]++)"
                                  R"(|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}++)");
    return compiled;
  }

  pattern word_ = word();
};

}  // namespace trimtab::text
