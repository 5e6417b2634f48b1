// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/task/prompt_pair.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Fills templates: "[FIRST] met [SECOND]" with FIRST = "Mary" and SECOND = "John" becomes a text, its tokens, and for
/// each slot the token spans of its values. A span begins with the space before the value, because that is where its
/// token begins.

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

/// Appends the filled template to `text`; returns the byte range of each value and the space before it.
inline std::vector<placed_value> put_values(std::string_view pattern, const slot_values& values, std::string& text) {
  std::vector<placed_value> placed;
  while (true) {
    const auto open = pattern.find('[');
    text += pattern.substr(0, open);
    if (open == pattern.npos) return placed;
    const auto close = pattern.find(']', open);
    const auto slot = pattern.substr(open + 1, close - open - 1);
    const auto value = values.find(slot);
    assert(close != pattern.npos and value != values.end());
    const auto begin = text.size() - (text.ends_with(' ') ? 1 : 0);
    text += value->second;
    placed.push_back({value->first, begin, text.size()});
    pattern.remove_prefix(close + 1);
  }
}

}  // namespace detail

/// The text of a filled template alone.
inline std::string fill_text(std::string_view pattern, const slot_values& values) {
  std::string text;
  detail::put_values(pattern, values, text);
  return text;
}

/// Throws `bad_data` if the encoder joins a value and its surroundings into one token.
filled_template fill(const text_encoder auto& encoder, std::string_view pattern, const slot_values& values) {
  filled_template filled;
  const auto placed = detail::put_values(pattern, values, filled.text);
  filled.ids = prompt_ids(encoder, filled.text);

  const auto token_at = [&](std::size_t byte) {
    const std::vector<int> before = prompt_ids(encoder, std::string_view(filled.text).substr(0, byte));
    if (before.size() > filled.ids.size() or not std::ranges::equal(before, std::span(filled.ids).first(before.size())))
      throw error(error_kind::bad_data, "in \"" + filled.text + "\" the first " + std::to_string(byte) +
                                            " bytes do not end at a token boundary; the tasks need a "
                                            "tokenizer that begins a token at every space");
    return static_cast<int>(before.size());
  };
  for (const auto& [slot, begin, end] : placed) filled.spans[slot].push_back({token_at(begin), token_at(end)});
  return filled;
}

}  // namespace trimtab::task
