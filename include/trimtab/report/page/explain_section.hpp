// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/rankings.hpp>
#include <trimtab/report/page/fit_report.hpp>
#include <trimtab/report/page/fit_tables.hpp>
#include <trimtab/report/page/heat_map_html.hpp>
#include <trimtab/report/picture/line_chart.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

/// What a page shows of methods that rank places: their maps beside each other, how far they agree, and how much of the
/// answer the first places of each ranking explain.

namespace trimtab::report {

/// How far two methods agree on the places that both score.
struct method_agreement {
  std::string first = {}, second = {};
  std::size_t places = 0;
  ranking_agreement rankings = {};
};

/// The faithfulness curve of one method.
struct method_curve {
  std::string name = {};
  faithfulness_curve by_size = {};
  with_interval cpr = {}, cmd = {};
};

/// The areas of one method's curve less those of another's.
struct method_difference {
  std::string first = {}, second = {};
  with_interval cpr = {}, cmd = {};
};

struct explain_report {
  std::vector<fit_report> methods = {};  ///< what was asked of each, and its maps, a group each
  std::vector<method_agreement> agreement = {};
  std::vector<method_curve> curves = {};
  std::vector<double> random_mean = {}, random_low = {}, random_high = {};  ///< curves of random orders, [shares]
  std::vector<method_difference> differences = {};
};

/// The maps of all methods: a group for each site, in which each method has a scale of its own.
inline std::vector<map_group> maps_of(const explain_report& report) {
  std::vector<named_group> groups;
  for (const fit_report& method : report.methods)
    for (const map_group& group : method.maps) groups.push_back({method.name, group});
  return by_site(groups, map_scales::own,
                 "Methods measure different things, so the colours of each end at its own largest score.");
}

/// How much of the answer is left if only the first places of each ranking keep their activations.
inline line_chart faithfulness_chart(const explain_report& report) {
  line_chart chart{.title = "How much of the answer the first places explain",
                   .note =
                       "All but the first places of a ranking, by the size of their scores, get other activations; "
                       "1 is the model's own answer. The thin lines are the mean of random orders and the band that "
                       "holds 95 % of them.",
                   .x_axis = "share of the places kept, log₁₀",
                   .y_axis = "faithfulness",
                   .width = 640,
                   .height = 360};
  chart.table.header = {"places kept"};
  for (const double share : faithfulness_curve::shares) chart.table.rows.push_back({exact(share)});
  const auto add = [&](const std::string& name, int style, bool marked, const std::vector<double>& values) {
    chart_line line{name, style, true, marked, {}};
    chart.table.header.push_back(name);
    for (std::size_t s = 0; s < values.size(); ++s) {
      const double share = faithfulness_curve::shares[s];
      line.points.push_back(
          {std::log10(share), values[s], name + ", " + exact(share) + ": " + exact(values[s]), {}, {}});
      chart.table.rows[s].push_back(readable(values[s]));
    }
    chart.lines.push_back(std::move(line));
  };
  for (std::size_t k = 0; k < report.curves.size(); ++k)  // four look different, and four more with marks
    add(report.curves[k].name, static_cast<int>(k % 4), k >= 4, report.curves[k].by_size.faithfulness);
  if (not report.random_mean.empty()) {
    add("random orders", 4, false, report.random_mean);
    add("random orders, 2.5 %", 4, false, report.random_low);
    add("random orders, 97.5 %", 4, false, report.random_high);
  }
  return chart;
}

namespace detail {

inline std::string text_of(const with_interval& x) {
  return with_minus(number(x.value)) + " (" + with_minus(number(x.low)) + " to " + with_minus(number(x.high)) + ")";
}

/// Spearman's ρ of each pair, a row and a column for each method.
inline text_table correlation_table(const explain_report& report) {
  text_table table{.header = {"Spearman's ρ"}};
  for (const fit_report& method : report.methods) table.header.push_back(method.name);
  for (const fit_report& row : report.methods) {
    auto& cells = table.rows.emplace_back(1, row.name);
    for (const fit_report& column : report.methods) {
      const auto pair = std::ranges::find_if(report.agreement, [&](const method_agreement& a) {
        return (a.first == row.name and a.second == column.name) or (a.first == column.name and a.second == row.name);
      });
      cells.push_back(row.name == column.name          ? "1"
                      : pair == report.agreement.end() ? "–"
                                                       : with_minus(number(pair->rankings.spearman.value)));
    }
  }
  return table;
}

/// Every pair with all measures and their intervals.
inline text_table agreement_table(const explain_report& report) {
  text_table table{.header = {"methods", "places of both", "Spearman's ρ (95 %)", "Kendall's τ-b (95 %)",
                              "share of the first places (95 %)"}};
  for (const method_agreement& a : report.agreement)
    table.rows.push_back({a.first + " and " + a.second, std::to_string(a.places), text_of(a.rankings.spearman),
                          text_of(a.rankings.kendall),
                          text_of(a.rankings.overlap) + " of " + std::to_string(a.rankings.k)});
  return table;
}

inline text_table area_table(const explain_report& report) {
  text_table table{.header = {"method", "CPR (95 %)", "CMD (95 %)"}};
  for (const method_curve& curve : report.curves)
    table.rows.push_back({curve.name, text_of(curve.cpr), text_of(curve.cmd)});
  for (const method_difference& d : report.differences)
    table.rows.push_back({d.first + " less " + d.second, text_of(d.cpr), text_of(d.cmd)});
  return table;
}

}  // namespace detail

/// The curves as markup, nothing without any.
inline std::string curves_of(const explain_report& report) {
  if (report.curves.empty()) return {};
  return element_of_text("h3", "Faithfulness") + html_of(faithfulness_chart(report)) +
         html_of(detail::area_table(report)) +
         element_of_text(
             "p",
             "CPR is the area below the curve of places ordered by signed score, the larger the better; CMD "
             "the area between the curve by size and 1, the smaller the better. Intervals are over prompts, "
             "drawn for both methods of a difference at once.",
             {{"class", "note"}});
}

/// The section of several methods as markup; `chapter` is its number.
inline std::string html_of(const explain_report& report, const std::string& chapter) {
  std::string maps;
  for (const map_group& group : maps_of(report)) maps += html_of(group, cell_size::small);
  std::string out = element_of_text("h3", "Settings") + detail::asked_table(report.methods) +
                    element_of_text("h3", "Where the answer is decided") +
                    element("div", {{"data-fit", chapter}}, maps);
  if (not report.agreement.empty())
    out += element_of_text("h3", "How far the rankings agree") + html_of(detail::correlation_table(report)) +
           element("details", {},
                   element_of_text("summary", "with Kendall's τ-b, overlap and intervals") +
                       html_of(detail::agreement_table(report)));
  return out + curves_of(report);
}

}  // namespace trimtab::report
