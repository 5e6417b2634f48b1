// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/text/pattern.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Tokens that are matched literally, before the text is split into words: `<|endoftext|>`, or GPT-NeoX's runs of
/// spaces. The rules are those of Hugging Face's tokenizers (`AddedVocabulary`): all matches are found first, from left
/// to right, of those at one place the longest; then each takes the white space that it strips.

namespace trimtab::text {

struct added_token {
  int id = 0;
  std::string content = {};
  bool special = false;      ///< a control token; where the caller asks for it, its text is ordinary text
  bool normalized = true;    ///< matched in the normalized text instead of the given one
  bool single_word = false;  ///< no match next to a word character
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it

  friend bool operator==(const added_token&, const added_token&) = default;
};

enum class special_tokens {
  allow,     ///< their text stands for the token, as in Hugging Face's tokenizers by default
  ordinary,  ///< their text is ordinary text, so that input cannot forge control tokens (`split_special_tokens`)
};

class added_token_splitter {
 public:
  explicit added_token_splitter(std::vector<added_token> tokens) : tokens_(std::move(tokens)) {
    std::erase_if(tokens_, [](const auto& token) { return token.content.empty(); });
    std::ranges::stable_sort(tokens_, {}, &added_token::content);
    for (std::size_t i = 0; i < tokens_.size(); ++i) ++first_of_[byte_at(tokens_[i], 0) + 1];
    std::partial_sum(first_of_.begin(), first_of_.end(), first_of_.begin());
  }

  /// Calls `visit(piece, id)` for each piece of `text` in order: `id` is an added token's, or nothing for the text
  /// between them.
  template <std::invocable<std::string_view, std::optional<int>> Visit>
  void operator()(std::string_view text, special_tokens special, Visit visit) const {
    std::size_t done = 0;                        // the end of the last piece
    std::size_t space_begin = 0, space_end = 0;  // the last white space that a token stripped after it
    for (std::size_t at = 0; at < text.size();) {
      const auto* const token = longest_at(text, at);
      if (token == nullptr) {
        ++at;
        continue;
      }
      auto begin = at;
      auto end = at + token->content.size();
      at = end;  // not past what is stripped: that may be a match as well
      if (token->special and special == special_tokens::ordinary) continue;
      if (token->single_word and touches_word(text, begin, end)) continue;
      if (token->lstrip) begin = done < begin ? white_space_before(text, done, begin) : done;
      if (token->rstrip) {
        // A long run of white space can hold many tokens that strip it; it is measured once.
        if (not(space_begin <= end and end < space_end)) space_begin = end, space_end = white_space_after(text, end);
        end = std::max(end, space_end);
      }
      if (done < begin) visit(text.substr(done, begin - done), std::nullopt);
      if (begin < end) visit(text.substr(begin, end - begin), token->id);
      done = end;
    }
    if (done < text.size()) visit(text.substr(done), std::nullopt);
  }

 private:
  // Compiled once for all splitters.
  static const pattern& white_space() {
    static const pattern compiled(R"(\p{White_Space})");
    return compiled;
  }
  static const pattern& word() {
    // What Unicode recommends for `\w` (UTS 18, annex C); PCRE2's own is narrower.
    static const pattern compiled(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}])");
    return compiled;
  }

  /// The length of the character at `at` if it is one of `characters`, else 0.
  static std::size_t length_of(const pattern& characters, std::string_view text, std::size_t at) {
    return at < text.size() ? pattern::matcher(characters)(text, at).value_or(0) : 0;
  }

  static std::size_t byte_at(const added_token& token, std::size_t i) {
    return static_cast<unsigned char>(token.content[i]);
  }

  /// Narrows the sorted tokens down, byte by byte, to those that begin like the text: the time is logarithmic in their
  /// number.
  const added_token* longest_at(std::string_view text, std::size_t at) const {
    const added_token* longest = nullptr;
    const auto lead = std::size_t{static_cast<unsigned char>(text[at])};
    auto like = std::span(tokens_).subspan(first_of_[lead], first_of_[lead + 1] - first_of_[lead]);
    for (std::size_t length = 1; not like.empty(); ++length) {
      for (bool found = false; not like.empty() and like.front().content.size() == length; like = like.subspan(1))
        if (not std::exchange(found, true)) longest = &like.front();
      if (at + length == text.size()) break;
      const auto next = std::size_t{static_cast<unsigned char>(text[at + length])};
      const auto byte = [=](const auto& token) { return byte_at(token, length); };
      like = std::span(std::ranges::lower_bound(like, next, {}, byte), std::ranges::upper_bound(like, next, {}, byte));
    }
    return longest;
  }

  static std::size_t previous_character(std::string_view text, std::size_t at) {
    do --at;
    while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
    return at;
  }

  bool touches_word(std::string_view text, std::size_t begin, std::size_t end) const {
    const auto before = begin > 0 and length_of(word_, text, previous_character(text, begin)) > 0;
    return before or length_of(word_, text, end) > 0;
  }

  std::size_t white_space_before(std::string_view text, std::size_t done, std::size_t begin) const {
    while (begin > done) {
      const auto previous = previous_character(text, begin);
      if (length_of(white_space_, text, previous) == 0) break;
      begin = previous;
    }
    return begin;
  }

  std::size_t white_space_after(std::string_view text, std::size_t end) const {
    while (const auto length = length_of(white_space_, text, end)) end += length;
    return end;
  }

  std::vector<added_token> tokens_;             // sorted by content
  std::array<std::size_t, 257> first_of_ = {};  // for each byte, the place of the first token that begins with it
  pattern white_space_ = white_space();
  pattern word_ = word();
};

}  // namespace trimtab::text
