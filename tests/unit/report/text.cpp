// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"

#include <trimtab/report/text.hpp>

#include <cstdlib>

namespace trimtab::test::text_tests {

TEST_CASE("A token shows all that is in it") {
  CHECK(report::visible(" the") == "␣the");
  CHECK(report::visible("a\n\tb") == "a↵⇥b");
  CHECK(report::visible(std::string("\0\x1b\x7f", 3)) == "␀␛␡");
  CHECK(report::visible("\xE2\x82") == "\xEF\xBF\xBD");  // half a character
  CHECK(report::visible("x\xE2\x80\xAE"
                        "y") == "x[U+202E]y");  // turns the direction of writing
  CHECK(report::visible("\xEF\xBB\xBF\xC2\xA0") == "[U+FEFF][U+00A0]");
  CHECK(report::visible("é漢😀") == "é漢😀");
  CHECK(report::visible("") == "∅");
}

TEST_CASE("Text cannot break out of its element or attribute") {
  CHECK(report::escaped("<script>alert('&')</script>") == "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;");
  CHECK(report::escaped("a\nb\x01\xFF") == "a\nb␁\xEF\xBF\xBD");
  CHECK(report::element_of_text("td", "</td>", {{"title", "\"><script>"}}) ==
        "<td title=\"&quot;&gt;&lt;script&gt;\">&lt;/td&gt;</td>");
}

TEST_CASE("Numbers in full come back, numbers to be read are short") {
  for (double x : {0.1, -1.0 / 3, 1e-310, 12345678.9}) CHECK(std::strtod(report::exact(x).c_str(), nullptr) == x);
  CHECK(report::readable(0) == "0");
  CHECK(report::readable(-0.5) == "−0.50");
  CHECK(report::readable(12.34, true) == "+12.3");
  CHECK(report::readable(0.0004) == "4.0e-04");
  CHECK(report::with_minus("-0.12") == "−0.12");
  CHECK(report::with_minus("-") == "-");
}

}  // namespace trimtab::test::text_tests
