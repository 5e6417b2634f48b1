// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/page/fit_report.hpp>
#include <trimtab/report/picture/line_chart.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

/// The charts of fits: the loss, the effect and the cost of each strength, and every prompt pair.

namespace trimtab::report {

namespace detail {

/// At most `most` indices below `count`, evenly spaced, including the first and the last.
inline std::vector<std::size_t> spread(std::size_t count, std::size_t most) {
  std::vector<std::size_t> chosen;
  if (count <= most) {
    chosen.resize(count);
    std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  } else {
    for (std::size_t k = 0; k < most; ++k) chosen.push_back(k * (count - 1) / (most - 1));
  }
  return chosen;
}

}  // namespace detail

/// What each term adds to the loss before every step.
inline line_chart loss_chart(const fit_report& fit) {
  const std::vector<loss_values>& history = fit.history;
  line_chart chart{.title = "Loss of " + fit.name, .x_axis = "step", .y_axis = "what each term adds, weight included"};
  chart.lines.push_back({"total", 0});
  chart.table.header = {"step", "total"};
  for (const term_value& t : history.front().terms) {
    chart.lines.push_back({t.name, static_cast<int>(chart.lines.size()) % 4});
    chart.table.header.push_back(t.name);
  }
  const auto value = [&](std::size_t line, std::size_t step) {
    if (line == 0) return history[step].total();
    const term_value& t = history[step].terms[line - 1];
    return t.weight * t.value;
  };
  for (std::size_t step : detail::spread(history.size(), 400))
    for (std::size_t line = 0; line < chart.lines.size(); ++line)
      chart.lines[line].points.push_back({static_cast<double>(step), value(line, step), {}, {}});
  for (std::size_t step : detail::spread(history.size(), 21)) {
    auto& row = chart.table.rows.emplace_back(1, std::to_string(step));
    for (std::size_t line = 0; line < chart.lines.size(); ++line) row.push_back(readable(value(line, step)));
  }
  return chart;
}

/// Effectiveness against faithfulness: one line for each fit, from β = −2 through the untouched model to +2.
inline line_chart trade_off_chart(const std::vector<const fit_report*>& fits) {
  line_chart chart{.title = "Effect and cost of each strength",
                   .note =
                       "A line starts at the untouched model, where nothing has changed, and goes up with β > 0 and "
                       "down with β < 0.",
                   .x_axis = "KL divergence from the untouched model, answers left out",
                   .y_axis = "mean logit difference"};
  chart.table.header = {"fit", "β", "logit difference", "KL, answers left out", "KL", "follows β"};
  for (const fit_report* fit : fits) {
    chart_line line{fit->name, static_cast<int>(chart.lines.size()) % 4, true, true, {}};
    for (const auto& [beta, at] : fit->sweep.at) {
      const std::string name = beta_text(beta);
      const bool whole = fits.size() == 1 and beta == std::round(beta);
      line.points.push_back(
          {at.kl_masked, at.logit_diff,
           fit->name + ", " + name + ": logit difference " + exact(at.logit_diff) + ", KL " + exact(at.kl_masked),
           whole ? name.substr(std::string("β = ").size()) : ""});
      chart.table.rows.push_back({fit->name, name.substr(std::string("β = ").size()), readable(at.logit_diff, true),
                                  readable(at.kl_masked), readable(at.kl_full),
                                  beta == 0 ? "–" : readable(at.flip_rate)});
    }
    chart.lines.push_back(std::move(line));
  }
  return chart;
}

/// How many prompts follow each strength.
inline line_chart flip_chart(const std::vector<const fit_report*>& fits) {
  line_chart chart{.title = "Prompts that follow each strength",
                   .note = "The share whose answer is the one that β points at; at β = 0 there is nothing to follow.",
                   .x_axis = "strength β",
                   .y_axis = "share of prompts"};
  for (const fit_report* fit : fits) {
    chart_line line{fit->name, static_cast<int>(chart.lines.size()) % 4, true, true, {}};
    for (const auto& [beta, at] : fit->sweep.at)
      line.points.push_back({beta,
                             beta == 0 ? std::nan("") : at.flip_rate,
                             fit->name + ", " + beta_text(beta) + ": " + exact(at.flip_rate),
                             {}});
    chart.lines.push_back(std::move(line));
  }
  return chart;
}

/// The logit difference of every prompt pair before and at β = ±1, in the order of the untouched model's.
inline line_chart pair_chart(const measured_set& set) {
  const std::vector<double>& before = set.measured.logit_diffs.at(0);
  std::vector<std::size_t> order(before.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return before[i]; });
  line_chart chart{.title = "Every prompt pair of " + set.name,
                   .note = "Above zero the model prefers the correct answer, below it the wrong one.",
                   .x_axis = "prompt pairs, ordered by the untouched model's difference",
                   .y_axis = "logit difference",
                   .width = 1080,
                   .height = 290,
                   .stems = true};
  chart.table.header = {"prompt pair", "untouched", "β = +1", "β = −1"};
  const auto text_of = [&](std::size_t i) {
    std::string text = set.prompts[i].text;
    if (text.empty())
      for (const std::string& token : set.prompts[i].tokens) text += token;
    return text;
  };
  const auto chosen = detail::spread(order.size(), 200);
  if (chosen.size() < order.size())
    chart.note += " Shown are " + std::to_string(chosen.size()) + " of " + std::to_string(order.size()) + " pairs.";
  struct {
    double beta;
    std::string name;
    int style;
  } const marks[] = {{0, "untouched", 0}, {1, "β = +1", 1}, {-1, "β = −1", 2}};
  for (const auto& mark : marks) {
    chart_line line{mark.name, mark.style, false, true, {}};
    for (std::size_t k = 0; k < chosen.size(); ++k) {
      const std::size_t i = order[chosen[k]];
      const double y = set.measured.logit_diffs.at(mark.beta)[i];
      line.points.push_back({static_cast<double>(k + 1), y, text_of(i) + " " + mark.name + ": " + exact(y), {}});
    }
    chart.lines.push_back(std::move(line));
  }
  for (std::size_t k : chosen) {
    auto& row = chart.table.rows.emplace_back(1, text_of(order[k]));
    for (const auto& mark : marks) row.push_back(readable(set.measured.logit_diffs.at(mark.beta)[order[k]], true));
  }
  return chart;
}

}  // namespace trimtab::report
