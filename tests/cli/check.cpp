// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

namespace trimtab::test::check_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

constexpr auto one = R"({"ids": [1, 2, 3, 4], "correct_id": 5, "wrong_id": 6})"
                     "\n";
constexpr auto other = R"({"ids": [1, 2, 3, 4], "correct_id": 6, "wrong_id": 5, "rols": {}})"
                       "\n";

}  // namespace

TEST_CASE("check lists all problems with their lines, and its status says whether any is an error") {
  const model_for_cli model;
  const auto data = model.file("d.jsonl", std::string(one) + "{\n" + one + other);
  const auto run = run_trimtab({"check", data, "--model", model.path(), "--json"});
  CHECK(run.status == 1);
  const auto found = io::parse_json(run.out, "standard output");
  CHECK(found["prompts"] == 3);
  std::vector<std::pair<int, std::string>> problems;
  for (const auto& p : found["problems"]) problems.emplace_back(p["line"], p["kind"]);
  CHECK(problems == std::vector<std::pair<int, std::string>>{
                        {2, "unreadable"}, {3, "duplicate"}, {4, "unknown-key"}, {4, "contradiction"}});
  CHECK_THAT(found["problems"][2]["message"].get<std::string>(), ContainsSubstring("did you mean 'roles'?"));

  const auto text = run_trimtab({"check", data, "--model", model.path()});
  CHECK(text.status == 1);
  CHECK_THAT(text.out, ContainsSubstring(data + ":3: warning: the pair is that of line 1 again [duplicate]\n"));
  CHECK_THAT(text.out, ContainsSubstring("\n3 prompts, 2 errors, 2 warnings\n"));

  const auto good = run_trimtab({"check", model.data(), "--model", model.path(), "--json"});
  CHECK(good.json()["problems"].empty());
  CHECK(run_trimtab({"check", model.data(), "--model", model.path()}).out == "3 prompts, 0 errors, 0 warnings\n");
  const auto shared = run_trimtab({"check", model.data(), "--test", model.data(), "--model", model.path(), "--json"});
  CHECK(shared.json()["problems"].size() == 3);
  CHECK(shared.json()["problems"][0]["kind"] == "overlap");
}

TEST_CASE("check shows the first twenty problems and counts the others") {
  const model_for_cli model;
  std::string lines;
  for (int k = 0; k < 25; ++k) lines += "[]\n";
  const auto data = model.file("d.jsonl", lines);
  const auto run = run_trimtab({"check", data, "--model", model.path(), "--json"});
  const auto found = io::parse_json(run.out, "standard output");
  CHECK(found["problems"].size() == 20);
  CHECK(found["errors"] == 25);
  CHECK_THAT(run_trimtab({"check", data, "--model", model.path()}).out, ContainsSubstring("\n... and 5 more\n"));
}

TEST_CASE("Of many problems check shows the errors first") {
  const model_for_cli model;
  std::string lines;
  for (int k = 0; k < 22; ++k) lines += one;  // each but the first a duplicate, a warning
  const auto data = model.file("d.jsonl", lines + "[]\n");
  const auto found =
      io::parse_json(run_trimtab({"check", data, "--model", model.path(), "--json"}).out, "standard output");
  CHECK(found["problems"][0]["severity"] == "error");
  CHECK(found["problems"][0]["line"] == 23);
  CHECK(found["problems"][1]["line"] == 2);
  CHECK(found["left_out"] == 2);
}

TEST_CASE("An answer given as a text and as an id is one too many") {
  const model_for_cli model(true);
  const auto data = model.file("d.jsonl", R"({"prompt": "a", "correct": "b", "correct_id": 5, "wrong": "c"})");
  CHECK_THAT(run_trimtab({"check", data, "--model", model.path()}).out,
             ContainsSubstring(R"(has both "correct" and "correct_id")"));
}

TEST_CASE("fit warns of prompts that are probably wrong") {
  const model_for_cli model;
  const auto data = model.file("d.jsonl", std::string(one) + one);
  const auto run =
      run_trimtab({"fit", "--model", model.path(), "--data", data, "--test", data, "--steps", "1", "--json"});
  const auto warnings = run.json()["warnings"];
  CHECK_THAT(warnings[0].get<std::string>(), ContainsSubstring("line 2: the pair is that of line 1 again"));
  CHECK_THAT(run.err, ContainsSubstring("warning: '" + data + "', line 1: the prompt is also in"));
  // Lengths matter to absolute positions alone.
  const auto lengths = model.file("l.jsonl", std::string(one) + R"({"ids": [1, 2], "correct_id": 5, "wrong_id": 6})");
  CHECK(run_trimtab({"fit", "--model", model.path(), "--data", lengths, "--positions", "shared", "--steps", "1"})
            .err.empty());
}

}  // namespace trimtab::test::check_tests
