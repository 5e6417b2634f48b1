// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

/// Merges of byte pairs as text: "left right", one per line, in `merges.txt` and `vocab.bpe`.

namespace trimtab::io {

/// The two tokens of `merge`. Throws `bad_file`, naming `file` and `where`, unless there are two.
inline std::pair<std::string, std::string> merge_of(std::string_view merge, const std::string& file,
                                                    const std::string& where) {
  const auto space = merge.find(' ');
  if (space == 0 or space >= merge.size() - 1 or merge.find(' ', space + 1) != merge.npos)
    throw error(error_kind::bad_file, "'" + file + "': " + where +
                                          " should be two tokens with a space between them, found " +
                                          text::in_quotes(merge));
  return {std::string(merge.substr(0, space)), std::string(merge.substr(space + 1))};
}

/// Throws `bad_file`, naming `file`, if a merge stands there twice: its rank would be unclear.
inline void require_distinct(const std::vector<std::pair<std::string, std::string>>& merges, const std::string& file) {
  std::unordered_map<std::string_view, std::unordered_map<std::string_view, std::size_t>> known;  // left, right
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const auto [first, is_new] = known[merges[i].first].emplace(merges[i].second, i);
    if (not is_new)
      throw error(error_kind::bad_file, "'" + file + "': merge " + std::to_string(i + 1) + " (" +
                                            text::in_quotes(merges[i].first) + " and " +
                                            text::in_quotes(merges[i].second) + ") is merge " +
                                            std::to_string(first->second + 1) + " again; remove one of them");
  }
}

/// The merges in `lines`, after a byte order mark if there is one. Only the first line can be a comment: GPT-2 has
/// merges of "#" signs.
inline std::vector<std::pair<std::string, std::string>> merges_of(std::string_view lines, const std::string& file) {
  std::vector<std::pair<std::string, std::string>> merges;
  if (const std::string_view mark = "\xEF\xBB\xBF"; lines.starts_with(mark)) lines.remove_prefix(mark.size());
  for (std::size_t number = 1; not lines.empty(); ++number) {
    const auto end = std::min(lines.find('\n'), lines.size());
    auto line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find('\r') != line.npos)
      throw error(error_kind::bad_file, "'" + file + "': line " + std::to_string(number) +
                                            " holds a carriage return; expected lines that end in \\n or \\r\\n");
    const auto is_comment = number == 1 and line.starts_with("#version");
    if (not is_comment and not line.empty()) merges.push_back(merge_of(line, file, "line " + std::to_string(number)));
  }
  require_distinct(merges, file);
  return merges;
}

}  // namespace trimtab::io
