// SPDX-License-Identifier: Apache-2.0

#include "parity/compositions.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cmath>

namespace trimtab::test::steered_tests {

namespace {

// Failed checks print differences with enough digits to compare them with a tolerance.
[[maybe_unused]] const int digits = Catch::StringMaker<double>::precision = 17;

void check_terms(const loss_values& found, const expected_terms& expected, double tolerance) {
  REQUIRE(found.terms.size() == 3);
  CHECK(std::abs(found.total() - expected.loss) <= tolerance);
  CHECK(std::abs(found.terms[0].value - expected.effectiveness) <= tolerance);
  CHECK(std::abs(found.terms[1].value - expected.faithfulness) <= tolerance);
  CHECK(std::abs(found.terms[2].value - expected.minimality) <= tolerance);
}

void check_logits(const logits_by_strength& found, const logits_by_strength& expected) {
  CHECK(found.size() == expected.size());
  for (const auto& [strength, logits] : expected) {
    CAPTURE(strength);
    CHECK(difference(found.at(strength), logits) <= 1e-10);
  }
}

/// The divergence of each prompt, as a mean over strengths. `sequences` has one number for each strength and prompt,
/// with the prompts of one strength after those of another.
std::vector<double> by_prompt(const std::vector<double>& sequences, std::size_t prompts) {
  std::vector<double> mean(prompts);
  const double share = static_cast<double>(prompts) / static_cast<double>(sequences.size());
  for (std::size_t i = 0; i < sequences.size(); ++i) mean[i % prompts] += share * sequences[i];
  return mean;
}

void check_metrics(const metrics& found, const steered_case& c) {
  for (const auto& [strength, logit_diffs] : c.logit_diffs) {
    CAPTURE(strength);
    CHECK(difference(found.logit_diffs.at(strength), logit_diffs) <= 1e-10);
  }
  const auto faithfulness = std::get<1>(c.objective.terms).term;
  if (faithfulness.direction != objective::kl_direction::forward) return;  // the metrics are always forward
  const bool masked = faithfulness.over == objective::vocabulary::masked;
  CHECK(std::abs((masked ? found.kl_masked : found.kl_full) - c.expected.faithfulness) <= 1e-10);
}

/// Compares each tensor relative to its own largest number, but not to less than 1e-3. A factor on everything that
/// enters the last LayerNorm changes its output through epsilon only, so its gradient is a million times smaller than
/// the numbers that cancel in it, and the rest is rounding.
void check_gradient(const tensors& found, const tensors& expected) {
  CHECK(found.size() == expected.size());
  for (const auto& [tensor, numbers] : expected) {
    CAPTURE(tensor);
    const double scale = largest(numbers);
    CHECK(scale > 0);
    CHECK(difference(found.at(tensor), numbers) / std::max(scale, 1e-3) <= 1e-9);
  }
}

}  // namespace

TEST_CASE("steered logits, loss and gradients are those of the reference") {
  const std::string name = GENERATE(from_range(fixture_names));
  const fixture& from = read_fixture(name);
  const auto model = read_model<double>(from.folder);
  REQUIRE(not from.cases.empty());

  for (const steered_case& c : from.cases) {
    CAPTURE(name, c.name);
    const case_result found = run_case(model, c);
    check_logits(found.logits, c.logits);
    check_logits(found.logits_of_all, c.logits);
    check_terms(found.loss, c.expected, 1e-10);
    CHECK(difference(by_prompt(found.loss.terms.at(1).per_sequence, c.prompts.size()), c.divergences) <= 1e-10);
    check_metrics(found.measured, c);
    check_gradient(found.gradient, c.gradient);
  }
}

TEST_CASE("single precision stays close to the reference") {
  const std::string name = GENERATE(from_range(fixture_names));
  const fixture& from = read_fixture(name);
  const auto model = read_model<float>(from.folder);

  for (const steered_case& c : from.cases) {
    const logits_by_strength found = run_in_float(model, c);
    for (const auto& [strength, logits] : c.logits) {
      CAPTURE(name, c.name, strength);
      CHECK(difference(found.at(strength), logits) / largest(logits.values) <= 2e-4);
    }
  }
}

TEST_CASE("every step of a fit agrees with the reference") {
  const std::string name = GENERATE(as<std::string>{}, "gpt2-a", "neox-parallel");  // those that have trajectories
  const fixture& from = read_fixture(name);
  const auto model = read_model<double>(from.folder);
  REQUIRE(not from.trajectories.empty());

  for (const trajectory& t : from.trajectories) {
    CAPTURE(name, t.name);
    const fit_result found = run_fit(model, t);
    REQUIRE(found.history.size() == t.terms.size());
    for (std::size_t step = 0; step < t.terms.size(); ++step) {
      CAPTURE(step);
      check_terms(found.history[step], t.terms[step], 1e-9);
    }
    CHECK(found.parameters.size() == t.parameters.size());
    for (const auto& [tensor, numbers] : t.parameters) {
      CAPTURE(tensor);
      CHECK(difference(found.parameters.at(tensor), numbers) <= 1e-8);
    }
  }
}

}  // namespace trimtab::test::steered_tests
