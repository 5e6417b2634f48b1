// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cmath>
#include <string>

/// A heat map in a terminal: a sign and a digit for each layer and place, 9 for the largest number of the map and 0 for
/// one that is nearly zero, a dot for exactly zero. Colours repeat what the characters say: red above zero, blue below.

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

}  // namespace detail

/// Layers upward, places along; if `width` columns are too few for all places, the last ones.
inline std::string text_of(const heat_map& map, bool colour = false, int width = 100) {
  double largest = 0;
  map.each_number([&](double x) {
    if (std::isfinite(x)) largest = std::max(largest, std::abs(x));
  });
  std::size_t margin = 0;
  for (const auto& row : map.rows) margin = std::max(margin, row.size());
  const std::size_t all = map.columns.size();
  const auto fit = static_cast<std::size_t>(std::max(1, (width - static_cast<int>(margin) - 1) / 3));
  const std::size_t first = all - std::min(all, fit);

  std::string out = styled(map.title, "1", colour) + "\n";
  for (std::size_t r = map.rows.size(); r-- > 0;) {
    out += std::string(margin - map.rows[r].size(), ' ') + map.rows[r] + " ";
    for (std::size_t c = first; c < all; ++c) {
      const double x = map.values[r][c];
      const auto cell = " " + detail::cell_text(x, largest);
      out += styled(cell, x == 0 or not std::isfinite(x) ? "2" : detail::cell_style(x, largest), colour);
    }
    out += "\n";
  }
  // Names are wider than columns; of many places only the first and the last are named.
  out += std::string(margin + 1, ' ');
  for (std::size_t c = first; c < all; ++c)
    if (all - first <= 6 or c == first or c + 1 == all)
      out += " " + text::one_line(map.columns[c]);  // a role or a token may hold what steers a terminal
    else if (c == first + 1)
      out += " \xE2\x80\xA6";
  out += first > 0 ? "  (the last " + std::to_string(all - first) + " of " + std::to_string(all) + ")" : "";
  char scale[96];
  std::snprintf(scale, sizeof scale, "   9 is %.3g, \xC2\xB7 is exactly 0\n", largest);
  return out + scale;
}

}  // namespace trimtab::report
