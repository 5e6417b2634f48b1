// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// The names through which a row function accesses its operands. A name is a type, so that a wrong one does not
/// compile, and carries its text for files and messages: `per_row<"alpha">` is one number for the whole row,
/// `per_channel<"gain">` one for each channel. `per_row<"a", 4>` is four numbers, and
/// `per_channel<"w", 4>` a matrix [4, channels].

namespace trimtab {

/// Text as a template argument, at most 32 characters. They are packed into numbers because nvcc 13 cannot name a
/// kernel that has an array in its template arguments.
template <std::size_t N>
struct fixed_string {
  std::uint64_t first = 0, second = 0, third = 0, fourth = 0;

  constexpr fixed_string(const char (&literal)[N]) {
    static_assert(N <= 33, "a name has at most 32 characters");
    for (std::size_t i = 0; i + 1 < N; ++i)
      word(*this, i) |= std::uint64_t{static_cast<unsigned char>(literal[i])} << i % 8 * 8;
  }
  constexpr fixed_string(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d)
      : first(a), second(b), third(c), fourth(d) {}

  constexpr std::array<char, N> characters() const {
    std::array<char, N> all{};
    for (std::size_t i = 0; i + 1 < N; ++i) all[i] = static_cast<char>(word(*this, i) >> i % 8 * 8 & 0xff);
    return all;
  }

 private:
  static constexpr auto& word(auto& text, std::size_t i) {
    return i < 8 ? text.first : i < 16 ? text.second : i < 24 ? text.third : text.fourth;
  }
};

namespace detail {
template <fixed_string Text>
inline constexpr auto name_characters = Text.characters();
template <fixed_string Text>
inline constexpr std::string_view name_text{name_characters<Text>.data(), name_characters<Text>.size() - 1};
}  // namespace detail

/// One number per row, read as `r(name)`, or `Count` of them, read as `r(name, k)`.
template <fixed_string Text, int Count = 1>
struct per_row {
  static_assert(Count >= 1, "per_row needs a Count of at least 1");
  static constexpr std::string_view text = detail::name_text<Text>;
  static constexpr bool is_per_channel = false;
  static constexpr int count = Count;
};

/// One number per channel, read as `r(name, j)`, or a matrix of `Count` rows, read as `r(name, k, j)`.
template <fixed_string Text, int Count = 1>
struct per_channel {
  static_assert(Count >= 1, "per_channel needs a Count of at least 1");
  static constexpr std::string_view text = detail::name_text<Text>;
  static constexpr bool is_per_channel = true;
  static constexpr int count = Count;
};

/// The gradient of `Name`, accessed as `r.d(name)` or `r.d(name, j)`.
template <typename Name>
struct gradient_of {};

/// The k-th scratch row of a row function that declares `static constexpr int scratch_rows`.
template <int K>
struct scratch_row {};

/// The names that every row function may use, each with a short spelling in `row_vocabulary`.
namespace name {
inline constexpr per_channel<"h"> h{};                  ///< input activations or logits
inline constexpr per_channel<"out"> out{};              ///< output activations
inline constexpr per_channel<"reference"> reference{};  ///< the untouched model's logits for the same prompt
inline constexpr per_row<"beta"> beta{};                ///< strength and direction of the intervention
inline constexpr per_row<"correct"> correct{};          ///< id of the correct token
inline constexpr per_row<"wrong"> wrong{};              ///< id of the wrong token
inline constexpr per_row<"value"> value{};              ///< the objective term's value for the row
}  // namespace name

}  // namespace trimtab
