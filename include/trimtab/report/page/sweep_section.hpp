// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/intervals.hpp>
#include <trimtab/measure/pareto.hpp>
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

/// What a page shows of a sweep, above the fits on its front: the front as a picture and as a table, the path of every
/// place, and how often halves of the prompts keep each.

namespace trimtab::report {

/// A point of a sweep.
struct swept_point {
  std::string name = {};
  std::vector<std::string> settings = {};  ///< the values of what varies
  trade_off figures = {};
  interval flips = {};
  bool on_front = false, is_knee = false;
  std::string link = {};  ///< to its maps, empty without any
};

/// The size of one place along a path.
struct path_line {
  std::string name = {};
  std::vector<double> sizes = {};  ///< by λ
};

struct sweep_report {
  std::vector<std::string> varied = {};  ///< the names of the settings
  std::vector<swept_point> points = {};
  double hypervolume = 0;
  std::vector<double> lambdas = {};    ///< of the path, from λ_max down; empty without a path
  std::vector<path_line> places = {};  ///< in the order in which they enter
  std::vector<map_group> selection = {};
};

/// The smallest flip rate of each point against its KL, with the number of places beside the mark.
inline line_chart front_chart(const sweep_report& sweep) {
  line_chart chart{.title = "What flips cost",
                   .note =
                       "Each mark is a fit, and the number beside those on the front is that of the places it keeps. "
                       "No fit is better than one on the front in flips, KL and places at once; a mark on the "
                       "front leads to its maps.",
                   .x_axis = "KL divergence from the untouched model, answers left out",
                   .y_axis = "smallest flip rate",
                   .width = 640,
                   .height = 360};
  chart.lines = {{"other fits", 3, false, true, {}}, {"front", 0, false, true, {}}, {"knee", 1, false, true, {}}};
  for (const swept_point& p : sweep.points) {
    const auto places = static_cast<std::size_t>(p.figures.places);
    chart.lines[p.is_knee    ? 2
                : p.on_front ? 1
                             : 0]
        .points.push_back({p.figures.kl, p.figures.flip_rate,
                           p.name + ": flip rate " + exact(p.figures.flip_rate) + ", KL " + exact(p.figures.kl) + ", " +
                               counted(places, "place"),
                           p.on_front ? std::to_string(places) : "", p.link});
  }
  return chart;
}

/// |θ| of each place against λ, as glmnet draws it.
inline line_chart path_chart(const sweep_report& sweep) {
  constexpr std::size_t most = 12;
  line_chart chart{
      .title = "How places enter",
      .note = "The size of each place's parameters as the weight of minimality λ falls, to the left" +
              (sweep.places.size() > most ? "; of " + std::to_string(sweep.places.size()) + " places, the first " +
                                                std::to_string(most) + " that enter."
                                          : "."),
      .x_axis = "log₁₀ λ",
      .y_axis = "size of the parameters",
      .width = 640,
      .height = 360};
  chart.table.header = {"λ"};
  for (const double lambda : sweep.lambdas) chart.table.rows.push_back({readable(lambda)});
  for (std::size_t k = 0; k < std::min(most, sweep.places.size()); ++k) {
    const path_line& place = sweep.places[k];
    chart_line line{place.name, static_cast<int>(k % 4), true, false, {}};
    chart.table.header.push_back(place.name);
    for (std::size_t n = 0; n < sweep.lambdas.size(); ++n) {
      line.points.push_back({std::log10(sweep.lambdas[n]), place.sizes[n], {}, {}, {}});
      chart.table.rows[n].push_back(readable(place.sizes[n]));
    }
    chart.lines.push_back(std::move(line));
  }
  return chart;
}

/// Every point with its settings and figures, those on the front marked.
inline std::string points_table(const sweep_report& sweep) {
  std::string header = element_of_text("th", "point", {{"scope", "col"}});
  std::vector<std::string> names = sweep.varied;
  for (const auto* name : {"smallest flip rate", "95 % interval", "KL masked", "places", "front"})
    names.push_back(name);
  for (const std::string& name : names) header += element_of_text("th", name, {{"scope", "col"}});
  std::string rows;
  for (const swept_point& p : sweep.points) {
    std::string cells = p.link.empty()
                            ? element_of_text("th", p.name, {{"scope", "row"}})
                            : element("th", {{"scope", "row"}}, element_of_text("a", p.name, {{"href", p.link}}));
    std::vector<std::string> values = p.settings;
    for (const std::string& value :
         {number(p.figures.flip_rate), text_of(p.flips), number(p.figures.kl, 4), std::to_string(p.figures.places),
          std::string(p.is_knee    ? "knee"
                      : p.on_front ? "yes"
                                   : "")})
      values.push_back(value);
    for (const std::string& value : values) cells += element_of_text("td", with_minus(value));
    rows += element("tr", {}, cells) + "\n";
  }
  return element("div", {{"class", "scroll"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", "points"}},
                 element("table", {{"class", "figures"}},
                         element("thead", {}, element("tr", {}, header)) + element("tbody", {}, "\n" + rows)));
}

/// The section as markup.
inline std::string html_of(const sweep_report& sweep) {
  std::string out = element_of_text("h3", "Trade-off") + html_of(front_chart(sweep)) +
                    element_of_text("p",
                                    "Hypervolume " + readable(sweep.hypervolume) +
                                        ": the room between the front and a fit that flips nothing with the largest KL "
                                        "and all places.",
                                    {{"class", "note"}}) +
                    points_table(sweep);
  if (not sweep.lambdas.empty()) out += element_of_text("h3", "Path") + html_of(path_chart(sweep));
  if (not sweep.selection.empty()) out += element_of_text("h3", "Stability");
  for (const map_group& group : sweep.selection) out += html_of(group);
  return out;
}

}  // namespace trimtab::report
