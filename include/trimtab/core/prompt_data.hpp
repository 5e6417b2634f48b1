// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/names.hpp>

#include <string_view>
#include <type_traits>

/// What a term reads from a prompt besides the two answers. The term declares it, and every prompt pair must then hold
/// it in `tokens` or `numbers` under the same name:
///
///     struct keeps_third {
///       static constexpr prompt_token<"third"> third{};
///       static constexpr prompt_tokens<"rest"> rest{};
///       static constexpr prompt_data data{third, rest};
///       constexpr auto value(row auto& r) const { return r.h(r(third)) - r.h(r(rest, 0)); }
///       ...
///
/// `r(third)` is a token id, `r(number)` a number, `r(rest, k)` the k-th token id of a set and `r(rest.size)` the set's
/// size.

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

/// The number of tokens in a set.
template <fixed_string Text>
struct prompt_tokens_size {
  static constexpr std::string_view text = detail::name_text<Text>;
  static constexpr bool is_per_channel = false;
  static constexpr bool is_whole = true;
  static constexpr int count = 1;
};

/// A set of at least one token.
template <fixed_string Text>
struct prompt_tokens {
  static constexpr std::string_view text = detail::name_text<Text>;
  static constexpr bool is_per_channel = true;
  static constexpr bool is_indexed = true;  ///< by an index of its own, not by channel
  static constexpr bool is_whole = true;
  static constexpr int count = 1;
  static constexpr prompt_tokens_size<Text> size{};
};

namespace name {
/// All answers that count as the correct one, and as the wrong one. They are there where a prompt has several
/// (`has_answer_sets`); `correct` and `wrong` are the first ones.
inline constexpr prompt_tokens<"correct"> all_correct{};
inline constexpr prompt_tokens<"wrong"> all_wrong{};
/// Where an answer is a sequence: what the tokens after the first add to the difference of the answers.
inline constexpr per_row<"rest"> rest{};
}  // namespace name

/// Whether rows of this type have a name; for names that are not always there.
template <typename Row, typename Name>
constexpr bool binds() {
  if constexpr (requires { Row::template binds<Name>; })
    return Row::template binds<Name>;
  else
    return false;
}

/// Whether the prompts of a row have sets of answers.
template <typename Row>
inline constexpr bool has_answer_sets = binds<Row, std::remove_const_t<decltype(name::all_correct)>>();

/// Whether the answers of a row may be sequences.
template <typename Row>
inline constexpr bool has_rest = binds<Row, std::remove_const_t<decltype(name::rest)>>();

/// What a term reads, in any order.
template <typename... Names>
struct prompt_data {
  constexpr prompt_data() = default;
  constexpr explicit prompt_data(Names...) requires(sizeof...(Names) > 0) {}
};

/// The `data` of a term; empty for a term that reads only the answers.
template <typename Term>
constexpr auto prompt_data_read_by() {
  if constexpr (requires { Term::data; })
    return std::remove_cvref_t<decltype(Term::data)>{};
  else
    return prompt_data<>{};
}

}  // namespace trimtab
