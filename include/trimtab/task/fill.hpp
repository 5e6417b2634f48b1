// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/task/prompt_pair.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Templates to prompts: "[FIRST] met [SECOND]" with the values FIRST = "Mary" and SECOND = "John" becomes a text, its
/// tokens, and for each slot the tokens where its values stand. A value's span begins with the space before it, because
/// that is where its token begins.

namespace trimtab::task {

/// Slot -> value.
using slot_values = std::map<std::string, std::string_view, std::less<>>;

struct filled_template {
  std::string text = {};
  std::vector<int> ids = {};
  std::map<std::string, std::vector<token_span>, std::less<>> spans = {};  ///< of each slot, in order

  int length() const { return static_cast<int>(ids.size()); }
};

namespace detail {

struct placed_value {
  std::string slot = {};
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// Appends the template to `text` with its slots filled; says where each value, with the space before it, came to lie.
inline std::vector<placed_value> put_values(std::string_view pattern, slot_values const& values, std::string& text) {
  std::vector<placed_value> placed;
  while (true) {
    auto const open = pattern.find('[');
    text += pattern.substr(0, open);
    if (open == pattern.npos) return placed;
    auto const close = pattern.find(']', open);
    auto const slot = pattern.substr(open + 1, close - open - 1);
    auto const value = values.find(slot);
    assert(close != pattern.npos and value != values.end());
    auto const begin = text.size() - (text.ends_with(' ') ? 1 : 0);
    text += value->second;
    placed.push_back({value->first, begin, text.size()});
    pattern.remove_prefix(close + 1);
  }
}

}  // namespace detail

/// Throws `bad_data` if the encoder joins a value and its surroundings into one token.
filled_template fill(text_encoder auto const& encoder, std::string_view pattern, slot_values const& values) {
  filled_template filled;
  auto const placed = detail::put_values(pattern, values, filled.text);
  filled.ids = encoder.encode(filled.text);

  auto const token_at = [&](std::size_t byte) {
    std::vector<int> const before = encoder.encode(std::string_view(filled.text).substr(0, byte));
    if (before.size() > filled.ids.size() or not std::ranges::equal(before, std::span(filled.ids).first(before.size())))
      throw error(error_kind::bad_data, "in \"" + filled.text + "\" the " + std::to_string(byte) +
                                            " bytes before a word are not tokens of their own; the tasks need a "
                                            "tokenizer that begins a token at every space");
    return static_cast<int>(before.size());
  };
  for (auto const& [slot, begin, end] : placed) filled.spans[slot].push_back({token_at(begin), token_at(end)});
  return filled;
}

}  // namespace trimtab::task
