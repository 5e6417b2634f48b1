// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>
#include <string>
#include <string_view>

/// Random text over all of Unicode, in UTF-8.

namespace trimtab::test {

inline std::string utf8(char32_t c) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | (c >> 6)), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | (c >> 12)), tail(6), tail(0)};
  return {static_cast<char>(0xF0 | (c >> 18)), tail(12), tail(6), tail(0)};
}

/// A character of the first `limit` code points, without surrogates.
template <typename Generator>
char32_t random_character(Generator& generator, char32_t limit = 0x110000) {
  const auto c =
      static_cast<char32_t>(std::uniform_int_distribution<unsigned>(0, static_cast<unsigned>(limit) - 1)(generator));
  return c >= 0xD800 and c < 0xE000 ? c - 0x800 : c;
}

/// Up to `longest` draws: ASCII, white space and apostrophes, combining marks, and characters of every plane.
template <typename Generator>
std::string random_text(Generator& generator, int longest = 40) {
  using namespace std::string_view_literals;
  constexpr auto spaces = U"   \t\n\r\u0085\u00A0\u1680\u180E\u2003\u2028\u3000\u001C'"sv;
  std::string text;
  for (auto left = std::uniform_int_distribution<>(0, longest)(generator); left > 0; --left) {
    switch (std::uniform_int_distribution<>(0, 5)(generator)) {
      case 0: text += utf8(random_character(generator)); break;
      case 1: text += utf8(random_character(generator, 0x3000)); break;
      case 2: text += utf8(spaces[random_character(generator, static_cast<char32_t>(spaces.size()))]); break;
      case 3: text += utf8(0x300 + random_character(generator, 0x70)); break;
      default: text += utf8(random_character(generator, 0x80));
    }
  }
  return text;
}

}  // namespace trimtab::test
