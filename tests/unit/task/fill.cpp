// SPDX-License-Identifier: Apache-2.0
#include <trimtab/task/fill.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/word_tokenizer.hpp"

#include <string_view>
#include <vector>

namespace trimtab::test::fill_tests {

TEST_CASE("Slots are filled and their tokens found, the space before a value included") {
  const test::word_tokenizer tokenizer;
  const auto filled = task::fill(tokenizer, "When [A] met [B], [A] spoke", {{"A", "Mary"}, {"B", "John"}});
  CHECK(filled.text == "When Mary met John, Mary spoke");
  CHECK(filled.ids == tokenizer.encode(filled.text));
  CHECK(filled.length() == 7);
  CHECK(filled.spans.at("A") == std::vector<token_span>{{1, 2}, {5, 6}});
  CHECK(filled.spans.at("B") == std::vector<token_span>{{3, 4}});
}

TEST_CASE("A value can begin and end the text, and be several tokens") {
  const test::word_tokenizer tokenizer;
  const auto filled = task::fill(tokenizer, "[A] is [A]", {{"A", "New Zealand"}});
  CHECK(filled.text == "New Zealand is New Zealand");
  CHECK(filled.spans.at("A") == std::vector<token_span>{{0, 2}, {3, 5}});
}

TEST_CASE("Values without a slot are left out, a template without slots is its own text") {
  const auto filled = task::fill(test::word_tokenizer(), "Nothing here.", {{"A", "Mary"}});
  CHECK(filled.text == "Nothing here.");
  CHECK(filled.spans.empty());
}

namespace {

/// A tokenizer that joins any two words into one token, which no byte-level tokenizer does.
struct pairs_of_words {
  std::vector<int> encode(std::string_view text) const {
    std::vector<int> ids;
    const test::word_tokenizer words;
    const auto single = words.encode(text);
    for (std::size_t i = 0; i < single.size(); i += 2)
      ids.push_back(single[i] * 1000 + (i + 1 < single.size() ? single[i + 1] : 999));
    return ids;
  }
};

}  // namespace

TEST_CASE("A tokenizer that joins a value and its surroundings is refused") {
  const auto sentence = test::refusal(error_kind::bad_data, [] {
    task::fill(pairs_of_words(), "When [A] met", {{"A", "Mary"}});
  });
  CHECK_THAT(sentence, Catch::Matchers::ContainsSubstring("When Mary met"));
}

}  // namespace trimtab::test::fill_tests
