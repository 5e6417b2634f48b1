// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/picture/palette.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

/// Heat maps as HTML tables, so that screen readers, searching and copying find the numbers. Each cell has its exact
/// value; the page's script lets arrow keys move from cell to cell. Colours are classes: n10 … n1, z, p1 … p10.

namespace trimtab::report {

/// Where there is little room, cells are colours without numbers.
enum class cell_size { usual, small };

namespace detail {

/// A number that fits into a cell; `signed_` also shows a plus.
inline std::string short_number(double x, bool signed_) {
  const double size = std::abs(x);
  char digits[64];
  if (size >= 9999.5)
    std::snprintf(digits, sizeof digits, "%.0e", size);
  else
    std::snprintf(digits, sizeof digits, "%.*f", size < 9.995 ? 2 : size < 99.95 ? 1 : 0, size);
  return (x < 0 ? "\xE2\x88\x92" : signed_ ? "+" : "") + std::string(digits);
}

inline std::string class_of(double x, double centre, double reach) {
  if (std::isnan(x)) return "none";
  const int step = step_of(x - centre, reach);
  return step == 0 ? "z" : (step < 0 ? "n" : "p") + std::to_string(std::abs(step));
}

inline std::string value_text(double x) { return std::isnan(x) ? "nothing measured" : with_minus(exact(x)); }

/// How the cells of a map look.
struct cell_look {
  double reach = 0;        ///< where its colours end
  bool is_signed = false;  ///< positive numbers have a plus
  cell_size size = cell_size::usual;
};

inline std::string cell(const heat_map& map, std::size_t r, std::size_t c, const cell_look& look) {
  const double x = map.values[r][c];
  const bool is_number = not std::isnan(x), at_centre = x == map.centre;
  const std::string word = map.words.empty() ? "" : map.words[r][c];
  const std::string where =
      map.row_kind + " " + map.rows[r] + ", " + map.columns[c] + (word.empty() ? "" : ", " + word);
  std::vector<attribute> attributes{{"class", class_of(x, map.centre, look.reach)},
                                    {"tabindex", r + 1 == map.rows.size() and c == 0 ? "0" : "-1"},
                                    {"data-row", map.rows[r]},
                                    {"data-place", std::to_string(map.place(c))}};
  if (is_number) attributes.push_back({"data-value", exact(x)});
  attributes.push_back({"title", where + ": " + (at_centre ? "exactly " : "") + value_text(x)});
  if (not word.empty()) return element("td", attributes, element_of_text("span", word, {{"class", "word"}}));
  if (is_number and not at_centre and look.size == cell_size::usual)
    return element("td", attributes, short_number(x, look.is_signed));
  return element("td", attributes, element_of_text("span", is_number ? exact(x) : "none", {{"class", "unseen"}}));
}

inline std::string table_of(const heat_map& map, const std::string& quantity, const cell_look& look, bool continued) {
  std::string rows, tokens = element_of_text("td", map.row_kind, {{"class", "corner"}});
  for (std::size_t r = map.rows.size(); r-- > 0;) {
    std::string cells = element_of_text("th", map.rows[r], {{"scope", "row"}});
    for (std::size_t c = 0; c < map.columns.size(); ++c) cells += cell(map, r, c, look);
    rows += element("tr", {}, cells) + "\n";
  }
  for (const std::string& column : map.columns)
    tokens += element("th", {{"scope", "col"}}, element_of_text("span", column));
  std::vector<attribute> attributes{
      {"class", look.size == cell_size::small and map.words.empty() ? "heat small" : "heat"},
      {"data-site", map.title},
      {"data-quantity", quantity},
      {"aria-label", quantity + " at " + map.title + ", " + map.row_kind + "s upward, tokens along"}};
  if (continued) attributes.push_back({"data-continued", "true"});
  return element("table", attributes,
                 element("tbody", {}, "\n" + rows) + element("tfoot", {}, element("tr", {}, tokens)));
}

/// Maps of more columns are cut into pieces that flow into rows as wide as the page.
inline constexpr std::size_t whole_columns = 24, piece_columns = 16;

/// A map whole or in pieces. Pieces that hold nothing but the centre are folded away, so that a map opens where there
/// is something to see.
inline std::string tables_of(const heat_map& map, const std::string& quantity, const cell_look& look) {
  if (map.columns.size() <= whole_columns) return table_of(map, quantity, look, false);
  const auto is_empty = [&](const heat_map& piece) {
    bool empty = true;
    piece.each_number([&](double x) { empty = empty and (std::isnan(x) or x == piece.centre); });
    return empty;
  };
  const std::vector<heat_map> pieces = pieces_of(map, piece_columns);
  const bool folds = not std::ranges::all_of(pieces, is_empty);
  std::string out;
  for (std::size_t k = 0; k < pieces.size(); ++k) {
    const std::string table = table_of(pieces[k], quantity, look, k > 0);
    const std::size_t last = k * piece_columns + pieces[k].columns.size() - 1;
    out += folds and is_empty(pieces[k])
               ? element("details", {},
                         element_of_text("summary", "columns " + std::to_string(k * piece_columns) + " to " +
                                                        std::to_string(last) + ": exactly " + exact(map.centre)) +
                             table)
               : element("div", {{"class", "scroll"}}, table);
  }
  return element("div", {{"class", "pieces"}}, out);
}

inline std::string legend_of(const map_group& group) {
  const double centre = group.centre(), reach = group.maps.empty() ? 0 : group.reach_of(group.maps.front());
  const bool one_scale = group.has_one_scale();
  bool gaps = false, negative = false, positive = false;
  group.each_number([&](double x) {
    gaps = gaps or std::isnan(x);
    negative = negative or x < centre;
    positive = positive or x > centre;
  });
  const auto swatches = [](const std::string& sign, int from, int to) {
    std::string out;
    for (int step = from; step != to; step += from < to ? 1 : -1)
      out += element("i", {{"class", sign + std::to_string(step)}});
    return out;
  };
  std::string out;
  if (negative)
    out += element_of_text("span", one_scale ? readable(centre - reach) : "\xE2\x88\x92largest") +
           element("span", {{"class", "ramp"}}, swatches("n", shades, 0));
  out += element("span", {{"class", "ramp"}}, element("i", {{"class", "z"}})) +
         element_of_text("span", "exactly " + exact(centre));
  if (positive)
    out += element("span", {{"class", "ramp"}}, swatches("p", 1, shades + 1)) +
           element_of_text("span", one_scale ? readable(centre + reach, group.has_negative()) : "+largest");
  if (gaps)
    out += element("span", {{"class", "ramp"}}, element("i", {{"class", "none"}})) +
           element_of_text("span", "not measured");
  const auto named = [&](auto how) {
    return std::ranges::any_of(group.maps, [&](const heat_map& map) { return std::ranges::any_of(map.columns, how); });
  };
  if (named([](const std::string& c) { return c.starts_with("[") and c.ends_with("]"); }))
    out += element_of_text("span", "[role] that all prompts have there");
  if (named([](const std::string& c) { return not c.starts_with("[") and c.ends_with(" %]"); }))
    out += element_of_text("span", "position [share of the prompts with each role there]");
  return element("p", {{"class", "legend"}}, out);
}

}  // namespace detail

/// The maps of a group side by side, with one legend.
inline std::string html_of(const map_group& group, cell_size size = cell_size::usual) {
  std::string maps;
  const bool one_scale = group.has_one_scale();
  for (const heat_map& map : group.maps) {
    const double reach = group.reach_of(map);
    maps += element(
        "figure", {{"class", "map"}},
        element_of_text("figcaption", map.title + (one_scale ? "" : ", largest " + readable(reach))) +
            element("div",
                    {{"class", "scroll"}, {"role", "region"}, {"aria-label", group.quantity + " at " + map.title}},
                    detail::tables_of(map, group.quantity, {reach, group.has_negative(), size})) +
            element("p", {{"class", "readout"}, {"aria-live", "polite"}}));
  }
  return element("section", {{"class", "maps"}},
                 element_of_text("h4", group.title) + element_of_text("p", group.note, {{"class", "note"}}) +
                     element("div", {{"class", "row"}}, maps) + detail::legend_of(group)) +
         "\n";
}

}  // namespace trimtab::report
