// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <ranges>
#include <string>
#include <string_view>

/// Lists in sentences.

namespace trimtab::text {

/// "a, b, c": what `word` makes of each item, with `separator` between them. A loop, because every unit of the library
/// compiles it.
template <std::ranges::input_range Items, typename Word = std::identity>
std::string joined(const Items& items, std::string_view separator, Word word = {}) {
  std::string all;
  bool is_first = true;
  for (const auto& item : items) {
    if (not is_first) all += separator;
    all += std::invoke(word, item);
    is_first = false;
  }
  return all;
}

}  // namespace trimtab::text
