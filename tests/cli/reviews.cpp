// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

/// The model that reads reviews, on words and templates that it was never shown in a review.

namespace trimtab::test::reviews_tests {

namespace {

const std::string reviews = TRIMTAB_SOURCE_DIR "/examples/reviews";
const std::vector<std::string> model_and_data = {"--model", TRIMTAB_EXAMPLE_MODELS "/tiny-reviews",
                                                 "--data",  reviews + "/train.jsonl",
                                                 "--test",  reviews + "/test.jsonl"};

}  // namespace

TEST_CASE("The model of reviews is right about held-out words and templates, and not certain") {
  auto command = model_and_data;
  command.insert(command.begin(), "fit");
  command.insert(command.end(), {"--policy", "low-rank", "--rank", "1", "--sites", "resid_post", "--layers", "1",
                                 "--steps", "100", "--json", "--quiet"});
  const auto found = run_trimtab(command).json();
  const auto& untouched = found["untouched"]["test"];
  CHECK(untouched["prompts"] == 100);
  CHECK(untouched["flip_rate"]["+1"].get<double>() >= 0.9);
  CHECK(untouched["probability"]["wrong"]["0"].get<double>() >= 0.05);

  // A map of rank one in one layer, the same for all tokens, turns praise into blame and blame into praise.
  CHECK(found["test"]["flip_rate"]["+1"].get<double>() >= 0.9);
  CHECK(found["test"]["flip_rate"]["-1"].get<double>() >= 0.9);
}

}  // namespace trimtab::test::reviews_tests
