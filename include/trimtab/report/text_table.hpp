// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/text.hpp>

#include <cstddef>
#include <string>
#include <vector>

/// A table of text in HTML, in a frame that scrolls where the page is too narrow.

namespace trimtab::report {

/// Rows of text under a header; the first column names the row.
struct text_table {
  std::vector<std::string> header = {};
  std::vector<std::vector<std::string>> rows = {};
};

inline std::string html_of(const text_table& table) {
  std::string header, rows;
  for (const std::string& cell : table.header) header += element_of_text("th", cell, {{"scope", "col"}});
  for (const auto& row : table.rows) {
    std::string cells;
    for (std::size_t c = 0; c < row.size(); ++c)
      cells += c == 0 ? element_of_text("th", row[c], {{"scope", "row"}}) : element_of_text("td", row[c]);
    rows += element("tr", {}, cells) + "\n";
  }
  return element("div", {{"class", "scroll"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", "table"}},
                 element("table", {{"class", "figures"}},
                         element("thead", {}, element("tr", {}, header)) + element("tbody", {}, "\n" + rows)));
}

}  // namespace trimtab::report
