// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

/// The names by which a row function calls what it sees. A name is a type, so that a wrong one does not compile, and
/// carries its text, so that files and messages can show it: `per_row<"alpha">` is one number for a whole row,
/// `per_channel<"gain">` one number for each channel of it.

namespace trimtab {

/// Text as a template argument.
template <std::size_t N>
struct fixed_string {
  char text[N] = {};

  constexpr fixed_string(char const (&literal)[N]) { std::copy_n(literal, N, text); }
  constexpr operator std::string_view() const { return {text, N - 1}; }
};

/// One number a row, read as `r(name)`.
template <fixed_string Text>
struct per_row {
  static constexpr std::string_view text = Text;
  static constexpr bool is_per_channel = false;
};

/// One number a channel, read as `r(name, j)`.
template <fixed_string Text>
struct per_channel {
  static constexpr std::string_view text = Text;
  static constexpr bool is_per_channel = true;
};

/// The gradient of what `Name` names, reached as `r.d(name)` or `r.d(name, j)`.
template <typename Name>
struct gradient_of {};

/// The k-th row of memory that a row function asked for by `static constexpr int scratch_rows`.
template <int K>
struct scratch_row {};

/// The names that every row function may use, each with a short spelling in `row_vocabulary`.
namespace name {
inline constexpr per_channel<"h"> h{};                  ///< the activations, or logits, that come in
inline constexpr per_channel<"out"> out{};              ///< what goes out
inline constexpr per_channel<"reference"> reference{};  ///< the untouched model's logits for the same prompt
inline constexpr per_row<"beta"> beta{};                ///< strength and direction of the intervention
inline constexpr per_row<"correct"> correct{};          ///< id of the correct token
inline constexpr per_row<"wrong"> wrong{};              ///< id of the wrong token
inline constexpr per_row<"value"> value{};              ///< what a term of the objective gives for the row
}  // namespace name

}  // namespace trimtab
