// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

/// A 64-bit, non-cryptographic hash of bytes, to tell one model's weights from another's. Like FNV-1a, but over words
/// of 8 bytes, and with a shift that mixes high bits into low ones:
///
///     h <- (h xor word) * 0x100000001b3,  h <- h xor (h >> 32)
///
/// Each part is followed by its length, so that ("ab", "c") and ("a", "bc") differ; the last word of a part is padded
/// with zeros. The value is part of saved files and must not change.

namespace trimtab {

class byte_hash {
 public:
  void add(std::span<const std::byte> part) {
    std::uint64_t word = 0;
    const auto whole = part.size() / sizeof word * sizeof word;
    for (std::size_t i = 0; i < whole; i += sizeof word) {
      std::memcpy(&word, part.data() + i, sizeof word);
      add_word(word);
    }
    if (const auto rest = part.subspan(whole); not rest.empty()) {
      word = 0;
      std::memcpy(&word, rest.data(), rest.size());
      add_word(word);
    }
    add_word(part.size());
  }
  void add(std::string_view text) { add(std::as_bytes(std::span(text.data(), text.size()))); }

  std::uint64_t value() const { return state_; }

  /// 16 hexadecimal digits.
  std::string text() const {
    std::string digits;
    for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789abcdef"[state_ >> shift & 15];
    return digits;
  }

 private:
  void add_word(std::uint64_t word) {
    state_ = (state_ ^ word) * 0x100000001b3u;
    state_ ^= state_ >> 32;
  }

  std::uint64_t state_ = 0xcbf29ce484222325u;
};

}  // namespace trimtab
