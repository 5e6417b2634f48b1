// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/page/fit_report.hpp>
#include <trimtab/report/page/side_by_side.hpp>
#include <trimtab/report/picture/chart_svg.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/picture/palette.hpp>
#include <trimtab/report/picture/svg_canvas.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Heat maps and charts as one SVG file for papers. The maps of a group stand side by side over one legend, in as many
/// rows as the width asks for; a map that alone is wider goes on below. Groups stand below each other, and charts below
/// them. A place that is exactly at the centre is struck through.

namespace trimtab::report {

namespace detail {

/// A cell that shows a word is wide enough for a short one.
inline constexpr double cell_height = 14;
inline double cell_width(const heat_map& map) { return map.words.empty() ? 20 : 56; }

/// The start of a text that is longer than `most` characters.
inline std::string shortened(const std::string& text, std::size_t most) {
  if (characters(text) <= most) return text;
  std::string out;
  std::size_t count = 0;
  each_character(text, [&](std::string_view c) { out += ++count < most ? std::string(c) : ""; });
  return out + "…";
}

/// The room that the names of rows need.
inline double margin_of(const heat_map& map) {
  std::size_t longest = 0;
  for (const std::string& name : map.rows) longest = std::max(longest, characters(name));
  return std::max(30.0, 9 + 5.4 * static_cast<double>(longest));
}

inline void draw(svg_canvas& to, const heat_map& map, const std::string& title, double reach, double left, double top) {
  const double width = cell_width(map), x0 = left + margin_of(map), y0 = top + 10,
               bottom = y0 + static_cast<double>(map.rows.size()) * cell_height;
  to.text(x0, top + 4, title, "start", 11, false, true);
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    const double y = bottom - static_cast<double>(r + 1) * cell_height;
    to.text(x0 - 5, y + cell_height - 4, map.rows[r], "end", 9);
    for (std::size_t c = 0; c < map.columns.size(); ++c) {
      const double x = x0 + static_cast<double>(c) * width, value = map.values[r][c];
      const bool is_number = not std::isnan(value);
      const std::string word = map.words.empty() ? "" : map.words[r][c];
      const int step = is_number ? step_of(value - map.centre, reach) : 0;
      const colour fill = shade(light, step);
      to.rectangle(x, y, width, cell_height, step == 0 ? "none" : hex(fill),
                   map.row_kind + " " + map.rows[r] + ", " + map.columns[c] + (word.empty() ? "" : ", " + word) + ": " +
                       (is_number ? exact(value) : "nothing measured"));
      if (not word.empty())
        to.text(x + 3, y + cell_height - 4, shortened(word, 9), "start", 9, false, false, ink_on(fill));
      else if (is_number and step == 0)
        to.stroke(x + 2, y + cell_height - 2, x + width - 2, y + 2);
    }
  }
  to.text(x0 - 5, bottom + 12, map.row_kind, "end", 9);
  for (std::size_t c = 0; c < map.columns.size(); ++c)
    to.text(x0 + (static_cast<double>(c) + 0.5) * width + 3.5, bottom + 5, map.columns[c], "end", 10, true);
}

inline void draw_legend(svg_canvas& to, const map_group& group, double y) {
  const bool one_scale = group.has_one_scale();
  const double centre = group.centre(), reach = group.maps.empty() ? 0 : group.reach_of(group.maps.front());
  bool below = false, above = false, gaps = false;
  group.each_number(
      [&](double x) { below = below or x < centre, above = above or x > centre, gaps = gaps or std::isnan(x); });
  double x = 60;
  if (below) to.text(x - 6, y + 9, one_scale ? readable(centre - reach) : "\xE2\x88\x92largest", "end", 9);
  for (int step = below ? -shades : 0; step <= (above ? shades : 0); ++step) {
    to.rectangle(x, y, 10, 10, step == 0 ? "none" : hex(shade(light, step)), "");
    if (step == 0) to.stroke(x + 2, y + 8, x + 8, y + 2);
    x += 10;
  }
  const std::string end = one_scale ? readable(centre + reach, group.has_negative()) : "+largest";
  to.text(
      x + 6, y + 9,
      (above ? end + ", " : "") + "struck through: exactly " + exact(centre) + (gaps ? ", empty: not measured" : ""),
      "start", 9);
}

/// A map cut into pieces that are no wider than `width`.
inline std::vector<heat_map> pieces_within(const heat_map& map, double width) {
  return pieces_of(map, static_cast<std::size_t>(std::max(1.0, (width - margin_of(map)) / cell_width(map))));
}

inline double width_of(const heat_map& map, const std::string& title) {
  return margin_of(map) + std::max(static_cast<double>(map.columns.size()) * cell_width(map),
                                   7.0 * static_cast<double>(characters(title)));
}

inline void draw(svg_canvas& to, const map_group& group, double top, double width) {
  to.text(12, top, group.title, "start", 12, false, true);
  const bool one_scale = group.has_one_scale();
  double left = 0, line = top + 18;
  for (const heat_map& map : group.maps) {
    std::string title = map.title + (one_scale ? "" : ", largest " + readable(group.reach_of(map)));
    for (const heat_map& piece : pieces_within(map, width)) {
      if (left > 0 and left + width_of(piece, title) > width) left = 0, line = to.bottom() + 14;
      draw(to, piece, title, group.reach_of(map), left, line);
      left += width_of(piece, title) + 16;
      title = map.title + ", continued";
    }
  }
  draw_legend(to, group, to.bottom() + 8);
}

}  // namespace detail

/// The width in pixels at which maps go on below: three of the paper's sites with 18 tokens each stand side by side.
inline constexpr double svg_width = 1240;

/// The file as text.
inline std::string svg_of(const std::string& title, const std::vector<map_group>& groups, double width = svg_width,
                          const std::vector<line_chart>& charts = {}) {
  detail::svg_canvas canvas;
  double top = 14;
  for (const map_group& group : groups) {
    detail::draw(canvas, group, top, width);
    top = canvas.bottom() + 32;
  }
  for (const line_chart& chart : charts) {
    detail::draw(canvas, chart, top, width);
    top = canvas.bottom() + 32;
  }
  return canvas.file(title, charts.empty() ? "" : detail::chart_rules_in(light));
}

/// The maps of some fits: those of several on one scale, beside each other where they show the same.
inline std::string svg_of(const std::string& title, const std::vector<fit_report>& fits, double width = svg_width) {
  if (fits.size() == 1) return svg_of(title, fits.front().maps, width);
  auto [groups, alone] = side_by_side(fits);
  groups.insert(groups.end(), alone.begin(), alone.end());
  return svg_of(title, groups, width);
}

}  // namespace trimtab::report
