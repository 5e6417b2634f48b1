// SPDX-License-Identifier: Apache-2.0

#include <trimtab/report/terminal/side_by_side.hpp>

#include "support/catch.hpp"

namespace trimtab::test::side_by_side_tests {

using lines = std::vector<std::string>;

TEST_CASE("A text is wrapped between words", "[report]") {
  CHECK(report::wrapped("one two three", 9) == lines{"one two", "three"});
  CHECK(report::wrapped("one two three", 7) == lines{"one two", "three"});
  CHECK(report::wrapped("one two three", 6) == lines{"one", "two", "three"});
  CHECK(report::wrapped("a\n\nb", 5) == lines{"a", "", "b"});
  CHECK(report::wrapped("", 5) == lines{""});
  CHECK(report::wrapped("abcdefgh ij", 3) == lines{"abc", "def", "gh", "ij"});
  // A width counts characters, not bytes.
  CHECK(report::wrapped("\xC3\xA4\xC3\xB6\xC3\xBC \xC3\xA4", 5) == lines{"\xC3\xA4\xC3\xB6\xC3\xBC \xC3\xA4"});
}

TEST_CASE("Texts stand beside each other in columns of equal width", "[report]") {
  CHECK(report::side_by_side({"strength 0", "strength +1"}, {"The cat sat on the mat and slept", "The dog"}, 40) ==
        "strength 0           strength +1\n"
        "The cat sat on the   The dog\n"
        "mat and slept\n");
  // A narrow window gives columns of 16 characters all the same.
  CHECK(report::side_by_side({"a", "b"}, {"x", "y"}, 10) == "a                 b\nx                 y\n");
}

TEST_CASE("A text cannot control the terminal", "[report]") {
  CHECK(report::for_terminal("a\x1b[31m\tb\n\xC2\x9B\xff") == "a\xEF\xBF\xBD[31m\tb\n\xEF\xBF\xBD\xEF\xBF\xBD");
}

}  // namespace trimtab::test::side_by_side_tests
