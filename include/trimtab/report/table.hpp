// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/metrics.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/steer/fitted.hpp>

#include <algorithm>
#include <cassert>
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
  return {std::move(first),
          figure(up, &strength_metrics::flip_rate),
          figure(down, &strength_metrics::flip_rate),
          number(m.flip_rate_both),
          figure(up, &strength_metrics::logit_diff),
          figure(down, &strength_metrics::logit_diff),
          figure(up, &strength_metrics::probability_correct),
          figure(down, &strength_metrics::probability_wrong),
          number(m.kl_masked, 3),
          number(m.kl_full, 3),
          number(m.top_other_same),
          std::to_string(c.nonzero_parameters),
          std::to_string(c.parameters)};
}

/// The untouched model in the same columns: the shares of prompts that already follow each strength.
inline std::vector<std::string> untouched_row(std::string first, const metrics& m) {
  double prefers_correct = 0, prefers_wrong = 0;
  const std::vector<double>& diffs = m.logit_diffs.at(0);
  for (double d : diffs) {
    prefers_correct += d > 0 ? 1 / static_cast<double>(diffs.size()) : 0;
    prefers_wrong += d < 0 ? 1 / static_cast<double>(diffs.size()) : 0;
  }
  const strength_metrics& at = m.at.at(0);
  return {std::move(first),
          number(prefers_correct),
          number(prefers_wrong),
          number(0),
          number(at.logit_diff),
          number(at.logit_diff),
          number(at.probability_correct),
          number(at.probability_wrong),
          number(0, 3),
          number(0, 3),
          number(1),
          "0",
          "0"};
}

}  // namespace trimtab::report
