// SPDX-License-Identifier: Apache-2.0

#include "study.hpp"

#include <trimtab/io/prompt_file.hpp>
#include <trimtab/report/text.hpp>

#include "data.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

/// DynScalar, trained on prompts of 10 to 20 tokens and tested on other lengths, beside ActivScalar with positions that
/// fit any length.

namespace trimtab::cli {

namespace {

constexpr double rate_margin = -0.1;

struct fit_of_any_length {
  std::string name, title;
  std::vector<std::string> options;
};
const fit_of_any_length fits[] = {
    {"dyn-scalar", "DynScalar", {"--policy", "dyn-scalar", "--no-bias"}},
    {"from-end", "ActivScalar from the end", {"--policy", "activ-scalar", "--positions", "from_end"}},
    {"role", "ActivScalar by role", {"--policy", "activ-scalar", "--positions", "role"}}};

std::vector<std::string> inside(const study_subject& subject, const std::string& set) {
  return {subject.file("lengths/prompts/" + set + ".jsonl").string()};
}

std::vector<study_part> length_parts(const study_subject& subject) {
  std::vector<study_part> parts;
  if (subject.lengths.empty()) return parts;
  for (const auto& fit : fits) {
    const auto name = "lengths/" + fit.name;
    auto options = all_words({{"--data"}, inside(subject, "train"), {"--test"}, inside(subject, "test"), fit.options});
    if (fit.name == "dyn-scalar")
      options.insert(options.end(), {"--heatmap", subject.file(name + "-maps.json").string()});
    parts.push_back(fit_part(subject, name, options, subject.with.train));
    parts.push_back(
        eval_part(subject, name + "-prompts", name,
                  all_words({{"--data"}, inside(subject, "test"), {"--test"}, inside(subject, "other-lengths")}),
                  2 * subject.with.test));
  }
  return parts;
}

/// The number of tokens of every prompt of a file.
std::vector<int> lengths_in(const study_subject& subject, const path& file) {
  std::vector<int> lengths;
  for (const auto& pair : read_pairs(*subject.about, file, {})) lengths.push_back(static_cast<int>(pair.ids.size()));
  return lengths;
}

void show_lengths(study_report& to) {
  to.heading("DynScalar over lengths");
  const auto& subject = to.subject();
  if (subject.lengths.empty()) {
    to.paragraph(subject.is_file() ? "This experiment needs prompts of many lengths, which the tasks ioi and ccc draw."
                                   : "With this tokenizer the task has no prompts of 10 to 20 tokens and of others.");
    return;
  }
  report::line_chart chart{.title = "Effectiveness against length",
                           .note =
                               "Trained on prompts of 10 to 20 tokens, tested on other prompts of these lengths and "
                               "of all others. Bars are Wilson's 95 % intervals.",
                           .x_axis = "tokens of the prompt",
                           .y_axis = "share of prompts that follow both strengths"};
  std::vector<std::vector<std::string>> rows, each;
  // `eval` calls the first file train and the second test; both are new to the fits.
  const std::pair<const char*, const char*> sets[] = {{"train", "inside"}, {"test", "outside"}};
  const std::vector<int> lengths[] = {lengths_in(subject, inside(subject, "test").front()),
                                      lengths_in(subject, inside(subject, "other-lengths").front())};
  for (std::size_t k = 0; k < std::size(fits); ++k) {
    const auto found = to.output_of("lengths/" + fits[k].name + "-prompts");
    std::map<int, std::pair<int, int>> counts;  // by length, those that follow and all
    std::vector<double> rates;
    for (std::size_t s = 0; s < 2; ++s) {
      const auto follows = follows_both(found[sets[s].first]);
      rates.push_back(mean_of(follows).mean);
      for (std::size_t n = 0; n < follows.size(); ++n) {
        auto& [followed, all] = counts[lengths[s][n]];
        followed += follows[n] > 0, ++all;
        each.push_back({fits[k].title, sets[s].second, std::to_string(n), std::to_string(lengths[s][n]),
                        follows[n] > 0 ? "1" : "0"});
      }
    }
    chart.lines.push_back({fits[k].title, static_cast<int>(k), true, true, {}});
    for (const auto& [length, count] : counts) {
      const double rate = static_cast<double>(count.first) / count.second;
      const auto within = wilson(rate, count.second);
      const bool trained = length >= 10 and length <= 20;
      rows.push_back({fits[k].title, std::to_string(length), trained ? "inside" : "outside",
                      std::to_string(count.second), cell(rate), cell(within.low), cell(within.high)});
      chart.lines.back().points.push_back({static_cast<double>(length),
                                           rate,
                                           fits[k].title + ", " + std::to_string(length) +
                                               " tokens: " + report::exact(rate) + " of " +
                                               report::counted(static_cast<std::size_t>(count.second), "prompt"),
                                           {},
                                           {},
                                           within.low,
                                           within.high});
    }
    to.hypothesis(fits[k].title + " generalises over lengths",
                  generalises(rate_margin, rates[1], std::ssize(lengths[1]), rates[0], std::ssize(lengths[0])));
  }
  to.charts({{"lengths", chart}});
  to.table("lengths", {"fit", "tokens", "lengths", "prompts", "follow_both", "low", "high"}, rows);
  to.data("lengths-prompts", {"fit", "lengths", "prompt", "tokens", "follows_both"}, each);
  to.maps("dyn-scalar", {maps_of(subject.file("lengths/dyn-scalar-maps.json"), "gate",
                                 "g(h), the scalar that DynScalar gives to each token of a test prompt",
                                 "Where h became (1 + β g) h at β = +1.")});
}

}  // namespace

const study_experiment over_lengths{"lengths", length_parts, show_lengths};

}  // namespace trimtab::cli
