// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/intervals.hpp>
#include <trimtab/measure/metrics.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/steer/fitted.hpp>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

/// An aligned table of figures: the first column to the left, the others to the right.

namespace trimtab::report {

/// A number with `digits` after the decimal point.
inline std::string number(double x, int digits = 2) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, x);
  return text;
}

/// The same for a number that may be much smaller than its digits show: "0.01", "3.2e-06".
inline std::string small_number(double x, int digits = 2) {
  if (x == 0 or std::abs(x) >= 0.5 * std::pow(10, -digits)) return number(x, digits);
  char text[64];
  std::snprintf(text, sizeof text, "%.1e", x);
  return text;
}

/// "0.89–0.99"
inline std::string text_of(const interval& i, int digits = 2) {
  return number(i.low, digits) + "–" + number(i.high, digits);
}

/// "±0.04", or "-" where too few values say nothing about it.
inline std::string error_text(const estimate& e, int digits = 2) {
  return std::isnan(e.standard_error) ? "-" : "±" + small_number(e.standard_error, digits);
}

class table {
 public:
  explicit table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

  /// No more cells than the header has.
  void add(std::vector<std::string> row) {
    assert(row.size() <= rows_.front().size());
    rows_.push_back(std::move(row));
  }
  /// A horizontal line.
  void rule() { rows_.push_back({}); }

  /// With colour the header is bold and the lines are faint.
  std::string text(bool colour = false) const {
    std::vector<std::size_t> widths(rows_.front().size(), 0);
    for (const auto& row : rows_)
      for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], columns(row[c]));
    std::size_t total = 0;
    for (std::size_t w : widths) total += w + 2;
    std::string out;
    const std::string across = styled(std::string(total, '-'), "2", colour) + "\n";
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      std::string line;
      for (std::size_t c = 0; c < rows_[r].size(); ++c) {
        const std::string gap(widths[c] - columns(rows_[r][c]), ' ');
        line += c == 0 ? rows_[r][c] + gap : "  " + gap + rows_[r][c];
      }
      out += line.empty() ? across : (r == 0 ? styled(line, "1", colour) : line) + "\n";
      if (r == 0) out += across;
    }
    return out;
  }

 private:
  /// The width of UTF-8 text on a screen: one column per character, which holds for what the library prints.
  static std::size_t columns(const std::string& text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  }

  std::vector<std::vector<std::string>> rows_ = {};
};

/// The titles of `metrics_row`, at β = +1 and −1; `first` is the title of the first column.
inline std::vector<std::string> metrics_header(std::string first) {
  return {std::move(first), "flip +1",   "flip -1", "both",     "diff +1", "diff -1", "p correct +1",
          "p wrong -1",     "KL masked", "KL full", "top kept", "nonzero", "of"};
}

inline std::vector<std::string> metrics_row(std::string first, const metrics& m, const parameter_counts& c) {
  const auto up = m.at.find(+1), down = m.at.find(-1);  // an evaluation at other strengths lacks them
  const auto figure = [&](auto found, double strength_metrics::*which) {
    return found == m.at.end() ? std::string("-") : number(found->second.*which);
  };
  const auto probability = [&](auto found, double strength_metrics::*which) {
    return found == m.at.end() ? std::string("-") : small_number(found->second.*which);
  };
  return {std::move(first),
          figure(up, &strength_metrics::flip_rate),
          figure(down, &strength_metrics::flip_rate),
          number(m.flip_rate_both),
          figure(up, &strength_metrics::logit_diff),
          figure(down, &strength_metrics::logit_diff),
          probability(up, &strength_metrics::probability_correct),
          probability(down, &strength_metrics::probability_wrong),
          number(m.kl_masked, 3),
          number(m.kl_full, 3),
          number(m.top_other_same),
          std::to_string(c.nonzero_parameters),
          std::to_string(c.parameters)};
}

/// How sure the figures of `metrics_row` are, in the same columns: the 95 % interval of a rate, the standard error of a
/// mean over prompts.
inline std::vector<std::string> intervals_row(const metrics& m) {
  const auto rate = [&](double beta) {
    const auto found = m.at.find(beta);
    return found == m.at.end() ? std::string("-") : text_of(wilson(found->second.flip_rate, m.prompts));
  };
  const auto error_at = [&](double beta, double strength_metrics::*figure) {
    return m.per_prompt.contains(beta) ? error_text(mean_of(each_prompt(m, beta, figure))) : std::string("-");
  };
  const auto error = [&](double strength_metrics::*figure, int digits) {
    return error_text(mean_of(each_prompt(m, figure)), digits);
  };
  return {"  95 % interval, standard error",
          rate(+1),
          rate(-1),
          text_of(wilson(m.flip_rate_both, m.prompts)),
          error_at(+1, &strength_metrics::logit_diff),
          error_at(-1, &strength_metrics::logit_diff),
          error_at(+1, &strength_metrics::probability_correct),
          error_at(-1, &strength_metrics::probability_wrong),
          error(&strength_metrics::kl_masked, 3),
          error(&strength_metrics::kl_full, 3),
          error(&strength_metrics::top_other_same, 2),
          "",
          ""};
}

/// Adds the figures of an evaluation and, below them, how sure they are.
inline void add_metrics(table& to, std::string first, const metrics& m, const parameter_counts& c) {
  to.add(metrics_row(std::move(first), m, c));
  to.add(intervals_row(m));
}

/// The untouched model in the same columns: the shares of prompts that already follow each strength.
inline std::vector<std::string> untouched_row(std::string first, const metrics& m) {
  const std::vector<double>& diffs = m.logit_diffs.at(0);
  const auto share = [&](auto prefers) {
    return static_cast<double>(std::ranges::count_if(diffs, prefers)) / static_cast<double>(diffs.size());
  };
  const strength_metrics& at = m.at.at(0);
  return {std::move(first),
          number(share([](double d) { return d > 0; })),
          number(share([](double d) { return d < 0; })),
          number(0),
          number(at.logit_diff),
          number(at.logit_diff),
          small_number(at.probability_correct),
          small_number(at.probability_wrong),
          number(0, 3),
          number(0, 3),
          number(1),
          "0",
          "0"};
}

}  // namespace trimtab::report
