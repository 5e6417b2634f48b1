// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/added_tokens.hpp>

#include "support/catch.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trimtab::test::added_tokens_tests {

using text::added_token;
using text::special_tokens;

namespace {

using pieces = std::vector<std::pair<std::string, int>>;
constexpr int between = -1;

pieces split(const std::vector<added_token>& tokens, std::string_view text,
             special_tokens special = special_tokens::allow) {
  pieces found;
  const text::added_token_splitter splitter(tokens);
  splitter(text, special,
           [&](std::string_view piece, std::optional<int> id) { found.emplace_back(piece, id.value_or(between)); });
  return found;
}

}  // namespace

TEST_CASE("the leftmost added token matches, and of several the longest") {
  const std::vector<added_token> tokens = {
      {.id = 1, .content = "ab"}, {.id = 2, .content = "abc"}, {.id = 3, .content = "bcde"}};
  CHECK(split(tokens, "xabcde") == pieces{{"x", between}, {"abc", 2}, {"de", between}});
  CHECK(split(tokens, "ababx") == pieces{{"ab", 1}, {"ab", 1}, {"x", between}});
  CHECK(split(tokens, "bcd") == pieces{{"bcd", between}});
  CHECK(split(tokens, "").empty());
  CHECK(split({}, "abc") == pieces{{"abc", between}});
  CHECK(split({{.id = 1, .content = ""}}, "abc") == pieces{{"abc", between}});
}

TEST_CASE("many tokens that begin alike take no longer than few") {
  // Trying each token at each place would take minutes.
  std::vector<added_token> tokens;
  for (int i = 0; i < 50'000; ++i) tokens.push_back({.id = i, .content = "a" + std::to_string(i)});
  CHECK(split(tokens, std::string(200'000, 'a') + "49999!") ==
        pieces{{std::string(199'999, 'a'), between}, {"a49999", 49'999}, {"!", between}});
}

TEST_CASE("of added tokens with the same text the first matches") {
  CHECK(split({{.id = 1, .content = "<e>"}, {.id = 2, .content = "<e>"}}, "<e>") == pieces{{"<e>", 1}});
  CHECK(split({{.id = 1, .content = "\xc3\xa9"}, {.id = 2, .content = "e"}}, "e\xc3\xa9") ==
        pieces{{"e", 2}, {"\xc3\xa9", 1}});
}

TEST_CASE("special tokens are tokens unless they are asked to be ordinary text") {
  const std::vector<added_token> tokens = {{.id = 1, .content = "<e>", .special = true}, {.id = 2, .content = "<"}};
  CHECK(split(tokens, "a<e>") == pieces{{"a", between}, {"<e>", 1}});
  // A match that is left as text is not searched for others, as in Hugging Face's tokenizers.
  CHECK(split(tokens, "a<e><", special_tokens::ordinary) == pieces{{"a<e>", between}, {"<", 2}});
}

TEST_CASE("a single_word token matches only between word boundaries") {
  const std::vector<added_token> tokens = {{.id = 1, .content = "ab", .single_word = true}};
  CHECK(split(tokens, "ab,ab") == pieces{{"ab", 1}, {",", between}, {"ab", 1}});
  // Letters, digits, marks and connectors are parts of words; so are circled letters, which are symbols.
  for (const std::string part : {"x", "é", "1", "_", "\u0301", "\u203F", "\u200D", "\u24B6"}) {
    CHECK(split(tokens, "ab" + part) == pieces{{"ab" + part, between}});
    CHECK(split(tokens, part + "ab") == pieces{{part + "ab", between}});
  }
  for (const std::string other : {" ", "-", "\u00B2", "€"})
    CHECK(split(tokens, "ab" + other) == pieces{{"ab", 1}, {other, between}});
}

TEST_CASE("stripping takes the white space beside a token") {
  const std::vector<added_token> left = {{.id = 1, .content = "#", .lstrip = true}};
  CHECK(split(left, "a \u3000\n# b") == pieces{{"a", between}, {" \u3000\n#", 1}, {" b", between}});
  CHECK(split(left, "# #") == pieces{{"#", 1}, {" #", 1}});
  CHECK(split(left, "  #") == pieces{{"  #", 1}});
  const std::vector<added_token> right = {{.id = 1, .content = "#", .rstrip = true}};
  CHECK(split(right, "a # \u3000\nb") == pieces{{"a ", between}, {"# \u3000\n", 1}, {"b", between}});
  CHECK(split(right, "#  ") == pieces{{"#  ", 1}});
  const std::vector<added_token> both = {{.id = 1, .content = "#", .lstrip = true, .rstrip = true}};
  CHECK(split(both, " # # ") == pieces{{" # ", 1}, {"# ", 1}});
}

TEST_CASE("white space that one token strips can be another token as well") {
  const added_token strips = {.id = 1, .content = "#", .rstrip = true}, two = {.id = 2, .content = "  "};
  CHECK(split({strips, two}, "#  x  ") == pieces{{"#  ", 1}, {"  ", 2}, {"x", between}, {"  ", 2}});
  // A match that ends within what was stripped leaves the rest of it to be read again.
  CHECK(split({strips, two}, "#   x") == pieces{{"#   ", 1}, {"  ", 2}, {" x", between}});
  // Nothing is left for a token that strips towards white space that is gone.
  CHECK(split({strips, {.id = 2, .content = " ", .lstrip = true}}, "# x") == pieces{{"# ", 1}, {"x", between}});
}

TEST_CASE("stripping a megabyte of white space takes linear time") {
  const std::string spaces(std::size_t{1} << 20, ' ');
  const std::vector<added_token> both = {{.id = 1, .content = "#", .lstrip = true, .rstrip = true}};
  CHECK(split(both, spaces + "#" + spaces).size() == 1);
  std::size_t count = 0;
  const text::added_token_splitter splitter({{.id = 1, .content = " ", .rstrip = true}});
  splitter(spaces, special_tokens::allow, [&](std::string_view, std::optional<int>) { ++count; });
  CHECK(count == spaces.size());
}

}  // namespace trimtab::test::added_tokens_tests
