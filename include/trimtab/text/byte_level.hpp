// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/text/utf8.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// GPT-2's spelling of bytes as visible characters ("byte level"), so that a vocabulary of byte strings can be written
/// as text. A byte that Latin-1 shows as a visible character stands for itself; the other 68 become U+0100, U+0101, ...
/// in order. A space is "Ġ" (U+0120), a line feed "Ċ" (U+010A). From `bytes_to_unicode` of OpenAI's GPT-2 code.

namespace trimtab::text {

namespace detail {

constexpr bool is_visible_latin1(unsigned byte) {
  return (byte >= 0x21 and byte <= 0x7E) or (byte >= 0xA1 and byte <= 0xAC) or byte >= 0xAE;
}

/// The code point for each byte.
constexpr std::array<unsigned, 256> byte_level_code_points = [] {
  std::array<unsigned, 256> table{};
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) table[byte] = is_visible_latin1(byte) ? byte : next++;
  return table;
}();

constexpr unsigned byte_level_end = 0x144;

/// The byte for each code point below `byte_level_end`, or -1.
constexpr std::array<int, byte_level_end> byte_level_bytes = [] {
  std::array<int, byte_level_end> table{};
  table.fill(-1);
  for (unsigned byte = 0; byte < 256; ++byte) table[byte_level_code_points[byte]] = static_cast<int>(byte);
  return table;
}();

}  // namespace detail

/// The character, in UTF-8, that stands for `byte` in a vocabulary.
inline std::string byte_level_symbol(unsigned char byte) {
  const auto code_point = detail::byte_level_code_points[byte];
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xC0 | (code_point >> 6)), static_cast<char>(0x80 | (code_point & 0x3F))};
}

/// The bytes that a token of a vocabulary stands for; nothing if a character of it stands for no byte.
inline std::optional<std::string> from_byte_level(std::string_view token) {
  std::string bytes;
  while (not token.empty()) {
    const auto step = first_utf8_step(token);
    if (not step.valid or step.length > 2) return std::nullopt;
    const auto unit = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(token[i])); };
    const auto code_point = step.length == 1 ? unit(0) : (unit(0) & 0x1F) << 6 | (unit(1) & 0x3F);
    if (code_point >= detail::byte_level_end or detail::byte_level_bytes[code_point] < 0) return std::nullopt;
    bytes += static_cast<char>(detail::byte_level_bytes[code_point]);
    token.remove_prefix(step.length);
  }
  return bytes;
}

}  // namespace trimtab::text
