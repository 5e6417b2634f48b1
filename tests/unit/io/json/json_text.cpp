// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/json/json_text.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::json_text_tests {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("Values of every kind come out as nlohmann's own parser makes them") {
  for (const auto text :
       {"null", "true", "-3", "18446744073709551615", "-9223372036854775808", "1.5e3", "\"a\\u00e9\"", "[]", "{}",
        "[[], {}, [[1], 2], \"x\"]", "{\"b\": {\"x\": [1, {\"y\": []}], \"z\": null}, \"a\": [{}], \"\": {}}"}) {
    const auto value = io::parse_json(text, "f");
    CHECK(value == io::json::parse(text));
    CHECK(value.type() == io::json::parse(text).type());
  }
  CHECK(io::parse_json("7", "f").is_number_unsigned());
  CHECK(io::parse_json("7.0", "f").is_number_float());
}

TEST_CASE("Many small objects take no longer than as many bytes of anything else") {
  // With quadratic cost this would take minutes.
  std::string list = "[", members = "{";
  for (int i = 0; i < 300'000; ++i) {
    list += "{},";
    members += "\"" + std::to_string(i) + "\":{},";
  }
  CHECK(io::parse_json(list + "{}]", "f").size() == 300'001);
  CHECK(io::parse_json(members + "\"\":{}}", "f").size() == 300'001);
}

TEST_CASE("What is not JSON is refused with file and place") {
  struct {
    std::string text, sentence;
  } const table[] = {
      {"", "line 1, column 1: syntax error"},
      {"{\"a\": 1,\n \"b\" 2}", "line 2, column 6"},
      {"{\"a\": 1", "unexpected end of input"},
      {"{} {}", "expected end of input"},
      {"{\"a\": NaN}", "invalid literal"},
      {"{\"a\": 1e999}", "number overflow"},
      {std::string(10'000, '9'), "number overflow"},
      {"{\"a\": \"\xff\"}", "ill-formed UTF-8"},
      {"{\"a\": 1, \"b\": 2, \"a\": 3}", "the key \"a\" occurs twice"},
      {"[{\"a\": [], \"a\": 3}]", "the key \"a\" occurs twice"},
      {std::string("{}\0{}", 5), "byte 2 is NUL"},
      {std::string(1'000'000, '['), "nested deeper than 64 levels"},
      {"{\"a\": " + std::string(1'000'000, '"'), "syntax error"},
  };
  for (const auto& row : table) {
    const auto said = refusal(error_kind::bad_file, [&] { io::parse_json(row.text, "dir/some.json"); });
    CHECK_THAT(said, ContainsSubstring("'dir/some.json' is not valid JSON: "));
    CHECK_THAT(said, ContainsSubstring(row.sentence));
    CHECK(said.size() < 300);
  }
  const auto deepest = std::string(64, '[') + std::string(64, ']');
  CHECK(io::parse_json(deepest, "f").is_array());
}

}  // namespace trimtab::test::json_text_tests
