// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/report/text.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Texts beside each other in a terminal.

namespace trimtab::report {

/// Text that a terminal shows but does not obey: control characters become U+FFFD, except line feeds and tabs.
inline std::string for_terminal(std::string_view text) {
  std::string shown;
  detail::each_character(text, [&](std::string_view c) {
    shown += c != "\n" and c != "\t" and text::is_control(c) ? std::string_view("\xEF\xBF\xBD") : c;
  });
  return shown;
}

/// The lines of a text, broken between words so that none has more than `width` characters; only a longer word is
/// broken inside.
inline std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines{""};
  std::string word;
  const auto end_word = [&] {
    if (characters(lines.back()) + characters(word) > width and not lines.back().empty()) {
      lines.back().resize(lines.back().find_last_not_of(' ') + 1);
      lines.emplace_back();
      word.erase(0, word.find_first_not_of(' '));
    }
    detail::each_character(std::exchange(word, {}), [&](std::string_view c) {
      if (characters(lines.back()) == width) lines.emplace_back();
      lines.back() += c;
    });
  };
  detail::each_character(text, [&](std::string_view c) {
    if (c == " " or c == "\n") end_word();
    if (c == "\n")
      lines.emplace_back();
    else
      word += c == "\t" ? std::string_view(" ") : c;
  });
  end_word();
  return lines;
}

/// Texts under titles, one column each, in `width` characters; a column has at least 16.
inline std::string side_by_side(const std::vector<std::string>& titles, const std::vector<std::string>& texts,
                                std::size_t width) {
  constexpr std::size_t gap = 2, least = 16;
  const std::size_t column = std::max(least, (width + gap) / std::max<std::size_t>(1, texts.size()) - gap);
  std::vector<std::vector<std::string>> cells;
  std::size_t height = 0;
  for (std::size_t n = 0; n < texts.size(); ++n) {
    cells.push_back(wrapped(titles[n], column));
    for (std::string& line : wrapped(for_terminal(texts[n]), column)) cells.back().push_back(std::move(line));
    height = std::max(height, cells.back().size());
  }
  std::string out;
  for (std::size_t row = 0; row < height; ++row) {
    std::string line;
    for (std::size_t n = 0; n < cells.size(); ++n) {
      const std::string cell = row < cells[n].size() ? cells[n][row] : "";
      line += cell + std::string(column - characters(cell) + gap, ' ');
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace trimtab::report
