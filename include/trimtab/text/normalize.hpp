// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

/// Unicode's normal form C: characters decomposed, combining marks put into canonical order, and composed again. The
/// tables are utf8proc's. Marks are sorted here, because utf8proc swaps neighbours, which takes minutes for a megabyte
/// of combining marks.

namespace trimtab::text {

namespace detail {

inline std::vector<utf8proc_int32_t> canonical_decomposition(std::string_view text) {
  std::vector<utf8proc_int32_t> code_points;
  code_points.reserve(text.size());
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (auto left = static_cast<utf8proc_ssize_t>(text.size()); left > 0;) {
    utf8proc_int32_t code_point = 0;
    const auto length = utf8proc_iterate(at, left, &code_point);
    if (length <= 0) throw error(error_kind::bad_text, "text to normalize is not valid UTF-8");
    std::array<utf8proc_int32_t, 8> parts{};  // the longest canonical decomposition has 4
    const auto count = utf8proc_decompose_char(code_point, parts.data(), static_cast<utf8proc_ssize_t>(parts.size()),
                                               UTF8PROC_DECOMPOSE, nullptr);
    code_points.insert(code_points.end(), parts.begin(), parts.begin() + count);
    at += length;
    left -= length;
  }
  return code_points;
}

/// Sorts every run of combining marks by class and keeps the order within a class.
inline void order_canonically(std::vector<utf8proc_int32_t>& code_points) {
  const auto combining_class = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  const auto is_mark = [&](utf8proc_int32_t c) { return combining_class(c) != 0; };
  for (auto begin = std::ranges::find_if(code_points, is_mark); begin != code_points.end();) {
    const auto end = std::find_if_not(begin, code_points.end(), is_mark);
    std::ranges::stable_sort(begin, end, {}, combining_class);
    begin = std::find_if(end, code_points.end(), is_mark);
  }
}

/// Composes canonically ordered code points. utf8proc mistakes U+11A7, the code point before Hangul's trailing
/// consonants, for one of them and drops it after a syllable. It composes with nothing, so the text before and after it
/// is composed separately.
inline void compose(std::vector<utf8proc_int32_t>& code_points) {
  auto done = code_points.begin();
  for (auto begin = done; begin != code_points.end();) {
    const auto end = std::find(begin, code_points.end(), 0x11A7);
    const auto count = utf8proc_normalize_utf32(&*begin, end - begin,
                                                static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    done = std::copy_n(begin, count, done);
    if (end == code_points.end()) break;
    *done++ = *end;
    begin = std::next(end);
  }
  code_points.erase(done, code_points.end());
}

}  // namespace detail

/// `text`, which must be valid UTF-8, in normal form C.
inline std::string nfc(std::string_view text) {
  // Characters below U+0300, the first combining mark, are their own normal form; they begin with a byte below 0xCC.
  if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0xCC; })) return std::string(text);
  auto code_points = detail::canonical_decomposition(text);
  detail::order_canonically(code_points);
  detail::compose(code_points);
  std::string composed;
  composed.reserve(text.size());
  for (const auto code_point : code_points) {
    std::array<utf8proc_uint8_t, 4> bytes{};
    const auto length = utf8proc_encode_char(code_point, bytes.data());
    composed.append(bytes.begin(), bytes.begin() + length);
  }
  return composed;
}

}  // namespace trimtab::text
