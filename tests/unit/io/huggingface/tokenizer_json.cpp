// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/huggingface/tokenizer_json.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/small_tokenizer_json.hpp"

#include <string>
#include <vector>

namespace trimtab::test::tokenizer_json_tests {

using Catch::Matchers::ContainsSubstring;
using io::json;

namespace {

using ids = std::vector<int>;

text::tokenizer read(const json& root) { return text::tokenizer(io::tokenizer_json_reader("x.json").whole(root)); }

}  // namespace

TEST_CASE("merges are strings or pairs") {
  auto root = test::small_tokenizer_json();
  root["model"]["merges"] = json::array({json::array({"a", "b"}), json::array({"Ġ", "ab"})});
  CHECK(read(root).encode("ab ab") == ids{256, 257});
}

TEST_CASE("the options of tokenizer.json count") {
  auto root = test::small_tokenizer_json();
  SECTION("prefix space") {
    root["pre_tokenizer"]["add_prefix_space"] = true;
    CHECK(read(root).encode("ab") == ids{257});
  }
  SECTION("prefix space, by default") {
    root["pre_tokenizer"].erase("add_prefix_space");
    CHECK(read(root).encode("ab") == ids{257});
  }
  SECTION("normal form C, also in a sequence") {
    root["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array({{{"type", "NFC"}}})}};
    CHECK(read(root).encode("e\u0301") == read(root).encode("\u00E9"));
  }
  SECTION("no added tokens") {
    root.erase("added_tokens");
    CHECK(read(root).vocabulary_size() == 258);
  }
  SECTION("empty affixes, as in GPT-2's file") {
    root["model"]["continuing_subword_prefix"] = "";
    root["model"]["end_of_word_suffix"] = "";
    root["model"]["dropout"] = nullptr;
    CHECK(read(root).encode("ab") == ids{256});
  }
  SECTION("flags of added tokens") {
    root["added_tokens"].push_back(
        {{"id", 259}, {"content", "##"}, {"lstrip", true}, {"rstrip", true}, {"single_word", true}});
    CHECK(read(root).encode("ab ## ab") == ids{256, 259, 256});
    CHECK(read(root).encode("ab##") == ids{256, '#', '#'});
  }
}

TEST_CASE("what is not supported is named") {
  auto root = test::small_tokenizer_json();
  const auto refused = [&](const std::string& part) {
    CHECK_THAT(test::refusal(error_kind::bad_config, [&] { read(root); }), ContainsSubstring(part));
  };
  SECTION("model") {
    root["model"]["type"] = "WordPiece";
    refused("model type \"WordPiece\"");
  }
  SECTION("normalizer") {
    root["normalizer"] = {{"type", "Lowercase"}};
    refused("Lowercase");
  }
  SECTION("a part of the normalizer") {
    root["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Strip"}}}}};
    refused("Strip");
  }
  SECTION("pre-tokenizer") {
    root["pre_tokenizer"] = {{"type", "Whitespace"}};
    refused("Whitespace");
  }
  SECTION("no pre-tokenizer") {
    root["pre_tokenizer"] = nullptr;
    refused("the pre-tokenizer null");
  }
  SECTION("a pre-tokenizer without GPT-2's words") {
    root["pre_tokenizer"]["use_regex"] = false;
    refused("use_regex");
  }
  SECTION("an affix") {
    root["model"]["end_of_word_suffix"] = "</w>";
    refused("end_of_word_suffix \"</w>\"");
  }
  SECTION("dropout") {
    root["model"]["dropout"] = 0.1;
    refused("dropout 0.1");
  }
  SECTION("ignore_merges") {
    root["model"]["ignore_merges"] = true;
    refused("ignore_merges");
  }
}

TEST_CASE("what is malformed is named, with the file") {
  auto root = test::small_tokenizer_json();
  auto& model = root["model"];
  const auto refused = [&](const std::string& part) {
    const auto sentence = test::refusal(error_kind::bad_file, [&] { io::tokenizer_json_reader("x.json").whole(root); });
    CHECK_THAT(sentence, ContainsSubstring("'x.json': ") and ContainsSubstring(part));
  };
  SECTION("no object") {
    root = json::array();
    refused("should be an object, found []");
  }
  SECTION("no model") {
    root.erase("model");
    refused("\"model\" should be an object, found null");
  }
  SECTION("no vocabulary") {
    model.erase("vocab");
    refused("model.vocab should be");
  }
  SECTION("no merges") {
    model.erase("merges");
    refused("model.merges should be a list");
  }
  SECTION("ids") {
    const auto wrong =
        GENERATE(as<json>{}, -1, 1.5, "7", nullptr, 1'000'000, 18446744073709551615u, 9223372036854775808u);
    model["vocab"]["xy"] = wrong;
    refused("the id of the token \"xy\" should be a whole number from 0 to 999999, found " + wrong.dump());
  }
  SECTION("merges") {
    const auto wrong =
        GENERATE(as<json>{}, "ab", "a b c", " b", "a ", "", 7, json::array({"a"}), json::array({"a", 1}));
    model["merges"].push_back(wrong);
    refused("merge 3");
  }
  SECTION("added tokens") {
    root["added_tokens"] = {{"a", 1}};
    refused("\"added_tokens\" should be a list");
  }
  SECTION("an added token without content") {
    root["added_tokens"] = {{{"id", 258}}};
    refused("\"content\" of an added token should be a string, found null");
  }
  SECTION("an added token that is none") {
    root["added_tokens"] = {7};
    refused("\"content\" of an added token");
  }
  SECTION("an added token without an id") {
    root["added_tokens"][0].erase("id");
    refused("the id of the token \"<e>\"");
  }
  SECTION("a flag that is none") {
    root["added_tokens"][0]["lstrip"] = 1;
    refused("\"lstrip\" of \"<e>\" should be true or false, found 1");
  }
}

}  // namespace trimtab::test::tokenizer_json_tests
