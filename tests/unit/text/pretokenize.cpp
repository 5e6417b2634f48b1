// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/pretokenize.hpp>

#include "support/catch.hpp"
#include "support/random_text.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace trimtab::test::pretokenize_tests {

namespace {

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  text::word_splitter{}(text, [&](std::string_view word) { found.emplace_back(word); });
  return found;
}

using list = std::vector<std::string>;

}  // namespace

TEST_CASE("words take one space before them") {
  CHECK(words("Hello my friend, how is it going?") ==
        list{"Hello", " my", " friend", ",", " how", " is", " it", " going", "?"});
  CHECK(words("a1b22 !?x") == list{"a", "1", "b", "22", " !?", "x"});
  CHECK(words("naïve Ⅷ½ 日本") == list{"naïve", " Ⅷ½", " 日本"});
  CHECK(words("") == list{});
}

TEST_CASE("contractions are words, in lower case only") {
  CHECK(words("I've he'll 'tis WE'RE") == list{"I", "'ve", " he", "'ll", " '", "tis", " WE", "'", "RE"});
}

TEST_CASE("white space leaves its last character to the word that follows") {
  CHECK(words("a   b") == list{"a", "  ", " b"});
  CHECK(words("a\n\nb") == list{"a", "\n", "\n", "b"});
  CHECK(words("a  \n") == list{"a", "  \n"});
}

TEST_CASE("white space is Unicode's White_Space") {
  for (const auto* const space :
       {"\t", "\v", "\f", "\u0085", "\u00A0", "\u1680", "\u2000", "\u2028", "\u2029", "\u3000"})
    CHECK(words(std::string("!") + space + "!") == list{"!", space, "!"});
  // Not what PCRE2 (U+180E, formerly a space) and Python (U+001C to U+001F) add, nor characters that only look empty.
  for (const auto* const sign : {"\u180E", "\x1C", "\x1F", "\u200B", "\uFEFF"})
    CHECK(words(std::string("!") + sign + "!") == list{std::string("!") + sign + "!"});
}

TEST_CASE("the words are the text") {
  std::mt19937 generator(2);
  for (int i = 0; i < 500; ++i) {
    const auto text = test::random_text(generator);
    std::string joined;
    for (const auto& word : words(text)) {
      CHECK(not word.empty());
      joined += word;
    }
    CHECK(joined == text);
  }
}

TEST_CASE("words of any length are matched") {
  const std::size_t megabyte = 1 << 20;
  for (const char c : {'a', '1', '!', '\n'}) CHECK(words(std::string(megabyte, c)) == list{std::string(megabyte, c)});
  CHECK(words(std::string(megabyte, ' ') + "x") == list{std::string(megabyte - 1, ' '), " x"});
}

}  // namespace trimtab::test::pretokenize_tests
