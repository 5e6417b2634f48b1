// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>

#include <cstddef>
#include <string>
#include <string_view>

/// UTF-8 as Unicode defines it (table 3-7 of the standard): no overlong forms, no surrogates, nothing above U+10FFFF.
/// Ill-formed bytes come in "maximal subparts", each of which Python, Rust and browsers replace by one U+FFFD.

namespace trimtab::text {

/// One step through UTF-8: a whole character or, if not `valid`, the maximal subpart of an ill-formed one.
struct utf8_step {
  std::size_t length = 0;
  bool valid = false;
};

/// The character, or the ill-formed piece, at the beginning of `bytes`, which must not be empty.
constexpr utf8_step first_utf8_step(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto lead = byte(0);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 or lead > 0xF4) return {1, false};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // Only the second byte's range depends on the lead: it keeps out overlong forms, surrogates and too large values.
  const auto low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const auto high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i) {
    const auto in_range = i < bytes.size() and (i == 1 ? byte(i) >= low and byte(i) <= high : (byte(i) & 0xC0) == 0x80);
    if (not in_range) return {i, false};
  }
  return {length, true};
}

/// Whether UTF-8 text can contain this byte at all: 13 of the 256 values never occur.
constexpr bool occurs_in_utf8(unsigned char byte) { return byte != 0xC0 and byte != 0xC1 and byte <= 0xF4; }

/// Throws `bad_text`, with the offset of the first bad byte, unless `text` is UTF-8.
inline void require_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto step = first_utf8_step(text.substr(at));
    if (not step.valid)
      throw error(error_kind::bad_text,
                  "the text is not valid UTF-8 at byte " + std::to_string(at) + "; convert it to UTF-8 first");
    at += step.length;
  }
}

/// The bytes as UTF-8 text, every ill-formed piece replaced by U+FFFD.
inline std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (not bytes.empty()) {
    const auto step = first_utf8_step(bytes);
    text += step.valid ? bytes.substr(0, step.length) : std::string_view("\xEF\xBF\xBD");
    bytes.remove_prefix(step.length);
  }
  return text;
}

/// Whether a character is one of the controls C0 (below U+0020), DEL or C1 (U+0080 to U+009F), which end a line or
/// control a terminal instead of being shown.
constexpr bool is_control(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  const auto is_c1 = lead == 0xC2 and character.size() == 2 and static_cast<unsigned char>(character[1]) < 0xA0;
  return lead < 0x20 or lead == 0x7F or is_c1;
}

constexpr bool has_control(std::string_view text) {
  while (not text.empty()) {
    const auto character = text.substr(0, first_utf8_step(text).length);
    if (is_control(character)) return true;
    text.remove_prefix(character.size());
  }
  return false;
}

namespace detail {

/// Moves characters from `bytes` to `shown` until it has `size` bytes; controls and ill-formed ones become U+FFFD.
inline void show(std::string_view& bytes, std::string& shown, std::size_t size) {
  while (not bytes.empty() and shown.size() < size) {
    const auto step = first_utf8_step(bytes);
    const auto character = bytes.substr(0, step.length);
    shown += is_control(character) or not step.valid ? std::string_view("\xEF\xBF\xBD") : character;
    bytes.remove_prefix(step.length);
  }
}

}  // namespace detail

/// Any text, made safe to show as one line in a terminal.
inline std::string one_line(std::string_view bytes) {
  std::string shown;
  detail::show(bytes, shown, std::string::npos);
  return shown;
}

/// Untrusted text for an error message: in quotes, one line, cut after about 60 bytes.
inline std::string in_quotes(std::string_view bytes, char mark = '"') {
  std::string shown(1, mark);
  detail::show(bytes, shown, 60);
  return shown + (bytes.empty() ? "" : "...") + mark;
}

}  // namespace trimtab::text
