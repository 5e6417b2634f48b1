// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>

/// Prompts of different lengths, one after another as rows, without padding. Sequence s owns the rows from `offsets[s]`
/// up to `offsets[s + 1]`. In the last layer only some positions go past the attention: the queries of sequence s are
/// numbered from `query_offsets[s]`, and query k stands at position `query_positions[k]` of its sequence, rising.

namespace trimtab {

/// The shape of a ragged batch as an attention reads it; the arrays lie in the backend's memory.
struct ragged_shape {
  index_t sequences = 0;
  index_t rows = 0;
  index_t queries = 0;
  const int* offsets = nullptr;          ///< [sequences + 1]
  const int* query_offsets = nullptr;    ///< [sequences + 1]
  const int* query_positions = nullptr;  ///< [queries]
  index_t longest = 0;                   ///< rows of the longest sequence; 0 where nobody counted
};

}  // namespace trimtab
