// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/train/fitted.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

/// Where in the model the answer is decided: one number for each layer and place of a site, layers upward and tokens
/// along, on a diverging scale that is centred at zero. For a policy with one number a place it is that number; else
/// the Euclidean norm of the record. A place that the proximal step set to exactly zero is shown empty, so that "small"
/// and "none" look different.

namespace trimtab::report {

struct heat_map {
  std::string title = {};
  std::vector<std::string> rows = {};     ///< the lowest layer first
  std::vector<std::string> columns = {};  ///< the tokens, or what else the places are
  std::vector<std::vector<double>> values = {};  ///< [row][column]
};

/// What the places of a position key are called without a prompt at hand.
inline std::vector<std::string> names_of(position_key const& key) {
  std::vector<std::string> names;
  for (index_t i = 0; i < key.count(); ++i) {
    const std::string number = std::to_string(i);
    switch (key.by()) {
      case position_key::kind::absolute: names.push_back(number); break;
      case position_key::kind::from_end: names.push_back(i == 0 ? "end" : "end-" + number); break;
      case position_key::kind::role: names.push_back(key.roles()[static_cast<std::size_t>(i)]); break;
      case position_key::kind::shared: names.push_back("all tokens"); break;
    }
  }
  return names;
}

/// The map of one intervention; `places` names its positions (tokens of a prompt, roles), or is empty for their names
/// by key.
inline heat_map map_of(parameters const& p, parameter_block const& block, std::vector<std::string> places = {}) {
  heat_map map{block.site, {}, std::move(places), {}};
  const index_t count = block.positions.count();
  if (static_cast<index_t>(map.columns.size()) != count) map.columns = names_of(block.positions);
  for (std::size_t k = 0; k < block.layers.size(); ++k)
    for (index_t part = 0; part < block.parts; ++part) {
      map.rows.push_back(std::to_string(block.layers[k]) + (block.parts > 1 ? "." + std::to_string(part) : ""));
      std::vector<double>& row = map.values.emplace_back();
      for (index_t i = 0; i < count; ++i) {
        const auto record = p.record(block, static_cast<index_t>(k), i, part);
        double square = 0;
        for (double x : record) square += x * x;
        row.push_back(record.size() == 1 ? record[0] : std::sqrt(square));
      }
    }
  return map;
}

/// Text as HTML shows it.
inline std::string escaped(std::string const& text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

/// A token as HTML shows it, with its white space to be seen: a leading space stays, a line feed becomes an arrow.
inline std::string escaped_token(std::string const& token) {
  std::string out;
  for (char c : escaped(token)) {
    if (c == ' ')
      out += "\xC2\xA0";
    else if (c == '\n')
      out += "\xE2\x86\xB5";
    else
      out += c;
  }
  return out;
}

/// The map as an HTML table whose cells are coloured, with exact values on hover.
inline std::string html_of(heat_map const& map) {
  double largest = 0;
  for (auto const& row : map.values)
    for (double x : row) largest = std::max(largest, std::abs(x));
  char cell[256];
  std::string out = "<figure><figcaption>" + escaped(map.title) + "</figcaption><table class=\"map\">\n";
  for (std::size_t r = map.rows.size(); r-- > 0;) {
    out += "<tr><th scope=\"row\">" + map.rows[r] + "</th>";
    for (std::size_t c = 0; c < map.columns.size(); ++c) {
      const double x = map.values[r][c];
      const std::string title = "layer " + map.rows[r] + ", " + escaped_token(map.columns[c]);
      if (x == 0) {
        out += "<td class=\"zero\" title=\"" + title + ": exactly 0\">\xC2\xB7</td>";
        continue;
      }
      const double strength = std::abs(x) / largest;
      std::snprintf(cell, sizeof cell, "<td class=\"%s\" style=\"--s:%.3f\" title=\"%s: %.9g\">%.2f</td>",
                    x > 0 ? "up" : "down", strength, "%", x, x);
      std::string filled = cell;
      filled.replace(filled.find("\"%:") + 1, 1, title);
      out += filled;
    }
    out += "</tr>\n";
  }
  out += "<tr><th></th>";
  for (std::string const& token : map.columns) out += "<th scope=\"col\">" + escaped_token(token) + "</th>";
  std::snprintf(cell, sizeof cell,
                "</tr></table><p class=\"scale\">blue %.3g, white 0, red %.3g; a dot is exactly 0</p></figure>\n",
                -largest, largest);
  return out + cell;
}

/// A page that needs nothing but itself.
inline std::string html_page(std::string const& title, std::string const& body) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escaped(title) +
         R"(</title><meta name="viewport" content="width=device-width">
<style>
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
figure { margin: 1rem 0; overflow-x: auto; }
figcaption { font-weight: 600; }
table.map { border-collapse: collapse; }
table.map td { width: 3.2em; height: 2em; text-align: center; font-size: .8em; border: 1px solid Canvas; }
table.map th { font-weight: 400; padding: 0 .4em; font-size: .85em; }
td.up { background: color-mix(in srgb, #c0392b calc(var(--s) * 100%), Canvas); }
td.down { background: color-mix(in srgb, #2468b0 calc(var(--s) * 100%), Canvas); }
td.zero { color: GrayText; }
.scale { font-size: .8em; color: GrayText; margin: .2em 0; }
pre { overflow-x: auto; }
</style></head><body>
<h1>)" + escaped(title) + "</h1>\n" + body + "</body></html>\n";
}

}  // namespace trimtab::report
