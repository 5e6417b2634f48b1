// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/huggingface/merge_lines.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"

#include <string>
#include <utility>
#include <vector>

namespace trimtab::test::merge_lines_tests {

using Catch::Matchers::ContainsSubstring;

namespace {
using pairs = std::vector<std::pair<std::string, std::string>>;
}

TEST_CASE("two tokens a line") {
  CHECK(io::merges_of("a b\nĠ ab\n", "f") == pairs{{"a", "b"}, {"Ġ", "ab"}});
  CHECK(io::merges_of("a b\r\nĠ ab", "f") == pairs{{"a", "b"}, {"Ġ", "ab"}});
  CHECK(io::merges_of("", "f").empty());
  CHECK(io::merges_of("\n\n", "f").empty());
}

TEST_CASE("only the first line can be a comment") {
  CHECK(io::merges_of("#version: 0.2\n# #\n#$ #$\n", "f") == pairs{{"#", "#"}, {"#$", "#$"}});
  CHECK(io::merges_of("# #\n", "f") == pairs{{"#", "#"}});
}

TEST_CASE("a byte order mark is no part of the first line") {
  CHECK(io::merges_of("\xEF\xBB\xBF#version: 0.2\na b\n", "f") == pairs{{"a", "b"}});
  CHECK(io::merges_of("\xEF\xBB\xBF"
                      "a b\n",
                      "f") == pairs{{"a", "b"}});
}

TEST_CASE("lines that end in carriage returns alone are refused, as they would be one comment") {
  for (const std::string lines : {"#version: 0.2\ra b\rc d\r", "#version: 0.2\r\ra b\n"})
    CHECK_THAT(test::refusal(error_kind::bad_file, [&] { io::merges_of(lines, "merges.txt"); }),
               ContainsSubstring("'merges.txt': line 1 holds a carriage return"));
}

TEST_CASE("a line without two tokens is named") {
  for (const std::string line : {"ab", "a b c", "a  b", " b", "a ", " "}) {
    const auto sentence =
        test::refusal(error_kind::bad_file, [&] { io::merges_of("#version: 0.2\na b\n" + line + "\n", "merges.txt"); });
    CHECK_THAT(sentence, ContainsSubstring("'merges.txt': line 3") and ContainsSubstring("\"" + line + "\""));
  }
}

}  // namespace trimtab::test::merge_lines_tests
