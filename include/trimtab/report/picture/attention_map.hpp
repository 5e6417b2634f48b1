// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>
#include <trimtab/report/picture/heat_map.hpp>

#include <string>
#include <utility>
#include <vector>

/// What a head attends to as a picture in reading order: a row for each token, the first on top, with how much it reads
/// from each column's token.

namespace trimtab::report {

/// Of a pattern [tokens, tokens].
inline heat_map attention_map(std::string title, const host_matrix<double>& pattern,
                              const std::vector<std::string>& tokens) {
  heat_map map{.title = std::move(title), .columns = tokens, .row_kind = "token"};
  for (index_t i = pattern.rows; i-- > 0;) {  // rows go upward
    map.rows.push_back(tokens[static_cast<std::size_t>(i)]);
    std::vector<double>& row = map.values.emplace_back();
    for (index_t j = 0; j < pattern.cols; ++j) row.push_back(pattern(i, j));
  }
  return map;
}

}  // namespace trimtab::report
