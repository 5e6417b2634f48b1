// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/picture/axis.hpp>
#include <trimtab/report/text.hpp>
#include <trimtab/report/text_table.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

/// Lines and marks over two axes that both reach to zero, as an SVG picture inside a page, with a legend, the same
/// numbers as a table, and the exact ones on hover. Lines differ in colour and in dashes, marks in colour and in shape.
/// Numbers far beyond all others are drawn at the edge, and the picture says so.

namespace trimtab::report {

struct chart_point {
  double x = 0, y = 0;     ///< a y of NaN is a gap
  std::string title = {};  ///< shown on hover
  std::string label = {};  ///< shown beside the mark
  std::string link = {};   ///< where a click on the mark leads
  /// The ends of an interval, drawn as a bar through the mark; NaN without one.
  double low = std::numeric_limits<double>::quiet_NaN(), high = std::numeric_limits<double>::quiet_NaN();
};

struct chart_line {
  std::string name = {};
  int style = 0;  ///< which of the four colours, dashes and shapes; 4 is a thin line in the background
  bool joined = true, marked = false;
  std::vector<chart_point> points = {};
  bool crossed = false;  ///< whether the marks are crosses, whatever the style
};

struct line_chart {
  std::string title = {}, note = {}, x_axis = {}, y_axis = {};
  std::vector<chart_line> lines = {};
  text_table table = {};
  double width = 420, height = 270;
  bool stems = false;  ///< joins the marks of one x by an upright line
};

namespace detail {

inline std::string line_between(double x1, double y1, double x2, double y2, const std::string& name) {
  return element("line", {{"x1", fixed(x1)}, {"y1", fixed(y1)}, {"x2", fixed(x2)}, {"y2", fixed(y2)}, {"class", name}});
}

inline std::string text_at(double x, double y, const std::string& text, const std::string& name) {
  return element_of_text("text", text, {{"x", fixed(x)}, {"y", fixed(y)}, {"class", name}});
}

/// A disc, a triangle up, a triangle down or a square.
inline std::string mark_at(double x, double y, int style, double r = 3.2) {
  const std::string name = "mark m" + std::to_string(style);
  const auto point = [&](double dx, double dy) { return fixed(x + r * dx) + "," + fixed(y + r * dy) + " "; };
  switch (style) {
    case 0: return element("circle", {{"cx", fixed(x)}, {"cy", fixed(y)}, {"r", fixed(r)}, {"class", name}});
    case 1: return element("polygon", {{"points", point(0, -1.2) + point(1.1, .8) + point(-1.1, .8)}, {"class", name}});
    case 2:
      return element("polygon", {{"points", point(0, 1.2) + point(1.1, -.8) + point(-1.1, -.8)}, {"class", name}});
    default:
      return element("polygon",
                     {{"points", point(-.9, -.9) + point(.9, -.9) + point(.9, .9) + point(-.9, .9)}, {"class", name}});
  }
}

inline std::string mark_of(const chart_line& line, double x, double y) {
  if (not line.crossed) return mark_at(x, y, line.style);
  constexpr double r = 3.2;
  return line_between(x - r, y - r, x + r, y + r, "cross l" + std::to_string(line.style)) +
         line_between(x - r, y + r, x + r, y - r, "cross l" + std::to_string(line.style));
}

inline std::string alternative_text(const line_chart& chart) {
  std::string text = chart.title + ": " + chart.y_axis + " over " + chart.x_axis + ".";
  for (const chart_line& line : chart.lines) {
    if (line.points.empty()) continue;
    double least = line.points.front().y, most = least;
    for (const chart_point& p : line.points) least = std::fmin(least, p.y), most = std::fmax(most, p.y);
    text += " " + line.name + " from " + readable(line.points.front().y) + " to " + readable(line.points.back().y) +
            ", lowest " + readable(least) + ", highest " + readable(most) + ".";
  }
  return text;
}

/// "2 points beyond the axis, as far as −35"; nothing where there are none.
inline std::string beyond_text(const beyond_axis& beyond) {
  if (beyond.count == 0) return {};
  return counted(beyond.count, "point") + " beyond the axis, as far as " + readable(beyond.farthest);
}

/// The picture without its frame.
inline std::string markup_of(const line_chart& chart) {
  axis x{0, 0, 46, chart.width - 14}, y{0, 0, chart.height - 40, 26};
  std::vector<double> xs, ys;
  for (const chart_line& line : chart.lines)
    for (const chart_point& p : line.points) xs.push_back(p.x), ys.push_back(p.y);
  const std::string beyond_x = beyond_text(widen_to(x, xs)), beyond_y = beyond_text(widen_to(y, ys));
  axis with_intervals = y;  // NaN widens nothing
  for (const chart_line& line : chart.lines)
    for (const chart_point& p : line.points)
      if (p.y >= y.low and p.y <= y.high) with_intervals.widen(p.low), with_intervals.widen(p.high);
  y = with_intervals;
  y.round();
  if (not(x.high > x.low)) x.high = x.low + 1;
  std::string out;
  if (not beyond_y.empty()) out += text_at(x.to, 11, beyond_y, "end");
  if (not beyond_x.empty()) out += text_at(x.to, y.from - 6, beyond_x, "end");
  for (double tick : y.ticks())
    out += line_between(x.from, y.at(tick), x.to, y.at(tick), tick == 0 ? "zero" : "grid") +
           text_at(x.from - 7, y.at(tick) + 4, tick_text(tick), "tick end");
  axis rounded = x;
  rounded.round();
  for (double tick : rounded.ticks())
    if (tick >= x.low - 1e-9 and tick <= x.high + 1e-9 * (x.high - x.low))
      out += text_at(x.at(tick), y.from + 17, tick_text(tick), "tick");
  out += text_at((x.from + x.to) / 2, chart.height - 5, chart.x_axis, "axis") + text_at(0, 11, chart.y_axis, "start") +
         "\n";

  if (chart.stems)
    for (std::size_t i = 0; i < chart.lines.front().points.size(); ++i) {
      double low = chart.lines.front().points[i].y, high = low;
      for (const chart_line& line : chart.lines)
        low = std::min(low, line.points[i].y), high = std::max(high, line.points[i].y);
      const double at = x.at(chart.lines.front().points[i].x);
      out += line_between(at, y.at(low), at, y.at(high), "stem");
    }
  for (const chart_line& line : chart.lines) {
    std::string path;
    bool gap = true;
    for (const chart_point& p : line.points) {
      if (not std::isnan(p.y)) path += (gap ? "M" : "L") + fixed(x.at(p.x)) + " " + fixed(y.at(p.y));
      gap = std::isnan(p.y);
    }
    if (line.joined) out += element("path", {{"d", path}, {"class", "path l" + std::to_string(line.style)}}) + "\n";
    for (const chart_point& p : line.points) {
      if (std::isnan(p.y)) continue;
      if (not std::isnan(p.low) and not std::isnan(p.high))
        out += line_between(x.at(p.x), y.at(p.low), x.at(p.x), y.at(p.high), "bar l" + std::to_string(line.style));
      const std::string mark = element_of_text("title", p.title) + mark_of(line, x.at(p.x), y.at(p.y));
      if (line.marked) out += p.link.empty() ? element("g", {}, mark) : element("a", {{"href", p.link}}, mark);
      if (not p.label.empty()) out += text_at(x.at(p.x) + 6, y.at(p.y) - 6, p.label, "label");
    }
    out += "\n";
  }
  return out;
}

/// How lines and marks of a style look, in a frame of 24 x 14 pixels.
inline std::string sample_of(const chart_line& line) {
  std::string sample;
  if (line.joined) sample += element("path", {{"d", "M1 7L23 7"}, {"class", "path l" + std::to_string(line.style)}});
  if (line.marked) sample += mark_of(line, 12, 7);
  return sample;
}

}  // namespace detail

inline std::string html_of(const line_chart& chart) {
  std::string keys;
  for (const chart_line& line : chart.lines)
    keys += element("span", {},
                    element("svg", {{"viewBox", "0 0 24 14"}, {"aria-hidden", "true"}}, detail::sample_of(line)) +
                        escaped(line.name));
  const std::string drawing =
      element("svg",
              {{"viewBox", "0 0 " + detail::fixed(chart.width) + " " + detail::fixed(chart.height)},
               {"role", "img"},
               {"aria-label", detail::alternative_text(chart)}},
              "\n" + detail::markup_of(chart));
  return element("figure", {{"class", chart.width > 500 ? "chart wide" : "chart"}},
                 element_of_text("figcaption", chart.title) +
                     (chart.note.empty() ? "" : element_of_text("p", chart.note, {{"class", "note"}})) +
                     element("p", {{"class", "key"}}, keys) + element("div", {{"class", "scroll"}}, drawing) +
                     (chart.table.rows.empty()
                          ? ""
                          : element("details", {}, element_of_text("summary", "as a table") + html_of(chart.table)))) +
         "\n";
}

}  // namespace trimtab::report
