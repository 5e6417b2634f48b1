// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/tokenizer_files.hpp>

#include "support/assets.hpp"
#include "support/catch.hpp"
#include "support/random_text.hpp"
#include "support/refusal.hpp"
#include "support/small_tokenizer.hpp"
#include "support/temporary_folder.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

using namespace trimtab;
using namespace trimtab::test;
using Catch::Matchers::ContainsSubstring;
using io::json;
namespace fs = std::filesystem;

namespace {

using ids = std::vector<int>;

std::string content_of(fs::path const& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// A whole `tokenizer.json` of a small vocabulary: "ab" is 256, " ab" is 257.
json small_json() {
  auto const data = test::small_tokenizer_data({{"a", "b"}, {"Ġ", "ab"}});
  auto vocabulary = json::object();
  for (auto const& [token, id] : data.vocabulary) vocabulary[token] = id;
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"added_tokens", json::array({{{"id", 258}, {"content", "<e>"}, {"special", true}, {"normalized", false}}})},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}}},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b", "Ġ ab"}}}}};
}

text::tokenizer read_text(std::string const& content) {
  test::temporary_folder const folder;
  folder.file("tokenizer.json", content);
  return io::read_tokenizer(folder.path());
}

text::tokenizer read(json const& root) { return read_text(root.dump()); }

void check_refused(std::function<void()> const& action, error_kind kind, std::string const& part) {
  CHECK_THAT(test::refusal(kind, action), ContainsSubstring(part));
}

std::vector<std::string> known_texts(fs::path const& file) {
  constexpr std::string_view separator = "\n__ggml_vocab_test__\n";
  auto const content = content_of(file);
  std::vector<std::string> texts;
  std::size_t begin = 0;
  for (auto end = content.find(separator); end != content.npos; end = content.find(separator, begin)) {
    texts.push_back(content.substr(begin, end - begin));
    begin = end + separator.size();
  }
  texts.push_back(content.substr(begin));
  return texts;
}

std::vector<ids> known_ids(fs::path const& file) {
  std::istringstream lines(content_of(file));
  std::vector<ids> all;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream numbers(line);
    all.emplace_back(std::istream_iterator<int>(numbers), std::istream_iterator<int>());
  }
  return all;
}

}  // namespace

TEST_CASE("GPT-2: the ids of the reference") {
  auto const folder = test::asset("tokenizers/gpt2");
  if (not folder) {
    WARN(test::missing_asset("tokenizers/gpt2"));
    return;
  }
  auto const t = io::read_tokenizer(*folder);
  CHECK(t.vocabulary_size() == 50257);
  auto const texts = known_texts(*folder / "ggml-vocab-gpt-2.gguf.inp");
  auto expected = known_ids(*folder / "ggml-vocab-gpt-2.gguf.out");
  REQUIRE(texts.size() == 47);
  expected.resize(texts.size());  // the last text is empty, and so is its line
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CAPTURE(i, texts[i]);
    CHECK(t.encode(texts[i]) == expected[i]);
    CHECK(t.decode(expected[i]) == texts[i]);
  }
  CHECK(t.encode("Hello<|endoftext|>", text::special_tokens::allow) == ids{15496, 50256});
  CHECK(t.encode("<|endoftext|>") == ids{27, 91, 437, 1659, 5239, 91, 29});
  CHECK(t.find("ĠJohn") == t.encode(" John")[0]);

  std::mt19937 generator(7);
  for (int i = 0; i < 1000; ++i) {
    auto const text = test::random_text(generator);
    CHECK(t.decode(t.encode(text)) == text);
  }
  for (int id = 0; id < 50257; ++id)
    if (t.decode(std::vector{id}).empty()) FAIL("id " << id << " decodes to nothing");
}

TEST_CASE("GPT-NeoX: the ids of the reference") {
  auto const file = test::asset("tokenizers/gpt-neox/20B_tokenizer.json");
  if (not file) {
    WARN(test::missing_asset("tokenizers/gpt-neox/20B_tokenizer.json"));
    return;
  }
  auto const t = io::read_tokenizer(*file);
  CHECK(t.vocabulary_size() == 50277);

  CHECK(t.encode("Hello world") == ids{12092, 1533});
  CHECK(t.encode(" Hello World!") == ids{24387, 3645, 2});
  CHECK(t.encode("Hello, y'all! How are you") == ids{12092, 13, 340, 8, 455, 2, 1359, 403, 368});
  CHECK(t.encode("w048 7tuijk dsdfhu") == ids{88, 27244, 818, 16853, 16392, 20505, 4989, 11917});
  CHECK(t.encode("нещо на Български") == ids{32520, 11514, 1068, 8713, 38177, 13396, 3415, 9925, 12559, 10453, 1389});

  // Runs of 2 to 24 spaces are added tokens, 50276 down to 50254; they take the space that GPT-2 leaves to the word.
  CHECK(t.encode(" ") == ids{209});
  for (int count = 2; count <= 24; ++count)
    CHECK(t.encode(std::string(static_cast<std::size_t>(count), ' ') + "Hello") == ids{50278 - count, 12092});
  CHECK(t.encode(std::string(25, ' ')) == ids{50254, 209});
  CHECK(t.encode(std::string(50, ' ')) == ids{50254, 50254, 50276});
  CHECK(t.encode("   Hello\n   Hello") == ids{50275, 12092, 187, 50275, 12092});

  // Normal form C: composed and decomposed letters are the same token.
  CHECK(t.encode("cafe\u0301") == t.encode("caf\u00E9"));
  CHECK(t.encode("\u1100\u1161") == t.encode("\uAC00"));

  CHECK(t.encode("Hello<|endoftext|>", text::special_tokens::allow) == ids{12092, 0});
  CHECK(t.encode("<|endoftext|>").size() > 1);

  std::mt19937 generator(8);
  for (int i = 0; i < 1000; ++i) {
    auto const text = text::nfc(test::random_text(generator));
    CHECK(t.decode(t.encode(text)) == text);
  }
  for (int id = 0; id < 50277; ++id)
    if (t.decode(std::vector{id}).empty()) FAIL("id " << id << " decodes to nothing");
}

TEST_CASE("the three ways to ship a tokenizer agree") {
  auto const root = small_json();
  auto const vocabulary = root["model"]["vocab"].dump();
  std::string const merges = "#version: 0.2\na b\nĠ ab\n";
  auto const t = read(root);
  for (auto const& [first, second] : {std::pair{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}}) {
    test::temporary_folder const folder;
    folder.file(first, vocabulary);
    folder.file(second, merges);
    CHECK(io::read_tokenizer(folder.path()).encode("ab ab c") == t.encode("ab ab c"));
  }
  CHECK(t.encode("ab ab") == ids{256, 257});
  CHECK(t.encode("<e>") == ids{'<', 'e', '>'});
  CHECK(t.encode("<e>", text::special_tokens::allow) == ids{258});
}

TEST_CASE("merges are strings or pairs") {
  auto root = small_json();
  root["model"]["merges"] = json::array({json::array({"a", "b"}), json::array({"Ġ", "ab"})});
  CHECK(read(root).encode("ab ab") == ids{256, 257});
}

TEST_CASE("only the first line of merges is a comment") {
  test::temporary_folder const folder;
  auto vocabulary = small_json()["model"]["vocab"];
  vocabulary["##"] = 258;
  vocabulary["#version:x"] = 259;
  folder.file("vocab.json", vocabulary.dump());
  folder.file("merges.txt", "#version: 0.2\r\n# #\r\na b\r\n");
  auto const t = io::read_tokenizer(folder.path());
  CHECK(t.encode("##ab") == ids{258, 256});
  folder.file("merges.txt", "# #");
  CHECK(io::read_tokenizer(folder.path()).encode("##") == ids{258});
}

TEST_CASE("the options of tokenizer.json count") {
  auto root = small_json();
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
  auto root = small_json();
  auto const refused = [&](std::string const& part) {
    check_refused([&] { read(root); }, error_kind::bad_config, part);
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
  auto root = small_json();
  auto& model = root["model"];
  auto const refused = [&](std::string const& part) {
    check_refused([&] { read(root); }, error_kind::bad_file, part);
    check_refused([&] { read(root); }, error_kind::bad_file, "tokenizer.json'");
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
    auto const wrong =
        GENERATE(as<json>{}, -1, 1.5, "7", nullptr, 1'000'000, 18446744073709551615u, 9223372036854775808u);
    model["vocab"]["xy"] = wrong;
    refused("the id of the token \"xy\" should be a whole number from 0 to 999999, found " + wrong.dump());
  }
  SECTION("an id twice") {
    model["vocab"]["xy"] = 256;
    refused("has the id 256, which");
  }
  SECTION("merges") {
    auto const wrong =
        GENERATE(as<json>{}, "ab", "a b c", " b", "a ", "", 7, json::array({"a"}), json::array({"a", 1}));
    model["merges"].push_back(wrong);
    refused("merge 3");
  }
  SECTION("a merge of unknown tokens") {
    model["merges"].push_back("x y");
    refused("merge 3 (\"x\" and \"y\") needs the token \"xy\"");
  }
  SECTION("a byte without a symbol") {
    model["vocab"].erase("A");
    refused("the symbol \"A\" of the byte 65");
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

TEST_CASE("broken files end in a sentence") {
  auto const whole = small_json().dump();
  SECTION("truncated") {
    for (std::size_t length = 0; length < whole.size(); length += 97)
      check_refused([&] { read_text(whole.substr(0, length)); }, error_kind::bad_file, "JSON");
  }
  SECTION("one byte changed") {
    std::mt19937 generator(9);
    for (int i = 0; i < 300; ++i) {
      auto changed = whole;
      changed[std::uniform_int_distribution<std::size_t>(0, whole.size() - 1)(generator)] =
          static_cast<char>(std::uniform_int_distribution<>(0, 255)(generator));
      try {
        read_text(changed).encode("ab ab");
      } catch (error const& refused) {
        CHECK_THAT(refused.what(), ContainsSubstring("tokenizer.json'"));
      }
    }
  }
  SECTION("lines that are no merges") {
    test::temporary_folder const folder;
    folder.file("vocab.json", small_json()["model"]["vocab"].dump());
    folder.file("merges.txt", "#version: 0.2\na b\nabc\n");
    check_refused([&] { io::read_tokenizer(folder.path()); }, error_kind::bad_file, "line 3");
    check_refused([&] { io::read_tokenizer(folder.path()); }, error_kind::bad_file, "merges.txt");
  }
}

TEST_CASE("missing files are named") {
  test::temporary_folder const folder;
  check_refused([&] { io::read_tokenizer(folder.path()); }, error_kind::io, "'tokenizer.json'");
  check_refused([&] { io::read_tokenizer(folder.path() / "nowhere"); }, error_kind::io, "nowhere");
  folder.file("vocab.json", "{}");
  check_refused([&] { io::read_tokenizer(folder.path()); }, error_kind::io, "'merges.txt'");
}
