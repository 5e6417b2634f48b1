// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/picture/chart_rules.hpp>
#include <trimtab/report/picture/line_chart.hpp>
#include <trimtab/report/picture/svg_canvas.hpp>

#include <string>

/// A line chart in an SVG file: its title, its legend and the picture, which looks as `chart_rules_in` says.

namespace trimtab::report {

namespace detail {

inline void draw(svg_canvas& to, const line_chart& chart, double top, double width) {
  constexpr double left = 12, sample = 24, line_height = 16;
  to.text(left, top, chart.title, "start", 12, false, true);
  double x = left, y = top + 8;
  for (const chart_line& line : chart.lines) {
    const double length = sample + 6 + 6 * static_cast<double>(characters(line.name)) + 14;
    if (x > left and x + length > width) x = left, y += line_height;
    to.picture(x, y, sample, 14, sample_of(line));
    to.text(x + sample + 6, y + 11, line.name, "start");
    x += length;
  }
  to.picture(left, y + line_height + 6, chart.width, chart.height, "\n" + markup_of(chart));
}

}  // namespace detail

/// The file of one chart as text.
inline std::string svg_of(const line_chart& chart) {
  detail::svg_canvas canvas;
  detail::draw(canvas, chart, 14, chart.width + 24);
  return canvas.file(chart.title, detail::chart_rules_in(light));
}

}  // namespace trimtab::report
