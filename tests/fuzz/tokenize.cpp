// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/tokenizer.hpp>

#include "fuzz.hpp"
#include "support/small_tokenizer.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

/// Encodes text and decodes the ids, with small tokenizers like those of GPT-2 and GPT-NeoX; the first byte chooses the
/// tokenizer and its options.

using namespace trimtab;

namespace {

const std::vector<std::pair<std::string, std::string>> merges = {
    {"Ġ", "t"}, {"h", "e"}, {"Ġt", "he"}, {"Ġ", "Ġ"},   {"ĠĠ", "ĠĠ"}, {"a", "b"}, {"Ġ", "ab"},  {"'", "s"},
    {"Ã", "©"}, {"1", "1"}, {"a", "a"},   {"aa", "aa"}, {"Ċ", "Ċ"},   {"Ì", "ģ"}, {"ab", "ab"}, {"b", "c"}};

text::tokenizer_data plain_data() { return test::small_tokenizer_data(merges); }

/// Adds tokens, with the ids that follow those of the vocabulary.
text::tokenizer_data with_added(const std::vector<text::added_token>& added) {
  auto data = plain_data();
  int id = static_cast<int>(data.vocabulary.size());
  for (auto token : added) {
    token.id = id++;
    data.added_tokens.push_back(token);
  }
  return data;
}

text::tokenizer_data neox_data() {
  auto data = with_added({{.content = "<|endoftext|>", .special = true, .normalized = false},
                          {.content = "<|padding|>", .special = true, .normalized = false},
                          {.content = "   "},
                          {.content = "  "},
                          {.content = "e\u0301#"},
                          {.content = "\u0301!", .normalized = false}});
  data.nfc = true;
  return data;
}

text::tokenizer_data odd_data() {
  auto data = with_added({{.content = "<l>", .lstrip = true},
                          {.content = "<r>", .rstrip = true},
                          {.content = "<b>", .lstrip = true, .rstrip = true},
                          {.content = "word", .single_word = true},
                          {.content = "<s>", .special = true, .single_word = true, .lstrip = true}});
  data.add_prefix_space = true;
  return data;
}

bool is_valid_utf8(std::string_view text) { return text::replace_invalid_utf8(text) == text; }

/// Checks that the normal form C of a text is equivalent to the text, and is its own normal form.
void check_normal_form(std::string_view text) {
  const auto decomposed = [](std::string_view of) {
    auto code_points = text::detail::canonical_decomposition(of);
    text::detail::order_canonically(code_points);
    return code_points;
  };
  const auto normal = text::nfc(text);
  fuzz::require(is_valid_utf8(normal));
  fuzz::require(decomposed(normal) == decomposed(text));
  fuzz::require(text::nfc(normal) == normal);
}

/// GPT-2's regular expression written out by hand, on the class of each character: letter, number, white space or
/// other.
std::vector<std::string_view> words_by_hand(std::string_view text) {
  static const text::pattern letter(R"(\p{L})"), number(R"(\p{N})"), space(R"(\p{White_Space})");
  text::pattern::matcher is_letter(letter), is_number(number), is_space(space);
  const auto length = [&](std::size_t at) { return text::first_utf8_step(text.substr(at)).length; };
  const auto kind = [&](std::size_t at) {
    return is_letter(text, at) ? 'L' : is_number(text, at) ? 'N' : is_space(text, at) ? ' ' : '!';
  };
  const auto end_of_run = [&](std::size_t at) {
    const auto first = kind(at);
    while (at < text.size() and kind(at) == first) at += length(at);
    return at;
  };
  std::vector<std::string_view> words;
  for (std::size_t begin = 0; begin < text.size();) {
    auto end = begin;
    for (const auto* const ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
      if (end == begin and text.substr(begin).starts_with(ending)) end = begin + std::string_view(ending).size();
    if (end == begin and kind(begin) != ' ') end = end_of_run(begin);
    const bool is_led = end == begin and text[begin] == ' ' and begin + 1 < text.size() and kind(begin + 1) != ' ';
    if (is_led) end = end_of_run(begin + 1);
    if (end == begin) {
      end = end_of_run(begin);
      auto last = begin;
      while (last + length(last) < end) last += length(last);
      if (end < text.size() and last > begin) end = last;
    }
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

void check_words(const text::tokenizer& plain, std::string_view text) {
  static const auto rules = [&] {
    std::set<std::pair<int, int>> pairs;
    for (const auto& [left, right] : merges) pairs.emplace(plain.find(left).value(), plain.find(right).value());
    return pairs;
  }();
  static const text::word_splitter split;
  const auto expected = words_by_hand(text);
  auto next = expected.begin();
  split(text, [&](std::string_view word) {
    fuzz::require(next != expected.end() and *next++ == word);
    const auto ids = plain.encode(word);
    for (std::size_t i = 1; i < ids.size(); ++i) fuzz::require(not rules.contains({ids[i - 1], ids[i]}));
  });
  fuzz::require(next == expected.end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const text::tokenizer plain(plain_data()), neox(neox_data()), odd(odd_data());
  if (size == 0) return 0;
  const auto text = fuzz::text_of(data + 1, size - 1);
  const auto special = (data[0] & 4) != 0 ? text::special_tokens::allow : text::special_tokens::ordinary;
  const auto& tokenizer = (data[0] & 3) == 1 ? neox : (data[0] & 3) == 2 ? odd : plain;

  const std::optional<std::vector<int>> ids = fuzz::accepted("UTF-8", [&] { return tokenizer.encode(text, special); });
  fuzz::require(ids.has_value() == is_valid_utf8(text));
  if (not ids) return 0;
  for (const auto id : *ids) fuzz::require(tokenizer.contains(id));
  const auto decoded = tokenizer.decode(*ids);
  if (&tokenizer == &plain) fuzz::require(decoded == text);
  if (&tokenizer == &neox) fuzz::require(text::nfc(decoded) == text::nfc(text));
  if (&tokenizer != &odd and special == text::special_tokens::ordinary)
    for (const auto* const token : {"<|endoftext|>", "<|padding|>"})
      if (const auto id = tokenizer.find(token)) fuzz::require(std::ranges::find(*ids, *id) == ids->end());
  check_normal_form(text);
  if (&tokenizer == &plain) check_words(plain, text);
  return 0;
}
