// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/names.hpp>

#include <cstddef>
#include <string_view>
#include <type_traits>

/// What a term reads of a prompt besides its two answers. A term names it, and every prompt pair then carries it, in
/// `tokens` and `numbers` under the same names:
///
///     struct keeps_third {
///       static constexpr prompt_token<"third"> third{};
///       static constexpr prompt_tokens<"rest"> rest{};
///       static constexpr prompt_data data{third, rest};
///       constexpr auto value(row auto& r) const { return r.h(r(third)) - r.h(r(rest, 0)); }
///       ...
///
/// `r(third)` is a token's id, `r(number)` a number, `r(rest, k)` the k-th token of a set and `r(rest.size)` how many it
/// has.

namespace trimtab {

/// One token.
template <fixed_string Text>
struct prompt_token {
  static constexpr std::string_view text = detail::name_text<Text>;
  static constexpr bool is_per_channel = false;
  static constexpr bool is_whole = true;  ///< an int, where `prompt_number` is a scalar
  static constexpr int count = 1;
};

/// One number.
template <fixed_string Text>
struct prompt_number {
  static constexpr std::string_view text = detail::name_text<Text>;
  static constexpr bool is_per_channel = false;
  static constexpr int count = 1;
};

/// How many tokens a set has.
template <fixed_string Text>
struct prompt_tokens_size {
  static constexpr std::string_view text = detail::name_text<Text>;
  static constexpr bool is_per_channel = false;
  static constexpr bool is_whole = true;
  static constexpr int count = 1;
};

/// Any number of tokens, at least one.
template <fixed_string Text>
struct prompt_tokens {
  static constexpr std::string_view text = detail::name_text<Text>;
  static constexpr bool is_per_channel = true;
  static constexpr bool is_indexed = true;  ///< by a number of its own and not by channels
  static constexpr bool is_whole = true;
  static constexpr int count = 1;
  static constexpr prompt_tokens_size<Text> size{};
};

/// What a term reads, in any order.
template <typename... Names>
struct prompt_data {
  constexpr prompt_data() = default;
  constexpr explicit prompt_data(Names...) requires(sizeof...(Names) > 0) {}
};

/// The list of a term, empty for one that reads the answers alone.
template <typename Term>
constexpr auto prompt_data_read_by() {
  if constexpr (requires { Term::data; })
    return std::remove_cvref_t<decltype(Term::data)>{};
  else
    return prompt_data<>{};
}

}  // namespace trimtab
