// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/report/text.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>

/// A heat map in a terminal: a sign and a digit for each layer and place, 9 for the largest number of the map, or of
/// the maps that share its scale, and 0 for one that is nearly zero, a dot for exactly zero. Colours repeat what the
/// characters say: red above zero, blue below.

namespace trimtab::report {

namespace detail {

/// "+7", "-0", " ·"; " ?" for NaN and infinities.
inline std::string cell_text(double x, double largest) {
  if (x == 0) return " \xC2\xB7";
  if (not std::isfinite(x)) return " ?";
  const auto tenths = static_cast<int>(std::round(9 * std::abs(x) / largest));
  return (x > 0 ? "+" : "-") + std::to_string(tenths);
}

/// A background of the 256-colour palette's cube, from white to red or blue, that dark text can be read on.
inline std::string cell_style(double x, double largest) {
  const auto faded = 5 - static_cast<int>(std::round(3 * std::abs(x) / largest));  // 5 white ... 2 saturated
  const int colour = x > 0 ? 16 + 36 * 5 + 6 * faded + faded : 16 + 36 * faded + 6 * faded + 5;
  return "38;5;16;48;5;" + std::to_string(colour);
}

/// "  0  1  2": the numbers of the columns [first, last) of a map, two digits each.
inline std::string numbers_line(std::size_t first, std::size_t last) {
  std::string line;
  char number[8];
  for (std::size_t c = first; c < last; ++c) {
    std::snprintf(number, sizeof number, " %2d", static_cast<int>(c % 100));
    line += number;
  }
  return line;
}

/// "0 The  1 king  2 .", in lines of at most `width` columns where no name is wider.
inline std::string numbered_names(const heat_map& map, std::size_t indent, std::size_t width) {
  std::string out, line(indent, ' ');
  for (std::size_t c = 0; c < map.columns.size(); ++c) {
    // A role or a token may hold what steers a terminal.
    const std::string number = std::to_string(c);
    std::string name = text::one_line(map.columns[c]);
    if (name != number and not name.starts_with(number + " [")) name = number + " " + name;
    const bool is_first = line.size() == indent;
    if (not is_first and characters(line) + 2 + characters(name) > width) {
      out += line + "\n";
      line.assign(indent, ' ');
    }
    line += (line.size() == indent ? "" : "  ") + name;
  }
  return out + line + "\n";
}

}  // namespace detail

/// Layers upward, places along, in lines of at most `width` columns: a map that is wider goes on below. Few places are
/// named under their columns, many have numbers that a list names.
inline std::string text_of(const heat_map& map, bool colour = false, int width = 100) {
  double largest = map.reach;
  if (largest == 0)
    map.each_number([&](double x) {
      if (std::isfinite(x)) largest = std::max(largest, std::abs(x));
    });
  std::size_t margin = 0;
  for (const auto& row : map.rows) margin = std::max(margin, characters(text::one_line(row)));
  const std::size_t all = map.columns.size();
  const auto at_once = static_cast<std::size_t>(std::max(1, (width - static_cast<int>(margin) - 1) / 3));
  std::string names;
  for (const auto& column : map.columns) names += " " + text::one_line(column);
  char scale[96];
  std::snprintf(scale, sizeof scale, "   9 is %.3g, \xC2\xB7 is exactly 0\n", largest);
  const bool under_columns =
      all <= std::min<std::size_t>(6, at_once) and
      margin + 1 + characters(names) + characters(scale) <= static_cast<std::size_t>(std::max(width, 1));

  std::string out = styled(map.title, "1", colour) + "\n";
  for (std::size_t first = 0; first < std::max<std::size_t>(all, 1); first += at_once) {
    const std::size_t last = std::min(all, first + at_once);
    for (std::size_t r = map.rows.size(); r-- > 0;) {
      const auto name = text::one_line(map.rows[r]);
      out += std::string(margin - characters(name), ' ') + name + " ";
      for (std::size_t c = first; c < last; ++c) {
        const double x = map.values[r][c];
        const auto cell = " " + detail::cell_text(x, largest);
        out += styled(cell, x == 0 or not std::isfinite(x) ? "2" : detail::cell_style(x, largest), colour);
      }
      out += "\n";
    }
    if (not under_columns) out += std::string(margin + 1, ' ') + detail::numbers_line(first, last) + "\n";
  }
  if (under_columns) return out + std::string(margin + 1, ' ') + names + scale;
  return out + detail::numbered_names(map, margin + 2, static_cast<std::size_t>(std::max(width, 1))) +
         std::string(margin + 2, ' ') + (scale + 3);
}

/// The maps of a group, on one scale, each after an empty line.
inline std::string text_of(const map_group& group, bool colour = false, int width = 100) {
  const double reach = group.reach();
  std::string text;
  for (heat_map map : group.maps) {
    map.reach = reach;
    text += "\n" + text_of(map, colour, width);
  }
  return text;
}

}  // namespace trimtab::report
