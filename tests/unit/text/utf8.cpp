// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/utf8.hpp>

#include "support/catch.hpp"
#include "support/random_text.hpp"

#include <string>

namespace trimtab::test::utf8_tests {

using namespace std::string_literals;

TEST_CASE("every character is one valid step") {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c == 0xD800) c = 0xE000;
    const auto bytes = test::utf8(c);
    const auto step = text::first_utf8_step(bytes);
    if (not step.valid or step.length != bytes.size()) FAIL("U+" << std::hex << static_cast<unsigned>(c));
  }
}

TEST_CASE("ill-formed bytes are replaced one maximal subpart at a time") {
  // The examples of tables 3-8 to 3-11 of the Unicode standard: one U+FFFD for each maximal subpart.
  const auto [bytes, pieces] = GENERATE(table<std::string, int>({
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"s, 8},  // overlong forms
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"s, 8},  // surrogates
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"s, 7},  // above U+10FFFF, and stray bytes
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"s, 4},  // truncated sequences
      {"\xF0\x90\x80"s, 1},                          // cut off by the end
  }));
  const auto repaired = text::replace_invalid_utf8(bytes);
  int found = 0;
  for (std::size_t at = 0; (at = repaired.find("\xEF\xBF\xBD", at)) != repaired.npos; ++at) ++found;
  CHECK(found == pieces);
  CHECK_NOTHROW(text::require_utf8(repaired));
}

TEST_CASE("valid text is left as it is") {
  std::mt19937 generator(1);
  for (int i = 0; i < 500; ++i) {
    const auto text = test::random_text(generator);
    CHECK_NOTHROW(text::require_utf8(text));
    CHECK(text::replace_invalid_utf8(text) == text);
  }
}

TEST_CASE("the first bad byte is named") {
  CHECK_THROWS_WITH(text::require_utf8("ab\xC3\xA9\xFFz"), Catch::Matchers::ContainsSubstring("at byte 4"));
  CHECK_THROWS_WITH(text::require_utf8("ab\xC3"), Catch::Matchers::ContainsSubstring("at byte 2"));
}

TEST_CASE("quoted text is one short line of UTF-8") {
  CHECK(text::in_quotes("Ġthe") == "\"Ġthe\"");
  const auto shown = text::in_quotes("a\nb\xFF" + std::string(1000, 'x'));
  CHECK(shown.size() < 80);
  CHECK(shown.find('\n') == shown.npos);
  CHECK_NOTHROW(text::require_utf8(shown));
  for (const auto* const control : {"\x01", "\x1B", "\x7F", "\u0080", "\u0085", "\u009F"})
    CHECK(text::in_quotes(std::string("a") + control + "b") == "\"a\uFFFDb\"");
  CHECK(text::in_quotes("a\xC2") == "\"a\uFFFD\"");
  CHECK(text::in_quotes("\u00A0\u00BF") == "\"\u00A0\u00BF\"");
}

TEST_CASE("controls are found in text, and only they") {
  CHECK(text::has_control("a\n"));
  CHECK(text::has_control("\u00E9\u009B"));
  CHECK(not text::has_control(""));
  CHECK(not text::has_control("\u00E9 \u2028\xC2"));
}

}  // namespace trimtab::test::utf8_tests
