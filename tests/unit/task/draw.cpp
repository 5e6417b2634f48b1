// SPDX-License-Identifier: Apache-2.0
#include <trimtab/core/random.hpp>
#include <trimtab/task/draw.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace trimtab::test::draw_tests {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("Prompts are drawn until enough different ones are there, up to the last one") {
  random_generator random(1);
  const auto prompts = task::draw_distinct(200, "a set", "", [&]() -> std::optional<prompt_pair> {
    const auto number = random.below(201);
    if (number == 200) return std::nullopt;
    return prompt_pair{.prompt = std::to_string(number)};
  });
  std::set<std::string> different;
  for (const auto& pair : prompts) different.insert(pair.prompt);
  CHECK(different.size() == 200);
}

TEST_CASE("The same text with another answer is another prompt") {
  int id = 0;
  CHECK(task::draw_distinct(3, "a set", "", [&] {
          return std::optional(prompt_pair{.prompt = "same", .wrong_id = ++id});
        }).size() == 3);
}

TEST_CASE("Where there are not enough prompts, the refusal says how many there are and what to do") {
  int calls = 0;
  const auto sentence = test::refusal(error_kind::bad_data, [&] {
    task::draw_distinct(10, "ioi: train", "ask for fewer",
                        [&] { return std::optional(prompt_pair{.prompt = std::to_string(++calls % 4)}); });
  });
  CHECK_THAT(sentence, ContainsSubstring("ioi: train"));
  CHECK_THAT(sentence, ContainsSubstring("10 different prompts"));
  CHECK_THAT(sentence, ContainsSubstring("only 4"));
  CHECK_THAT(sentence, ContainsSubstring("ask for fewer"));
}

TEST_CASE("Numbers of prompts have bounds") {
  task::require_count("train", 0);
  task::require_count("train", task::prompt_limit);
  CHECK_THAT(test::refusal(error_kind::bad_argument, [] { task::require_count("train", -1); }),
             ContainsSubstring("train") and ContainsSubstring("-1"));
  test::refusal(error_kind::bad_argument, [] { task::require_count("train", task::prompt_limit + 1); });
}

TEST_CASE("The most common value, of equals the first") {
  CHECK(task::most_common({3, 1, 1, 2}) == 1);
  CHECK(task::most_common({5, 4, 4, 5}) == 5);
}

TEST_CASE("Halves of a list") {
  const auto [first, second] = task::halves(std::vector{1, 2, 3});
  CHECK(first == std::vector{1, 2});
  CHECK(second == std::vector{3});
  CHECK(task::halves(std::vector<int>{}).first.empty());
}

}  // namespace trimtab::test::draw_tests
