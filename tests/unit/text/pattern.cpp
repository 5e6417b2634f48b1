// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/pattern.hpp>

#include "support/catch.hpp"

#include <optional>

namespace trimtab::test::pattern_tests {

TEST_CASE("a match begins where it is asked for") {
  const text::pattern digits(R"(\p{Nd}+)");
  text::pattern::matcher match(digits);
  CHECK(match("12a345", 0) == 2u);
  CHECK(match("12a345", 2) == std::nullopt);
  CHECK(match("12a345", 3) == 3u);
  CHECK(match("\u0663", 0) == 2u);  // ARABIC-INDIC DIGIT THREE
}

TEST_CASE("a copy outlives its original") {
  std::optional<text::pattern> original(std::in_place, "(a)(b)?");
  const auto copy = *original;
  original.reset();
  CHECK(text::pattern::matcher(copy)("ab", 0) == 2u);
}

TEST_CASE("what PCRE2 does not take is an error with PCRE2's reason") {
  CHECK_THROWS_WITH(text::pattern("(a"),
                    Catch::Matchers::ContainsSubstring("(a") and Catch::Matchers::ContainsSubstring("parenthesis"));
}

}  // namespace trimtab::test::pattern_tests
