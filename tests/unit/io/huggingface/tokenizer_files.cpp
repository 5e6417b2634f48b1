// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/huggingface/tokenizer_files.hpp>

#include "support/assets.hpp"
#include "support/catch.hpp"
#include "support/random_text.hpp"
#include "support/refusal.hpp"
#include "support/small_tokenizer_json.hpp"
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

namespace trimtab::test::tokenizer_files_tests {

using Catch::Matchers::ContainsSubstring;
using io::json;
namespace fs = std::filesystem;

namespace {

using ids = std::vector<int>;

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

text::tokenizer read_text(const std::string& content) {
  const test::temporary_folder folder;
  folder.file("tokenizer.json", content);
  return io::read_tokenizer(folder.path());
}

text::tokenizer read(const json& root) { return read_text(root.dump()); }

void check_refused(const std::function<void()>& action, error_kind kind, const std::string& part) {
  CHECK_THAT(test::refusal(kind, action), ContainsSubstring(part));
}

std::vector<std::string> known_texts(const fs::path& file) {
  constexpr std::string_view separator = "\n__ggml_vocab_test__\n";
  const auto content = content_of(file);
  std::vector<std::string> texts;
  std::size_t begin = 0;
  for (auto end = content.find(separator); end != content.npos; end = content.find(separator, begin)) {
    texts.push_back(content.substr(begin, end - begin));
    begin = end + separator.size();
  }
  texts.push_back(content.substr(begin));
  return texts;
}

std::vector<ids> known_ids(const fs::path& file) {
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
  const auto folder = test::asset("tokenizers/gpt2");
  if (not folder) {
    WARN(test::missing_asset("tokenizers/gpt2"));
    return;
  }
  const auto t = io::read_tokenizer(*folder);
  CHECK(t.vocabulary_size() == 50257);
  const auto texts = known_texts(*folder / "ggml-vocab-gpt-2.gguf.inp");
  auto expected = known_ids(*folder / "ggml-vocab-gpt-2.gguf.out");
  REQUIRE(texts.size() == 47);
  expected.resize(texts.size());  // the last text is empty, and so is its line
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CAPTURE(i, texts[i]);
    CHECK(t.encode(texts[i]) == expected[i]);
    CHECK(t.decode(expected[i]) == texts[i]);
  }
  CHECK(t.encode("Hello<|endoftext|>") == ids{15496, 50256});
  CHECK(t.encode("<|endoftext|>", text::special_tokens::ordinary) == ids{27, 91, 437, 1659, 5239, 91, 29});
  CHECK(t.find("ĠJohn") == t.encode(" John")[0]);

  std::mt19937 generator(7);
  for (int i = 0; i < 1000; ++i) {
    const auto text = test::random_text(generator);
    CHECK(t.decode(t.encode(text)) == text);
  }
  for (int id = 0; id < 50257; ++id)
    if (t.decode(std::vector{id}).empty()) FAIL("id " << id << " decodes to nothing");
}

TEST_CASE("GPT-NeoX: the ids of the reference") {
  const auto file = test::asset("tokenizers/gpt-neox/20B_tokenizer.json");
  if (not file) {
    WARN(test::missing_asset("tokenizers/gpt-neox/20B_tokenizer.json"));
    return;
  }
  const auto t = io::read_tokenizer(*file);
  CHECK(t.vocabulary_size() == 50277);

  CHECK(t.encode("Hello world") == ids{12092, 1533});
  CHECK(t.encode(" Hello World!") == ids{24387, 3645, 2});
  CHECK(t.encode("Hello, y'all! How are you") == ids{12092, 13, 340, 8, 455, 2, 1359, 403, 368});
  CHECK(t.encode("w048 7tuijk dsdfhu") == ids{88, 27244, 818, 16853, 16392, 20505, 4989, 11917});
  CHECK(t.encode("нещо на Български") == ids{32520, 11514, 1068, 8713, 38177, 13396, 3415, 9925, 12559, 10453, 1389});

  // Runs of 2 to 24 spaces are added tokens, 50276 down to 50254; they include the space that GPT-2 leaves to the word.
  CHECK(t.encode(" ") == ids{209});
  for (int count = 2; count <= 24; ++count)
    CHECK(t.encode(std::string(static_cast<std::size_t>(count), ' ') + "Hello") == ids{50278 - count, 12092});
  CHECK(t.encode(std::string(25, ' ')) == ids{50254, 209});
  CHECK(t.encode(std::string(50, ' ')) == ids{50254, 50254, 50276});
  CHECK(t.encode("   Hello\n   Hello") == ids{50275, 12092, 187, 50275, 12092});

  // Normal form C: composed and decomposed letters are the same token.
  CHECK(t.encode("cafe\u0301") == t.encode("caf\u00E9"));
  CHECK(t.encode("\u1100\u1161") == t.encode("\uAC00"));

  CHECK(t.encode("Hello<|endoftext|>") == ids{12092, 0});
  CHECK(t.encode("<|endoftext|>", text::special_tokens::ordinary).size() > 1);

  std::mt19937 generator(8);
  for (int i = 0; i < 1000; ++i) {
    const auto text = text::nfc(test::random_text(generator));
    CHECK(t.decode(t.encode(text)) == text);
  }
  for (int id = 0; id < 50277; ++id)
    if (t.decode(std::vector{id}).empty()) FAIL("id " << id << " decodes to nothing");
}

TEST_CASE("the three ways to ship a tokenizer agree") {
  const auto root = test::small_tokenizer_json();
  const auto vocabulary = root["model"]["vocab"].dump();
  const std::string merges = "#version: 0.2\na b\nĠ ab\n";
  const auto t = read(root);
  for (const auto& [first, second] : {std::pair{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}}) {
    const test::temporary_folder folder;
    folder.file(first, vocabulary);
    folder.file(second, merges);
    CHECK(io::read_tokenizer(folder.path()).encode("ab ab c") == t.encode("ab ab c"));
  }
  CHECK(t.encode("ab ab") == ids{256, 257});
  CHECK(t.encode("<e>") == ids{258});
  CHECK(t.encode("<e>", text::special_tokens::ordinary) == ids{'<', 'e', '>'});
}

TEST_CASE("only the first line of merges is a comment") {
  const test::temporary_folder folder;
  auto vocabulary = test::small_tokenizer_json()["model"]["vocab"];
  vocabulary["##"] = 258;
  vocabulary["#version:x"] = 259;
  folder.file("vocab.json", vocabulary.dump());
  folder.file("merges.txt", "#version: 0.2\r\n# #\r\na b\r\n");
  const auto t = io::read_tokenizer(folder.path());
  CHECK(t.encode("##ab") == ids{258, 256});
  folder.file("merges.txt", "# #");
  CHECK(io::read_tokenizer(folder.path()).encode("##") == ids{258});
}

TEST_CASE("a vocabulary of more than bytes needs merges") {
  const test::temporary_folder folder;
  auto vocabulary = test::small_tokenizer_json()["model"]["vocab"];
  folder.file("vocab.json", vocabulary.dump());
  folder.file("merges.txt", "#version: 0.2\n");
  check_refused([&] { io::read_tokenizer(folder.path()); }, error_kind::bad_file,
                "merges.txt' holds no merges, without which the token \"ab\" of '");
  for (auto entry = vocabulary.begin(); entry != vocabulary.end();)
    entry = entry.value() >= 256 ? vocabulary.erase(entry) : std::next(entry);
  vocabulary["<|endoftext|>"] = 256;
  folder.file("vocab.json", vocabulary.dump());
  CHECK(io::read_tokenizer(folder.path()).encode("ab") == ids{'a', 'b'});
}

TEST_CASE("broken files end in a sentence") {
  const auto whole = test::small_tokenizer_json().dump();
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
      } catch (const error& refused) {
        CHECK_THAT(refused.what(), ContainsSubstring("tokenizer.json'"));
      }
    }
  }
  SECTION("lines that are no merges") {
    const test::temporary_folder folder;
    folder.file("vocab.json", test::small_tokenizer_json()["model"]["vocab"].dump());
    folder.file("merges.txt", "#version: 0.2\na b\nabc\n");
    check_refused([&] { io::read_tokenizer(folder.path()); }, error_kind::bad_file, "line 3");
    check_refused([&] { io::read_tokenizer(folder.path()); }, error_kind::bad_file, "merges.txt");
  }
}

TEST_CASE("missing files are named") {
  const test::temporary_folder folder;
  check_refused([&] { io::read_tokenizer(folder.path()); }, error_kind::io, "'tokenizer.json'");
  check_refused([&] { io::read_tokenizer(folder.path() / "nowhere"); }, error_kind::io, "nowhere");
  folder.file("vocab.json", "{}");
  check_refused([&] { io::read_tokenizer(folder.path()); }, error_kind::io, "'merges.txt'");
}

}  // namespace trimtab::test::tokenizer_files_tests
