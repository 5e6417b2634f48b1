// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/prompt_check.hpp>

#include "support/catch.hpp"
#include "support/word_tokenizer.hpp"

namespace trimtab::test::prompt_check_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using found = std::vector<io::prompt_problem>;

found problems_of(std::string_view lines, std::string_view test = {}) {
  const word_tokenizer encoder;
  io::prompt_checker checker(encoder, {.vocabulary = 100, .context = 12});
  checker.add(lines, "train.jsonl");
  if (not test.empty()) checker.add(test, "test.jsonl");
  return checker.problems();
}

io::prompt_problem only(const found& problems) {
  REQUIRE(problems.size() == 1);
  return problems.front();
}

constexpr std::string_view good = R"({"prompt": "Rome is in", "correct": " Italy", "wrong": " Spain"})"
                                  "\n";

std::string after_it(std::string_view line) { return std::string(good) + "\n" + std::string(line) + "\n"; }

}  // namespace

TEST_CASE("Of good prompts there is nothing to say, and they are counted") {
  const word_tokenizer encoder;
  io::prompt_checker checker(encoder, {});
  checker.add(after_it(R"({"ids": [1, 2, 3], "correct_id": 4, "wrong_id": 5})"), "a");
  CHECK(checker.problems().empty());
  CHECK(checker.prompts() == 2);
}

TEST_CASE("Every kind of problem is found at its line, with what is wrong") {
  const auto check = [](const std::string& line, const std::string& kind, const std::string& part, bool is_error) {
    CAPTURE(line);
    const auto problem = only(problems_of(after_it(line)));
    CHECK(problem.kind == kind);
    CHECK(problem.line == 3);
    CHECK(problem.file == "train.jsonl");
    CHECK_THAT(problem.message, ContainsSubstring(part));
    CHECK(problem.is_error == is_error);
  };
  check("{", "unreadable", "train.jsonl, line 3", true);
  check(R"({"prompt": "Oslo is in", "correct": " Norway"})", "unreadable", "lacks \"wrong\"", true);
  check(R"({"prompt": "Oslo is in", "correct": " Norway", "wrong": "Spain"})", "answer-space",
        R"(of the answers " Norway" and "Spain" only one begins with a space)", false);
  check(R"({"prompt": "Oslo is in", "correct": "Norway", "wrong": "Spain"})", "answer-space",
        "lack the leading space that those of 1 other line have", false);
  check(R"({"prompt": "Oslo is ", "correct": " Norway", "wrong": " Spain"})", "prompt-space", "ends in a space", false);
  check(std::string(good), "duplicate", "that of line 1 again", false);
  check(R"({"prompt": "Rome is in", "correct": " Spain", "wrong": " Italy"})", "contradiction",
        R"(of line 1, but its correct answer is " Spain" and not " Italy")", true);
  check(R"({"prompt": "Oslo is in", "correct": " Norway", "wrong": " Spain", "rolse": {}})", "unknown-key",
        "the key \"rolse\" is unknown and ignored; did you mean 'roles'?", false);
  check(R"({"prompt": "Oslo is", "correct": " Norway", "wrong": " Spain"})", "lengths", "2 to 3 tokens", false);
  check(R"({"prompt": "Oslo is in", "correct": " Norway", "wrong": " Spain", "roles": {"city": [1, 1]}})", "empty-role",
        "the role \"city\" has no token", true);
}

TEST_CASE("Roles that are missing or overlap are found") {
  const std::string line = R"({"prompt": "Oslo is in", "correct": " Norway", "wrong": " Spain", "roles": )";
  const auto missing = only(problems_of(after_it(line + R"({"city": [0, 1]}})")));
  CHECK(missing.kind == "missing-role");
  CHECK(missing.line == 1);
  CHECK_THAT(missing.message, ContainsSubstring("the role \"city\" is missing, which 1 of 2 lines have"));
  const auto overlap = only(problems_of(line + R"({"city": [0, 2], "verb": [1, 2], "end": [2, 3]}})"));
  CHECK(overlap.kind == "overlapping-roles");
  CHECK_THAT(overlap.message, ContainsSubstring("\"city\" and \"verb\" share a token"));
}

TEST_CASE("A prompt that is in train and in test is a problem of the test set") {
  const auto problem = only(problems_of(good, good));
  CHECK(problem.kind == "overlap");
  CHECK(problem.file == "test.jsonl");
  CHECK_THAT(problem.message, ContainsSubstring("also in 'train.jsonl', line 1"));
}

TEST_CASE("All problems are found at once, in the order of lines") {
  const auto problems = problems_of("{\n[]\n" + std::string(good) + std::string(good) + "{\"prompt\": 3}\n");
  REQUIRE(problems.size() == 4);
  for (std::size_t k = 0; k < 4; ++k) CHECK(problems[k].line == std::vector<std::size_t>{1, 2, 4, 5}[k]);
  CHECK(only(problems_of("\n\n")).kind == "unreadable");
}

TEST_CASE("A misspelled key is named though the line cannot be read without it") {
  const auto problems = problems_of(R"({"prompt": "Oslo is in", "corect": " Norway", "wrong": " Spain"})");
  REQUIRE(problems.size() == 2);
  CHECK_THAT(problems[1].message, ContainsSubstring("did you mean 'correct'?"));
}

}  // namespace trimtab::test::prompt_check_tests
