// SPDX-License-Identifier: Apache-2.0

#include "study.hpp"

#include <trimtab/text/joined.hpp>

#include <string>
#include <vector>

/// How much the figures of ActivScalar depend on the learning rate and on the weight of minimality.

namespace trimtab::cli {

namespace {

std::vector<study_part> hyperparameter_parts(const study_subject& subject) {
  const auto& with = subject.with;
  const auto out = subject.file("hyperparameters/sweep");
  study_part part{
      "hyperparameters/sweep",
      {"sweep", "--model", subject.model, "--data", subject.prompts(1, "train"), "--test", subject.prompts(1, "test"),
       "--positions", subject.positions(), "--vary", "lr=" + text::joined(with.rates, ","), "--vary",
       "lambda-m=" + text::joined(with.lambdas, ","), "--steps", std::to_string(with.steps), "--out", out.string()},
      {out / "sweep.json"},
      4.0 * with.train * static_cast<double>(with.steps) *
          static_cast<double>(with.rates.size() * with.lambdas.size())};
  if (not with.memory.empty()) part.words.insert(part.words.end(), {"--memory", with.memory});
  return {part};
}

void show_hyperparameters(study_report& to) {
  to.heading("Hyperparameters");
  const auto found = to.output_of("hyperparameters/sweep");
  std::vector<std::vector<std::string>> rows;
  for (const auto& point : found["points"]) {
    if (point.contains("failed")) {
      rows.push_back({point["lr"].dump(), point["lambda_m"].dump(), "", "", "", "", "", point["failed"]});
      continue;
    }
    const auto& test = point["test"];
    rows.push_back({point["lr"].dump(), point["lambda_m"].dump(), test["flip_rate"]["both"].dump(),
                    test["flip_rate_interval"]["both"][0].dump(), test["flip_rate_interval"]["both"][1].dump(),
                    test["kl_masked"].dump(), point["nonzero_sites"].dump(), point["on_front"] ? "front" : ""});
  }
  to.table("hyperparameters", {"lr", "lambda_m", "follow_both", "low", "high", "kl_masked", "places", "on_front"}, rows,
           "ActivScalar at all three sites, on test prompts.");
}

}  // namespace

const study_experiment hyperparameters{"hyperparameters", hyperparameter_parts, show_hyperparameters};

}  // namespace trimtab::cli
