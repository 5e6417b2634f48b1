// SPDX-License-Identifier: Apache-2.0
#include <trimtab/task/ioi.hpp>

#include "prompt_checks.hpp"
#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/word_tokenizer.hpp"

#include <set>
#include <string>

namespace trimtab::test::ioi_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

const test::word_tokenizer tokenizer;

std::size_t occurrences(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != text.npos; at = text.find(word, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("The ids, answers and roles of indirect object prompts are right") {
  const auto sets = task::ioi(tokenizer, {.train = 64, .test = 50, .test_other_lengths = 40, .seed = 1});
  CHECK(sets.train.size() == 64);
  CHECK(sets.test.size() == 50);
  CHECK(sets.test_other_lengths.size() == 40);
  test::check_lengths(sets);
  for (const auto& set : {sets.train, sets.test, sets.test_other_lengths}) {
    test::check_prompts(tokenizer, set);
    for (const auto& pair : set) {
      CAPTURE(pair.prompt);
      CHECK(test::text_of(tokenizer, pair, "io") == pair.correct);
      CHECK(test::text_of(tokenizer, pair, "s1") == pair.wrong);
      CHECK(test::text_of(tokenizer, pair, "s2") == pair.wrong);
      CHECK(pair.roles.at("s1").first < pair.roles.at("s2").first);
      CHECK(occurrences(pair.prompt + " ", pair.correct) == 1);
      CHECK(occurrences(pair.prompt + " ", pair.wrong) == 2);
      CHECK(pair.prompt.find('[') == std::string::npos);
    }
  }
}

TEST_CASE("The corrupt prompt exchanges the two names at every occurrence, and nothing else") {
  const auto sets = task::ioi(tokenizer, {.train = 64, .test = 50, .test_other_lengths = 40});
  for (const auto& set : {sets.train, sets.test, sets.test_other_lengths})
    for (const auto& pair : set) {
      auto exchanged = pair.ids;
      for (int& id : exchanged) id = id == pair.correct_id ? pair.wrong_id : id == pair.wrong_id ? pair.correct_id : id;
      CHECK(pair.corrupt_ids == exchanged);
      CHECK(pair.corrupt_ids == tokenizer.encode(pair.corrupt));
      CHECK(pair.corrupt_ids != pair.ids);
    }
}

TEST_CASE("Train and test prompts share no name") {
  const auto seed = GENERATE(1u, 2u, 3u);
  const auto sets = task::ioi(tokenizer, {.train = 300, .test = 300, .test_other_lengths = 300, .seed = seed});
  const auto train = test::answers(sets.train);
  CHECK(test::disjoint(train, test::answers(sets.test)));
  CHECK(test::disjoint(train, test::answers(sets.test_other_lengths)));
}

TEST_CASE("Both orders of the names and all templates come up") {
  const auto sets = task::ioi(tokenizer, {.train = 400, .test_other_lengths = 400});
  int io_first = 0;
  std::set<std::string> first_words, other_first_words;
  for (const auto& pair : sets.train) {
    io_first += pair.roles.at("io").first < pair.roles.at("s1").first ? 1 : 0;
    first_words.insert(pair.prompt.substr(0, pair.prompt.find(' ')));
  }
  std::set<std::size_t> lengths;
  for (const auto& pair : sets.test_other_lengths) lengths.insert(pair.ids.size());
  CHECK((io_first > 150 and io_first < 250));
  CHECK(first_words.size() == 10);
  CHECK(lengths.size() >= 5);
}

TEST_CASE("A seed gives the same prompts again, another seed gives others") {
  const auto same = task::ioi(tokenizer, {.seed = 7});
  CHECK(same.train == task::ioi(tokenizer, {.seed = 7}).train);
  CHECK(same.test == task::ioi(tokenizer, {.seed = 7}).test);
  CHECK(same.test_other_lengths == task::ioi(tokenizer, {.seed = 7}).test_other_lengths);
  CHECK(same.train != task::ioi(tokenizer, {.seed = 8}).train);
}

TEST_CASE("These are the prompts of seed 1, with any standard library") {
  const auto sets = task::ioi(tokenizer, {.train = 2, .test = 1});
  CHECK(sets.train[0].prompt == "Yesterday Angela and Mark sat in the farm. Mark sold a bone to");
  CHECK(sets.train[1].prompt == "As Andrew and Samuel walked to the museum, Samuel offered a snack to");
}

TEST_CASE("Words of several tokens are left out") {
  const test::word_tokenizer short_words(6);  // a space and five letters
  const auto sets = task::ioi(short_words, {.train = 64, .test = 64});
  for (const auto& set : {sets.train, sets.test, sets.test_other_lengths}) {
    test::check_prompts(short_words, set);
    for (const auto& pair : set) CHECK((pair.correct.size() <= 6 and pair.wrong.size() <= 6));
  }
  test::check_lengths(sets);
}

TEST_CASE("A tokenizer without enough whole words is refused with their number") {
  const auto sentence = test::refusal(error_kind::bad_data, [] { task::ioi(test::word_tokenizer(1)); });
  CHECK_THAT(sentence, ContainsSubstring("only 0 of the"));
}

TEST_CASE("More prompts than there are, or fewer than none, are refused") {
  const auto sentence = test::refusal(error_kind::bad_argument, [] { task::ioi(tokenizer, {.train = -1}); });
  CHECK_THAT(sentence, ContainsSubstring("ioi: train"));
  test::refusal(error_kind::bad_argument, [] { task::ioi(tokenizer, {.test = -1}); });
  test::refusal(error_kind::bad_argument, [] { task::ioi(tokenizer, {.test_other_lengths = 2'000'000}); });
  CHECK(task::ioi(tokenizer, {.train = 0, .test = 0, .test_other_lengths = 0}).train.empty());
}

TEST_CASE("Templates and lengths of indirect object prompts can be chosen, or mixed") {
  const auto lengths_of = [](const std::vector<prompt_pair>& pairs) {
    std::set<std::size_t> lengths;
    for (const auto& pair : pairs) lengths.insert(pair.ids.size());
    return lengths;
  };
  const auto one = task::ioi(tokenizer, {.train = 20, .test = 10, .shape = {.templates = {0}}});
  for (const auto& pair : one.train) CHECK(pair.prompt.starts_with("When "));
  CHECK(one.test_other_lengths.empty());

  const auto mixed = task::ioi(tokenizer, {.train = 200, .test = 50, .shape = {.any_length = true}});
  CHECK(lengths_of(mixed.train).size() > 3);
  CHECK(mixed.test_other_lengths.empty());

  const auto usual = *lengths_of(task::ioi(tokenizer).train).begin();
  const auto other = *lengths_of(task::ioi(tokenizer).test_other_lengths).begin();
  const auto chosen = task::ioi(tokenizer, {.shape = {.lengths = {static_cast<int>(other)}}});
  CHECK(lengths_of(chosen.train) == std::set<std::size_t>{other});
  CHECK(lengths_of(chosen.test_other_lengths).contains(usual));

  CHECK_THAT(test::refusal(error_kind::bad_argument, [] { task::ioi(tokenizer, {.shape = {.templates = {99}}}); }),
             ContainsSubstring("has the templates 0 to 20, and no template 99"));
  CHECK_THAT(test::refusal(error_kind::bad_argument, [] { task::ioi(tokenizer, {.shape = {.lengths = {3}}}); }),
             ContainsSubstring("has no prompts of 3 tokens for this tokenizer and these templates; it has "));
}

}  // namespace trimtab::test::ioi_tests
