// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

/// How often one text occurs in another, overlaps included.

namespace trimtab::test {

inline int occurrences(std::string_view text, std::string_view what) {
  int count = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
  return count;
}

}  // namespace trimtab::test
