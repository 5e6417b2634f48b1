// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

/// Text for pages and pictures. Prompts and tokens may hold anything: `<script>`, line feeds, half a character, marks
/// that change the direction of writing. `visible` makes such text legible; markup is made only by `element`, which
/// escapes attributes, and `element_of_text`, which escapes the text too.

namespace trimtab::report {

namespace detail {

/// The code point of a well-formed character.
inline char32_t code_point(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(character[i])); };
  char32_t point = character.size() == 1   ? byte(0)
                   : character.size() == 2 ? byte(0) & 0x1F
                   : character.size() == 3 ? byte(0) & 0x0F
                                           : byte(0) & 0x07;
  for (std::size_t i = 1; i < character.size(); ++i) point = point << 6 | (byte(i) & 0x3F);
  return point;
}

/// Characters that draw nothing or rearrange what stands around them.
constexpr bool is_unseen(char32_t c) {
  return (c >= 0x80 and c <= 0xA0) or c == 0xAD or c == 0x61C or (c >= 0x2000 and c <= 0x200F) or
         (c >= 0x2028 and c <= 0x202F) or (c >= 0x205F and c <= 0x206F) or c == 0x3000 or c == 0xFEFF;
}

/// A control character by its picture, U+2400 and following.
inline std::string picture_of(char c) {
  const unsigned number = c == 0x7F ? 0x21U : static_cast<unsigned char>(c);
  return {'\xE2', '\x90', static_cast<char>(0x80U | number)};
}

/// Calls `f` with every character; ill-formed pieces come as U+FFFD.
template <typename F>
void each_character(std::string_view bytes, F f) {
  while (not bytes.empty()) {
    const text::utf8_step step = text::first_utf8_step(bytes);
    f(step.valid ? bytes.substr(0, step.length) : std::string_view("\xEF\xBF\xBD"));
    bytes.remove_prefix(step.length);
  }
}

constexpr bool is_control(char c) { return (c >= 0 and c < 0x20) or c == 0x7F; }

}  // namespace detail

/// A token with every character visible: a space is ␣, a line feed ↵, and one without a picture its code point.
inline std::string visible(std::string_view token) {
  std::string out;
  detail::each_character(token, [&](std::string_view c) {
    char name[16];
    const char32_t point = detail::code_point(c);
    if (c == " ")
      out += "\xE2\x90\xA3";
    else if (c == "\n")
      out += "\xE2\x86\xB5";
    else if (c == "\t")
      out += "\xE2\x87\xA5";
    else if (detail::is_control(c[0]))
      out += detail::picture_of(c[0]);
    else if (detail::is_unseen(point))
      out.append(name,
                 static_cast<std::size_t>(std::snprintf(name, sizeof name, "[U+%04X]", static_cast<unsigned>(point))));
    else
      out += c;
  });
  return out.empty() ? "\xE2\x88\x85" : out;
}

/// Text in HTML or XML, as content or in an attribute. Lines stay lines.
inline std::string escaped(std::string_view text) {
  std::string out;
  detail::each_character(text, [&](std::string_view c) {
    switch (c[0]) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      case '\n': out += c; break;
      default: out += detail::is_control(c[0]) ? detail::picture_of(c[0]) : std::string(c);
    }
  });
  return out;
}

struct attribute {
  std::string name;
  std::string value;
};

/// How many characters UTF-8 text has.
inline std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// An element around markup.
inline std::string element(const std::string& name, const std::vector<attribute>& attributes,
                           const std::string& markup = {}) {
  std::string out = "<" + name;
  for (const auto& [key, value] : attributes) out += " " + key + "=\"" + escaped(value) + "\"";
  return out + ">" + markup + "</" + name + ">";
}

/// An element around text.
inline std::string element_of_text(const std::string& name, const std::string& text,
                                   const std::vector<attribute>& attributes = {}) {
  return element(name, attributes, escaped(text));
}

/// A number in full: the shortest digits that read back to it.
inline std::string exact(double x) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, x).ptr};
}

/// A number for people, with about three digits and a typographic minus; `signed_` also shows a plus.
inline std::string readable(double x, bool signed_ = false) {
  if (x == 0) return "0";
  const double size = std::abs(x);
  char digits[64];
  if (size >= 1e5 or size < 1e-3)
    std::snprintf(digits, sizeof digits, "%.1e", size);
  else
    std::snprintf(digits, sizeof digits, "%.*f", size < 0.1 ? 3 : size < 10 ? 2 : size < 100 ? 1 : 0, size);
  return (x < 0 ? "\xE2\x88\x92" : signed_ ? "+" : "") + std::string(digits);
}

/// "1 place", "2 places".
inline std::string counted(std::size_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

/// Digits as a table shows them: with a minus that is as wide as a digit.
inline std::string with_minus(const std::string& digits) {
  return digits.starts_with('-') and digits.size() > 1 ? "\xE2\x88\x92" + digits.substr(1) : digits;
}

/// A strength, "β = −1".
inline std::string beta_text(double beta) {
  return "β = " + (beta == 0 ? "0" : (beta > 0 ? "+" : "") + with_minus(exact(beta)));
}

}  // namespace trimtab::report
