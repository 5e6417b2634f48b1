// SPDX-License-Identifier: Apache-2.0
#include <trimtab/task/ccc.hpp>

#include "prompt_checks.hpp"
#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/word_tokenizer.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace trimtab::test::ccc_tests {

using Catch::Matchers::ContainsSubstring;
using task::ccc_form;

namespace {

const test::word_tokenizer tokenizer;

/// From the subject of a question to its true answer, both with a leading space.
std::map<std::string, std::string> truth(ccc_form ask) {
  std::map<std::string, std::string> answers;
  for (const auto& [country, capital] : task::words::capitals) {
    const auto a = " " + std::string(country), b = " " + std::string(capital);
    answers[ask == ccc_form::capital ? a : b] = ask == ccc_form::capital ? b : a;
  }
  return answers;
}

/// The subject, with a leading space even where it begins the text.
std::string subject_of(const prompt_pair& pair) {
  const auto text = test::text_of(tokenizer, pair, "subject");
  return text.starts_with(' ') ? text : " " + text;
}

/// All countries and capitals that a prompt names or asks for.
std::set<std::string> entities(const std::vector<prompt_pair>& prompts) {
  std::set<std::string> all;
  for (const auto& pair : prompts) {
    for (const auto& [country, capital] : task::words::capitals)
      for (const auto word : {country, capital}) {
        const auto text = " " + pair.prompt + pair.correct + pair.wrong + " ";
        for (const auto* const after : {" ", ".", "?"})
          if (text.find(" " + std::string(word) + after) != text.npos) all.insert(std::string(word));
      }
  }
  return all;
}

}  // namespace

TEST_CASE("The corrupt prompt claims the true answer in place of the wrong one") {
  const auto ask = GENERATE(ccc_form::capital, ccc_form::country);
  const auto sets = task::ccc(tokenizer, {.train = 64, .test = 50, .test_other_lengths = 60, .ask = ask});
  for (const auto& set : {sets.train, sets.test, sets.test_other_lengths})
    for (const auto& pair : set) {
      auto told = pair.ids;
      told[static_cast<std::size_t>(pair.roles.at("context_answer").first)] = pair.correct_id;
      CHECK(pair.corrupt_ids == told);
      CHECK(pair.corrupt_ids == tokenizer.encode(pair.corrupt));
      CHECK(pair.corrupt_ids != pair.ids);
    }
  for (const auto& pair : task::ccc(tokenizer, {.ask = ask, .context = false}).train) CHECK(pair.corrupt_ids.empty());
}

TEST_CASE("Country and capital prompts are what they say") {
  const auto ask = GENERATE(ccc_form::capital, ccc_form::country);
  const auto context = GENERATE(true, false);
  const auto sets = task::ccc(
      tokenizer, {.train = 64, .test = 50, .test_other_lengths = 60, .seed = 1, .ask = ask, .context = context});
  CHECK(sets.train.size() == 64);
  CHECK(sets.test.size() == 50);
  CHECK(sets.test_other_lengths.size() == 60);
  test::check_lengths(sets);
  const auto answers = truth(ask);
  for (const auto& set : {sets.train, sets.test, sets.test_other_lengths}) {
    test::check_prompts(tokenizer, set);
    for (const auto& pair : set) {
      CAPTURE(pair.prompt);
      CHECK(answers.at(subject_of(pair)) == pair.correct);
      CHECK(pair.roles.contains("context_answer") == context);
      CHECK(pair.roles.contains("context_subject") == context);
      if (not context) continue;
      CHECK(test::text_of(tokenizer, pair, "context_answer") == pair.wrong);
      CHECK_THAT(" " + test::text_of(tokenizer, pair, "context_subject"), ContainsSubstring(subject_of(pair)));
      CHECK(pair.roles.at("context_subject").last <= pair.roles.at("subject").first);
    }
  }
}

TEST_CASE("A distracting sentence never answers the question") {
  const auto sets = task::ccc(tokenizer, {.train = 0, .test = 0, .test_other_lengths = 1'000});
  for (const auto& pair : sets.test_other_lengths) CHECK(pair.prompt.find(pair.correct + ".") == std::string::npos);
}

TEST_CASE("Train and test prompts share no country and no capital") {
  const auto ask = GENERATE(ccc_form::capital, ccc_form::country);
  const auto seed = GENERATE(1u, 2u);
  const auto sets =
      task::ccc(tokenizer, {.train = 200, .test = 200, .test_other_lengths = 200, .seed = seed, .ask = ask});
  const auto train = entities(sets.train);
  CHECK(train.size() > 100);
  CHECK(test::disjoint(train, entities(sets.test)));
  CHECK(test::disjoint(train, entities(sets.test_other_lengths)));
}

TEST_CASE("The prompt forms of the paper") {
  const auto conflict = task::ccc(tokenizer).train[0];
  const auto country = subject_of(conflict);
  CHECK(conflict.prompt ==
        "The capital of" + country + " is" + conflict.wrong + ". Q: What is the capital of" + country + "? A:");
  const auto memory = task::ccc(tokenizer, {.ask = ccc_form::country, .context = false}).train[0];
  CHECK(" " + memory.prompt == subject_of(memory) + " is in");
}

TEST_CASE("A seed gives the same conflicts again, another seed gives others") {
  const auto same = task::ccc(tokenizer, {.seed = 7});
  CHECK(same.train == task::ccc(tokenizer, {.seed = 7}).train);
  CHECK(same.test == task::ccc(tokenizer, {.seed = 7}).test);
  CHECK(same.test_other_lengths == task::ccc(tokenizer, {.seed = 7}).test_other_lengths);
  CHECK(same.train != task::ccc(tokenizer, {.seed = 8}).train);
}

TEST_CASE("These are the conflicts of seed 1, with any standard library") {
  CHECK(task::ccc(tokenizer, {.train = 1}).train[0].prompt ==
        "The capital of Italy is Hanoi. Q: What is the capital of Italy? A:");
}

TEST_CASE("Answers of several tokens are left out, and what is asked about may be several") {
  const test::word_tokenizer short_words(7);  // a space and six letters
  const auto sets = task::ccc(short_words, {.train = 64, .test = 64, .test_other_lengths = 300});
  test::check_lengths(sets);
  bool several = false;
  for (const auto& set : {sets.train, sets.test, sets.test_other_lengths}) {
    test::check_prompts(short_words, set);
    for (const auto& pair : set) {
      const auto [first, last] = pair.roles.at("subject");
      several = several or last - first > 1;
    }
  }
  CHECK(several);
}

TEST_CASE("More prompts than there are: the refusal says how many could be made") {
  const test::word_tokenizer short_words(6);
  const auto sentence =
      test::refusal(error_kind::bad_data, [&] { task::ccc(short_words, {.train = 5'000, .test = 10}); });
  CHECK_THAT(sentence, ContainsSubstring("ccc: train") and ContainsSubstring("5000") and ContainsSubstring("only"));
  CHECK_THAT(test::refusal(error_kind::bad_data, [] { task::ccc(test::word_tokenizer(2)); }),
             ContainsSubstring("only 0 of the"));
  test::refusal(error_kind::bad_argument, [] { task::ccc(tokenizer, {.train = -1}); });
}

TEST_CASE("Templates and lengths of country-capital prompts can be chosen, or mixed") {
  const test::word_tokenizer tokenizer;
  const auto one = task::ccc(tokenizer, {.train = 20, .test = 10, .shape = {.templates = {2}}});
  for (const auto& pair : one.train) CHECK(pair.prompt.starts_with("It is said that"));
  const auto length = one.train.front().ids.size();
  for (const auto& pair : one.train) CHECK(pair.ids.size() == length);
  for (const auto& pair : one.test_other_lengths) CHECK(pair.ids.size() != length);
  const auto mixed = task::ccc(tokenizer, {.shape = {.templates = {0, 1}, .any_length = true}});
  CHECK(mixed.test_other_lengths.empty());
  bool differ = false;
  for (const auto& pair : mixed.train) differ = differ or pair.ids.size() != mixed.train.front().ids.size();
  CHECK(differ);
}

}  // namespace trimtab::test::ccc_tests
