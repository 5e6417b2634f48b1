// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/huggingface/tokenizer_files.hpp>
#include <trimtab/task/ccc.hpp>
#include <trimtab/task/ioi.hpp>

#include "prompt_checks.hpp"
#include "support/assets.hpp"
#include "support/catch.hpp"

#include <filesystem>
#include <string>

namespace trimtab::test::tokenizers_tests {

/// The tasks with the tokenizers of the embedded models and with the real ones.

namespace {

void check_tasks(const text::tokenizer& tokenizer) {
  const auto ioi = task::ioi(tokenizer, {.train = 64, .test = 64, .seed = 1});
  test::check_lengths(ioi);
  CHECK(ioi.train[0].ids.size() == 14);
  for (const auto& set : {ioi.train, ioi.test, ioi.test_other_lengths}) test::check_prompts(tokenizer, set);
  CHECK(test::text_of(tokenizer, ioi.train[0], "io") == ioi.train[0].correct);

  const auto ccc = task::ccc(tokenizer, {.train = 64, .test = 64, .seed = 1});
  test::check_lengths(ccc);
  CHECK(ccc.train[0].ids.size() == 18);
  for (const auto& set : {ccc.train, ccc.test, ccc.test_other_lengths}) test::check_prompts(tokenizer, set);
  CHECK(test::text_of(tokenizer, ccc.train[0], "context_answer") == ccc.train[0].wrong);
}

}  // namespace

TEST_CASE("The embedded models know every name and all countries and capitals of one word") {
  const auto* const model = GENERATE("tiny-gpt2", "tiny-pythia");
  const auto tokenizer = io::read_tokenizer(std::filesystem::path(TRIMTAB_SOURCE_DIR) / "examples" / "models" / model);
  for (const auto& list : {std::vector(task::words::names.begin(), task::words::names.end()),
                           std::vector(task::words::places.begin(), task::words::places.end()),
                           std::vector(task::words::objects.begin(), task::words::objects.end())})
    for (const auto word : list) CHECK(task::single_token(tokenizer, " " + std::string(word)));
  for (const auto& [country, capital] : task::words::capitals) {
    CHECK(task::single_token(tokenizer, " " + std::string(capital)));
    CHECK(task::single_token(tokenizer, capital));
    if (country.find(' ') == country.npos) CHECK(task::single_token(tokenizer, " " + std::string(country)));
  }
  check_tasks(tokenizer);
}

TEST_CASE("An embedded model's tokenizer takes any text") {
  const auto* const model = GENERATE("tiny-gpt2", "tiny-pythia");
  const auto tokenizer = io::read_tokenizer(std::filesystem::path(TRIMTAB_SOURCE_DIR) / "examples" / "models" / model);
  const std::string text = "Zürich, 東京\n\tand 100 %   of the 🙂 rest";
  CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
}

TEST_CASE("The tasks with the tokenizers of GPT-2 and Pythia") {
  const auto* const name = GENERATE("tokenizers/gpt2", "tokenizers/gpt-neox/20B_tokenizer.json");
  const auto path = test::asset(name);
  if (not path) {
    WARN(test::missing_asset(name));
    return;
  }
  check_tasks(io::read_tokenizer(*path));
}

}  // namespace trimtab::test::tokenizers_tests
