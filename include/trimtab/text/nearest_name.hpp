// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// The known name closest to a misspelled one, by the number of letters to insert, delete, replace or swap with their
/// neighbour (Damerau-Levenshtein distance, restricted: no pair is edited twice). Case, and `-` for `_`, cost nothing.
/// A name that differs in more than a third of its letters is not suggested.

namespace trimtab {

namespace detail {

inline constexpr std::size_t longest_guess = 64;  // a malformed file may hold a name of a megabyte

constexpr char plain_letter(char c) {
  if (c == '_') return '-';
  return 'A' <= c and c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// The edit distance of two texts of at most `longest_guess` bytes.
constexpr std::size_t edits_between(std::string_view a, std::string_view b) {
  using row = std::array<std::size_t, longest_guess + 1>;
  row before{}, last{}, now{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  const auto same = [&](std::size_t i, std::size_t j) { return plain_letter(a[i - 1]) == plain_letter(b[j - 1]); };
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same(i, j) ? 0 : 1)});
      if (i > 1 and j > 1 and same(i, j - 1) and same(i - 1, j)) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before = last;
    last = now;
  }
  return last[b.size()];
}

}  // namespace detail

/// The nearest of `names` (texts), the first of equals, or nothing where none is near.
template <typename Names>
constexpr std::optional<std::string_view> nearest_name(std::string_view wanted, const Names& names) {
  std::optional<std::string_view> nearest;
  std::size_t fewest = detail::longest_guess;
  for (const auto& one : names) {
    const std::string_view name = one;
    const std::size_t longer = std::max(wanted.size(), name.size());
    if (longer > detail::longest_guess) continue;
    const std::size_t edits = detail::edits_between(wanted, name);
    if (edits < fewest and 3 * edits <= longer) {
      nearest = name;
      fewest = edits;
    }
  }
  return nearest;
}

/// The end of an error message, "; did you mean 'attn_out'?", or nothing.
template <typename Names>
std::string did_you_mean(std::string_view wanted, const Names& names) {
  const auto name = nearest_name(wanted, names);
  return name ? "; did you mean '" + std::string(*name) + "'?" : "";
}

}  // namespace trimtab
