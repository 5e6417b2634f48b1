// SPDX-License-Identifier: Apache-2.0

#include "study.hpp"

#include <trimtab/report/text.hpp>

/// One prompt pair: ActivScalar with the paper's first setting and with the defaults of this program.

namespace trimtab::cli {

namespace {

const std::vector<std::string> as_in_the_paper = {"--lambda-f", "1", "--lambda-m", "1", "--margin", "0"};

std::vector<study_part> one_pair_parts(const study_subject& subject) {
  const auto pair = subject.file("one-pair/pair.jsonl");
  const auto fit = [&](const std::string& name, const std::vector<std::string>& settings) {
    return fit_part(subject, "one-pair/" + name,
                    all_words({{"--data", pair.string(), "--positions", subject.positions()}, settings}), 1);
  };
  const auto maps = [&](const std::string& name) {
    return std::vector<std::string>{"--heatmap", subject.file("one-pair/" + name + "-maps.json").string()};
  };
  return {head_part("one-pair/pair", 1, subject.prompts(1, "train"), pair),
          fit("first-setting", all_words({as_in_the_paper, maps("first-setting")})), fit("defaults", maps("defaults")),
          fit("largest-weight", {"--lambda-m", "1max", "--margin", "0", "--steps", "1"})};
}

void show_one_pair(study_report& to) {
  const auto first = to.output_of("one-pair/first-setting"), defaults = to.output_of("one-pair/defaults");
  const double lambda_max = to.output_of("one-pair/largest-weight")["lambda_max"];
  to.heading("One prompt pair");
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, fit] : {std::pair("first setting", &first), std::pair("defaults", &defaults)}) {
    const auto& train = (*fit)["train"];
    rows.push_back({name, (*fit)["lambda_m"].dump(), train["logit_diff"]["0"].dump(), train["logit_diff"]["+1"].dump(),
                    train["logit_diff"]["-1"].dump(), train["kl_masked"].dump(), (*fit)["parameters"].dump(),
                    (*fit)["nonzero_parameters"].dump()});
  }
  to.table("one-pair",
           {"setting", "lambda_m", "logit_diff_0", "logit_diff_+1", "logit_diff_-1", "kl_masked", "parameters", "kept"},
           rows, "ActivScalar at attn_out, mlp_out and resid_post, learned on one prompt pair.");
  std::string said = "With margin 0, λ_max, the smallest weight of minimality at which nothing is learned, is " +
                     report::readable(lambda_max) + " on this pair; the first setting has λ_M = 1.";
  if (first["nonzero_parameters"] == 0) {
    said += " It learns nothing: every scalar is exactly zero";
    said += lambda_max <= 1 ? ", because λ_M is not below λ_max." : ".";
  }
  to.paragraph(said);
  for (const auto* name : {"first-setting", "defaults"}) {
    const auto title = name == std::string("defaults") ? "α with the defaults" : "α with λ_F = λ_M = 1 and margin 0";
    const auto group = maps_of(to.subject().file("one-pair/" + std::string(name) + "-maps.json"), "alpha", title,
                               "The scalar of each layer and token; β multiplies it.");
    to.maps("one-pair-" + std::string(name), {group});
  }
}

}  // namespace

const study_experiment one_pair{"one-pair", one_pair_parts, show_one_pair};

}  // namespace trimtab::cli
