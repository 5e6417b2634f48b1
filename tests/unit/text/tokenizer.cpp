// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/tokenizer.hpp>

#include "support/catch.hpp"
#include "support/random_text.hpp"
#include "support/refusal.hpp"
#include "support/small_tokenizer.hpp"

#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace trimtab::test::tokenizer_tests {

using Catch::Matchers::ContainsSubstring;
using text::special_tokens;
using text::tokenizer;
using text::tokenizer_data;

namespace {

using ids = std::vector<int>;

/// "ab" is 256, " ab" is 257, "é" is 258.
const tokenizer_data small = test::small_tokenizer_data({{"a", "b"}, {"Ġ", "ab"}, {"Ã", "©"}});

tokenizer_data with(const text::added_token& token) {
  auto data = small;
  data.added_tokens.push_back(token);
  return data;
}

void check_refused(const tokenizer_data& data, const std::string& part) {
  CHECK_THAT(test::refusal(error_kind::bad_file, [&] { const tokenizer made(data); }), ContainsSubstring(part));
}

}  // namespace

TEST_CASE("words are merged, not the text across them") {
  const tokenizer t(small);
  CHECK(t.encode("ab ab") == ids{256, 257});
  CHECK(t.encode("a b") == ids{'a', ' ', 'b'});
  CHECK(t.encode("é") == ids{258});
  CHECK(t.encode("").empty());
  CHECK(t.encode("e\u0301") == ids{'e', 0xCC, 0x81});
}

TEST_CASE("decoding restores any text") {
  const tokenizer t(small);
  std::mt19937 generator(6);
  for (int i = 0; i < 500; ++i) {
    const auto text = test::random_text(generator);
    CHECK(t.decode(t.encode(text)) == text);
  }
}

TEST_CASE("decoding part of a character gives U+FFFD") {
  const tokenizer t(small);
  CHECK(t.decode(ids{'x', 0xC3}) == "x\uFFFD");
  CHECK(t.decode(ids{0xC3, 0xA9}) == "é");
  CHECK(t.bytes(0xC3) == "\xC3");
}

TEST_CASE("tokens by id and by spelling") {
  const tokenizer t(small);
  CHECK(t.vocabulary_size() == 259);
  CHECK(t.token(257) == "Ġab");
  CHECK(t.bytes(257) == " ab");
  CHECK(t.find("Ġab") == 257);
  CHECK(not t.find(" ab"));
  for (const int id : {-1, 259, 2'000'000'000}) {
    CHECK(not t.contains(id));
    CHECK_THAT(test::refusal(error_kind::bad_argument, [&] { t.decode(ids{id}); }),
               ContainsSubstring("the id " + std::to_string(id)));
  }
}

TEST_CASE("ids of a vocabulary may have gaps") {
  auto data = small;
  data.vocabulary.emplace_back("xy", 300);
  const tokenizer t(data);
  CHECK(t.vocabulary_size() == 301);
  CHECK(t.contains(300));
  CHECK(not t.contains(299));
  CHECK_THROWS_WITH(t.token(299), ContainsSubstring("the id 299"));
}

TEST_CASE("the prefix space goes before text that has none") {
  auto data = with({.id = 259, .content = "##"});
  data.add_prefix_space = true;
  const tokenizer t(data);
  CHECK(t.encode("ab") == ids{257});
  CHECK(t.encode(" ab") == ids{257});
  CHECK(t.encode("\nab") == ids{' ', '\n', 256});
  CHECK(t.encode("ab##ab") == ids{257, 259, 257});
  CHECK(t.encode("").empty());
}

TEST_CASE("normal form C comes before the words") {
  auto data = small;
  data.nfc = true;
  CHECK(tokenizer(data).encode("e\u0301") == ids{258});
}

TEST_CASE("added tokens match before or after normalization") {
  auto data = with({.id = 259, .content = "#e\u0301", .normalized = true});
  data.nfc = true;
  CHECK(tokenizer(data).encode("#é") == ids{259});
  CHECK(tokenizer(data).encode("#e\u0301") == ids{259});
  data.added_tokens[0].normalized = false;
  CHECK(tokenizer(data).encode("#é") == ids{'#', 258});
  CHECK(tokenizer(data).encode("#e\u0301") == ids{259});
}

TEST_CASE("control tokens in text are tokens unless they are asked to be text") {
  auto data = with({.id = 259, .content = "<|endoftext|>", .special = true, .normalized = false});
  const tokenizer t(data);
  CHECK(t.encode("ab<|endoftext|>") == ids{256, 259});
  CHECK(t.encode("ab<|endoftext|>", special_tokens::ordinary).size() == 14);
  data.special = special_tokens::ordinary;
  CHECK(tokenizer(data).encode("ab<|endoftext|>").size() == 14);
  CHECK(tokenizer(data).encode("ab<|endoftext|>", special_tokens::allow) == ids{256, 259});
  CHECK(t.decode(ids{256, 259}) == "ab<|endoftext|>");
}

TEST_CASE("a prompt begins with the ids that stand before it") {
  auto data = small;
  data.before = {'b', 256};
  data.after = {'a'};
  const tokenizer t(data);
  CHECK(t.encode_prompt("ab") == ids{'b', 256, 256});
  CHECK(t.encode_prompt("") == ids{'b', 256});
  CHECK(t.encode("ab") == ids{256});
  CHECK(t.after() == ids{'a'});
  data.after = {259};
  check_refused(data, "the id 259, which stands before or after every text, has no token");
}

TEST_CASE("an added token decodes to its own text, not through byte level") {
  const tokenizer t(with({.id = 259, .content = "Ġ日"}));
  CHECK(t.decode(t.encode("Ġ日ab")) == "Ġ日ab");
  const tokenizer symbol(with({.id = ' ', .content = "Ġ"}));
  CHECK(symbol.decode(symbol.encode("Ġ")) == "Ġ");
}

TEST_CASE("text that is not UTF-8 is refused with the place") {
  const tokenizer t(small);
  CHECK_THAT(test::refusal(error_kind::bad_text, [&] { t.encode("abc\xFF"); }), ContainsSubstring("byte 3"));
}

TEST_CASE("one tokenizer serves several threads, and copies are independent") {
  auto original = std::make_unique<tokenizer>(small);
  const auto copy = *original;
  original.reset();
  std::vector<ids> results(4);
  {
    std::vector<std::thread> threads;
    for (auto& result : results)
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) result = copy.encode("ab ab é and more");
      });
    for (auto& thread : threads) thread.join();
  }
  for (const auto& result : results) CHECK(result == copy.encode("ab ab é and more"));
}

TEST_CASE("data that contradicts itself is refused") {
  auto data = small;
  SECTION("an id twice") {
    data.vocabulary.emplace_back("xy", 256);
    check_refused(data, "the token \"xy\" has the id 256, which \"ab\" has already");
  }
  SECTION("a token twice") {
    data.vocabulary.emplace_back("ab", 300);
    check_refused(data, "the token \"ab\" is in the vocabulary twice");
  }
  SECTION("a negative id") {
    data.vocabulary.emplace_back("xy", -1);
    check_refused(data, "the token \"xy\" has the id -1");
  }
  SECTION("a wild id") {
    data.vocabulary.emplace_back("xy", 2'000'000'000);
    check_refused(data, "the id 2000000000");
  }
  SECTION("an empty token") {
    data.vocabulary.emplace_back("", 300);
    check_refused(data, "the token with the id 300 is empty");
  }
  SECTION("a merge without a result") {
    data.merges.emplace_back("x", "y");
    check_refused(data, "merge 4 (\"x\" and \"y\") needs the token \"xy\"");
  }
  SECTION("a merge of something unknown") {
    data.vocabulary.emplace_back("xyz", 300);
    data.merges.emplace_back("x", "yz");
    check_refused(data, "needs the token \"yz\"");
  }
  SECTION("a byte without a symbol") {
    std::erase_if(data.vocabulary, [](const auto& entry) { return entry.first == "Ġ"; });
    check_refused(data, "lacks the symbol \"Ġ\" of the byte 32");
  }
  SECTION("an added token with the id of another") {
    data.added_tokens.push_back({.id = 256, .content = "#!"});
    check_refused(data, "the token \"#!\" has the id 256");
  }
  SECTION("an added token with another id than in the vocabulary") {
    data.added_tokens.push_back({.id = 300, .content = "ab"});
    check_refused(data, "the added token \"ab\" has the id 300");
  }
  SECTION("no vocabulary at all") { check_refused({}, "lacks the symbol"); }
}

TEST_CASE("bytes that UTF-8 never uses need no symbol") {
  auto data = small;
  std::erase_if(data.vocabulary, [](const auto& entry) {
    return entry.second < 256 and not text::occurs_in_utf8(static_cast<unsigned char>(entry.second));
  });
  CHECK(data.vocabulary.size() == 259 - 13);
  CHECK(tokenizer(data).encode("ab\U0010FFFF") == ids{256, 0xF4, 0x8F, 0xBF, 0xBF});
}

}  // namespace trimtab::test::tokenizer_tests
