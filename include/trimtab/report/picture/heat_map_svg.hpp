// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/page/fit_report.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/picture/palette.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// Heat maps as one SVG file for papers: vectors only, light colours, no external resources. The maps of a group stand
/// side by side over one legend, in as many rows as the width asks for; a map that alone is wider goes on below. Groups
/// stand below each other. A place that is exactly at the centre is struck through.

namespace trimtab::report {

namespace detail {

/// SVG markup under construction, in pixels.
class svg_canvas {
 public:
  static std::string pixels(double x) {
    char digits[64];
    std::snprintf(digits, sizeof digits, "%.4g", std::round(x * 10) / 10);
    return digits;
  }

  void rectangle(double x, double y, double width, double height, const std::string& fill, const std::string& title) {
    reach(x + width, y + height);
    out_ += element("rect",
                    {{"x", pixels(x)},
                     {"y", pixels(y)},
                     {"width", pixels(width)},
                     {"height", pixels(height)},
                     {"fill", fill},
                     {"stroke", hex(light.line)},
                     {"stroke-width", "0.5"}},
                    title.empty() ? std::string() : element_of_text("title", title)) +
            "\n";
  }
  void stroke(double x1, double y1, double x2, double y2) {
    out_ += element("line", {{"x1", pixels(x1)},
                             {"y1", pixels(y1)},
                             {"x2", pixels(x2)},
                             {"y2", pixels(y2)},
                             {"stroke", hex(light.line)},
                             {"stroke-width", "0.7"}}) +
            "\n";
  }
  /// `anchor` is start, middle or end; upright text is read from below.
  void text(double x, double y, const std::string& content, const std::string& anchor, double size = 10,
            bool upright = false, bool bold = false) {
    const double length = 0.6 * size * static_cast<double>(characters(content));
    reach(upright ? x : anchor == "start" ? x + length : x, upright ? y + length : y + 3);
    std::vector<attribute> attributes{
        {"x", pixels(x)}, {"y", pixels(y)}, {"text-anchor", anchor}, {"font-size", pixels(size)}};
    if (upright) attributes.push_back({"transform", "rotate(-90 " + pixels(x) + " " + pixels(y) + ")"});
    if (bold) attributes.push_back({"font-weight", "bold"});
    out_ += element_of_text("text", content, attributes) + "\n";
  }

  double bottom() const { return bottom_; }

  std::string file(const std::string& title) const {
    const std::string width = pixels(right_ + 12), height = pixels(bottom_ + 12);
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
           element("svg",
                   {{"xmlns", "http://www.w3.org/2000/svg"},
                    {"width", width},
                    {"height", height},
                    {"viewBox", "0 0 " + width + " " + height},
                    {"role", "img"},
                    {"aria-label", title},
                    {"font-family", "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"},
                    {"fill", hex(light.text)},
                    {"style", "background: " + hex(light.page)}},  // on dark pages too
                   "\n" + element_of_text("title", title) + "\n" + out_) +
           "\n";
  }

 private:
  void reach(double x, double y) { right_ = std::max(right_, x), bottom_ = std::max(bottom_, y); }

  std::string out_ = {};
  double right_ = 0, bottom_ = 0;
};

inline constexpr double cell_width = 20, cell_height = 14;

inline void draw(svg_canvas& to, const heat_map& map, double reach, double left, double top) {
  const double x0 = left + 30, y0 = top + 10, bottom = y0 + static_cast<double>(map.rows.size()) * cell_height;
  to.text(x0, top + 4, map.title, "start", 11, false, true);
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    const double y = bottom - static_cast<double>(r + 1) * cell_height;
    to.text(x0 - 5, y + cell_height - 4, map.rows[r], "end", 9);
    for (std::size_t c = 0; c < map.columns.size(); ++c) {
      const double x = x0 + static_cast<double>(c) * cell_width, value = map.values[r][c];
      const bool is_number = not std::isnan(value);
      const int step = is_number ? step_of(value - map.centre, reach) : 0;
      to.rectangle(
          x, y, cell_width, cell_height, step == 0 ? "none" : hex(shade(light, step)),
          "layer " + map.rows[r] + ", " + map.columns[c] + ": " + (is_number ? exact(value) : "nothing measured"));
      if (is_number and step == 0) to.stroke(x + 2, y + cell_height - 2, x + cell_width - 2, y + 2);
    }
  }
  to.text(x0 - 5, bottom + 12, "layer", "end", 9);
  for (std::size_t c = 0; c < map.columns.size(); ++c)
    to.text(x0 + (static_cast<double>(c) + 0.5) * cell_width + 3.5, bottom + 5, map.columns[c], "end", 10, true);
}

inline void draw_legend(svg_canvas& to, const map_group& group, double y) {
  const double centre = group.centre(), reach = group.reach();
  bool below = false, above = false, gaps = false;
  group.each_number(
      [&](double x) { below = below or x < centre, above = above or x > centre, gaps = gaps or std::isnan(x); });
  double x = 60;
  if (below) to.text(x - 6, y + 9, readable(centre - reach), "end", 9);
  for (int step = below ? -shades : 0; step <= (above ? shades : 0); ++step) {
    to.rectangle(x, y, 10, 10, step == 0 ? "none" : hex(shade(light, step)), "");
    if (step == 0) to.stroke(x + 2, y + 8, x + 8, y + 2);
    x += 10;
  }
  const std::string largest = above ? readable(centre + reach, group.has_negative()) + ", " : "";
  to.text(x + 6, y + 9, largest + "struck through: exactly " + exact(centre) + (gaps ? ", empty: not measured" : ""),
          "start", 9);
}

/// A map cut into pieces that are no wider than `width`.
inline std::vector<heat_map> pieces_of(const heat_map& map, double width) {
  const auto at_once = static_cast<std::size_t>(std::max(1.0, (width - 30) / cell_width));
  if (map.columns.size() <= at_once) return {map};
  std::vector<heat_map> pieces;
  for (std::size_t first = 0; first < map.columns.size(); first += at_once) {
    const std::size_t last = std::min(map.columns.size(), first + at_once);
    const auto cut = [&](const auto& list) {
      return std::remove_cvref_t<decltype(list)>(list.begin() + static_cast<std::ptrdiff_t>(first),
                                                 list.begin() + static_cast<std::ptrdiff_t>(last));
    };
    heat_map piece{.title = map.title + (first > 0 ? ", continued" : ""), .rows = map.rows, .centre = map.centre};
    piece.columns = cut(map.columns);
    for (const auto& row : map.values) piece.values.push_back(cut(row));
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

inline double width_of(const heat_map& map) {
  return 30 + std::max(static_cast<double>(map.columns.size()) * cell_width,
                       7.0 * static_cast<double>(characters(map.title)));
}

}  // namespace detail

/// The width in pixels at which maps go on below: three of the paper's sites with 18 tokens each stand side by side.
inline constexpr double svg_width = 1240;

/// The file as text.
inline std::string svg_of(const std::string& title, const std::vector<map_group>& groups, double width = svg_width) {
  detail::svg_canvas canvas;
  double top = 14;
  for (const map_group& group : groups) {
    canvas.text(12, top, group.title, "start", 12, false, true);
    double left = 0, line = top + 18;
    for (const heat_map& map : group.maps)
      for (const heat_map& piece : detail::pieces_of(map, width)) {
        if (left > 0 and left + detail::width_of(piece) > width) left = 0, line = canvas.bottom() + 14;
        detail::draw(canvas, piece, group.reach(), left, line);
        left += detail::width_of(piece) + 16;
      }
    detail::draw_legend(canvas, group, canvas.bottom() + 8);
    top = canvas.bottom() + 32;
  }
  return canvas.file(title);
}

/// The maps of some fits.
inline std::string svg_of(const std::string& title, const std::vector<fit_report>& fits, double width = svg_width) {
  std::vector<map_group> groups;
  for (const fit_report& fit : fits)
    for (const map_group& group : fit.maps) {
      groups.push_back(group);
      if (fits.size() > 1) groups.back().title = fit.name + ": " + group.title;
    }
  return svg_of(title, groups, width);
}

}  // namespace trimtab::report
