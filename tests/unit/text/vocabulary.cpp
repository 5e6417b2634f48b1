// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/vocabulary.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::vocabulary_tests {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("a token has an id, a spelling and bytes") {
  text::vocabulary v;
  v.add("Ġa", 3, " a");
  CHECK(v.size() == 4);
  CHECK(v.find("Ġa") == 3);
  CHECK(not v.find(" a"));
  CHECK(v.token(3) == "Ġa");
  CHECK(v.bytes(3) == " a");
  CHECK(not v.contains(0));
  CHECK(not v.contains(-1));
  CHECK(not v.contains(4));
  CHECK_THAT(test::refusal(error_kind::bad_argument, [&] { v.token(0); }),
             ContainsSubstring("no token with the id 0") and ContainsSubstring("from 0 to 3"));
}

TEST_CASE("a literal token stands for its spelling, also if it is there already") {
  text::vocabulary v;
  v.add("Ġ", 0, " ");
  v.add_literal("Ġ", 0);
  v.add_literal("  ", 1);
  CHECK(v.bytes(0) == "Ġ");
  CHECK(v.bytes(1) == "  ");
  CHECK_THAT(test::refusal(error_kind::bad_file, [&] { v.add_literal("Ġ", 2); }), ContainsSubstring("has the id 2"));
}

TEST_CASE("the largest id has a limit") {
  text::vocabulary v;
  CHECK_NOTHROW(v.add("a", text::token_id_limit - 1, "a"));
  CHECK_THAT(test::refusal(error_kind::bad_file, [&] { v.add("b", text::token_id_limit, "b"); }),
             ContainsSubstring("\"b\""));
}

}  // namespace trimtab::test::vocabulary_tests
