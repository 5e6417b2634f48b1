// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/json/json.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

namespace trimtab::test::json_tests {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("A JSON file is read, wherever its bytes are unusual but right") {
  const auto folder = temporary_folder();
  CHECK(io::read_json_file(folder.file("a", "{\"a\": [1, 2.5, \"\\u00e9 é\", null]}\n"))["a"][2] == "é é");
  CHECK(io::read_json_file(folder.file("b", "\xef\xbb\xbf{}")).empty());
  CHECK(io::read_json_file(folder.file("c", "{\"a\": {\"x\": 1}, \"b\": {\"x\": 2}, \"c\": [{\"x\": 3}, {\"x\": 4}]}"))
            .size() == 3);
}

TEST_CASE("A JSON file that cannot be read is refused") {
  CHECK_THAT(refusal(error_kind::io, [] { io::read_json_file("/nowhere/x.json"); }),
             ContainsSubstring("cannot open '/nowhere/x.json': No such file"));
  const auto folder = temporary_folder();
  const auto vast = folder.file("vast", "");
  std::filesystem::resize_file(vast, io::json_size_limit + 1);  // sparse: it takes no room on the disk
  CHECK_THAT(refusal(error_kind::bad_file, [&] { io::read_json_file(vast); }),
             ContainsSubstring("it has 268435457 bytes, more than the limit of 268435456"));
}

TEST_CASE("Getters name file, key, what they expected and what they found") {
  const auto file =
      io::json_object(io::parse_json(R"({"n": 3, "zero": 0, "minus": -1, "half": 0.5, "whole": 3.0, "text": "a",
      "yes": true, "nothing": null, "large": 2147483648, "huge": 99999999999999999999, "inner": {"n": 7},
      "list": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26]})",
                                     "f"),
                      "f");
  CHECK(file.count("n") == 3);
  CHECK(file.count("absent", 5) == 5);
  CHECK(file.number("half") == 0.5);
  CHECK(file.number("n") == 3);
  CHECK(file.flag("yes"));
  CHECK(file.text("text") == "a");
  CHECK(file.object("inner").count("n") == 7);
  CHECK(file.is_null("nothing"));
  CHECK_FALSE(file.is_null("absent"));

  const auto bad_config = [](auto&& call) { return refusal(error_kind::bad_config, call); };
  for (const auto key : {"zero", "minus", "half", "whole", "text", "yes", "nothing", "huge", "list"})
    CHECK_THAT(bad_config([&] { file.count(key, 1); }),
               ContainsSubstring("'f': \"" + std::string(key) + "\" should be a positive whole number, found "));
  CHECK_THAT(bad_config([&] { file.count("large"); }), ContainsSubstring("below 2^31, found 2147483648"));
  CHECK_THAT(bad_config([&] { file.count("absent"); }),
             ContainsSubstring("lacks \"absent\", which should be a positive"));
  CHECK_THAT(bad_config([&] { file.number("text", 1.0); }),
             ContainsSubstring("\"text\" should be a number, found \"a\""));
  CHECK_THAT(bad_config([&] { file.flag("n"); }), ContainsSubstring("true or false, found 3"));
  CHECK_THAT(bad_config([&] { file.flag("nothing", true); }), ContainsSubstring("true or false, found null"));
  CHECK_THAT(bad_config([&] { file.text("n"); }), ContainsSubstring("a string, found 3"));
  CHECK_THAT(bad_config([&] { file.object("list"); }), ContainsSubstring("an object, found [1,2,3"));
  CHECK(bad_config([&] { file.object("list"); }).size() < 120);
  CHECK_THAT(bad_config([&] { io::json_object(io::json::array(), "g"); }),
             ContainsSubstring("'g' should hold a JSON object"));
  CHECK(refusal(error_kind::bad_file, [] { io::json_object({}, "g", error_kind::bad_file); }).size() > 0);
}

TEST_CASE("An object remembers what it was asked for") {
  const io::json_object object(io::parse_json(R"({"a": 1, "b": null, "c": 3})", "f"), "f");
  CHECK(object.count("a") == 1);
  CHECK(object.number("d", 0.5) == 0.5);
  CHECK(not object.has("e"));
  CHECK(io::json_object(object).is_null("b"));
  const auto entries = object.entries();
  CHECK(entries.read == io::json{{"a", 1}, {"b", nullptr}});
  CHECK(entries.defaulted == io::json{{"d", 0.5}});
  CHECK(entries.not_used == std::vector<std::string>{"c"});
}

}  // namespace trimtab::test::json_tests
