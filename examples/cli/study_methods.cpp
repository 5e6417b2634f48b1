// SPDX-License-Identifier: Apache-2.0

#include "study.hpp"

#include <trimtab/report/text.hpp>

#include <cmath>
#include <string>
#include <vector>

/// The places that ActivScalar keeps beside those that other methods rank first, and how faithful their rankings are.

namespace trimtab::cli {

namespace {

constexpr double overlap_margin = 0.5;  // half of the places

/// Patching and ablation run the model once for each place.
std::vector<std::string> methods_of(const study_subject& subject) {
  if (subject.has_corrupt) return {"patching", "attribution-patching", "gradient"};
  return {"ablation", "gradient"};
}

/// Curves need sites that add to the stream; a later state of the stream would override what lies before it.
std::vector<study_part> method_parts(const study_subject& subject) {
  const auto prompts = subject.file("methods/prompts.jsonl");
  auto parts = std::vector{head_part("methods/prompts", subject.with.explained, subject.prompts(1, "test"), prompts)};
  const auto places = 2.0 * static_cast<double>(subject.about->config().layers * subject.usual_length);
  for (const auto& method : methods_of(subject)) {
    const bool exact = method == "patching" or method == "ablation";
    parts.push_back({"methods/" + method,
                     {"explain", "--model", subject.model, "--data", prompts.string(), "--method", method, "--sites",
                      "attn_out,mlp_out", "--positions", subject.positions(), "--against",
                      subject.file("sites/both/activ-scalar-1.safetensors").string(), "--curve", "--per-prompt"},
                     {},
                     subject.with.explained * (exact ? places : 4) + 600.0 * subject.with.explained});
  }
  return parts;
}

void show_methods(study_report& to) {
  to.heading("Against other methods");
  report::line_chart chart{.title = "Faithfulness of the rankings",
                           .note =
                               "The share of the answer that is left if only the first places of a ranking keep "
                               "their activations, on prompts that it was not made on.",
                           .x_axis = "log₁₀ of the share of places that are kept",
                           .y_axis = "faithfulness"};
  std::vector<std::vector<std::string>> rows, curves;
  const auto both = [](const io::json& of, const std::string& key) {
    return std::vector<std::string>{of[key].dump(), of[key + "_interval"][0].dump(), of[key + "_interval"][1].dump()};
  };
  for (const auto& method : methods_of(to.subject())) {
    const auto found = to.output_of("methods/" + method);
    const auto &agreed = found["agreement"][0], &curve = found["curve"];
    rows.push_back(all_words({{method},
                              both(agreed, "overlap"),
                              {agreed["k"].dump()},
                              both(agreed, "spearman"),
                              both(agreed, "kendall"),
                              both(curve, "cpr"),
                              both(curve, "cmd")}));
    chart.lines.push_back({method, static_cast<int>(chart.lines.size()) % 4, true, true, {}});
    for (std::size_t k = 0; k < curve["kept"].size(); ++k) {
      curves.push_back({method, curve["kept"][k].dump(), curve["faithfulness"][k].dump(),
                        curve["faithfulness_by_score"][k].dump(), curve["random"]["mean"][k].dump(),
                        curve["random"]["low"][k].dump(), curve["random"]["high"][k].dump()});
      const auto& y = curve["faithfulness"][k];
      chart.lines.back().points.push_back({std::log10(curve["kept"][k].get<double>()),
                                           y.is_null() ? std::nan("") : y.get<double>(),
                                           method + ", " + curve["kept"][k].dump() + " kept: " + y.dump(),
                                           {},
                                           {}});
    }
    if (method != "patching") continue;
    const auto& within = agreed["overlap_interval"];
    auto same = at_least(overlap_margin, agreed["overlap"], {within[0], within[1]});
    if (agreed["k"] == 0) same.said = verdict::not_decided;  // the fit keeps no place
    to.hypothesis("ActivScalar keeps the places that patching ranks first", same);
  }
  to.charts({{"methods", chart}});
  std::vector<std::string> header = {"method"};
  for (const std::string column : {"overlap", "spearman", "kendall", "cpr", "cmd"}) {
    header.insert(header.end(), {column, column + "_low", column + "_high"});
    if (column == "overlap") header.push_back("of_first");
  }
  to.table("methods", header, rows,
           "Each method's ranking of the places of attn_out and mlp_out: its agreement with ActivScalar's |α|, and the "
           "areas below (CPR) and beside (CMD) its curve, each with a 95 % bootstrap interval over prompts.");
  to.data("curves",
          {"method", "kept", "faithfulness", "faithfulness_by_score", "random_mean", "random_low", "random_high"},
          curves);
  if (not to.subject().has_corrupt) to.paragraph("These prompts have no corrupt ones, so that nothing can be patched.");
}

}  // namespace

const study_experiment other_methods{"methods", method_parts, show_methods};

}  // namespace trimtab::cli
