// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>

/// Prompts of different lengths, one after another as rows, without padding. Sequence s has the rows `offsets[s]`, ...,
/// `offsets[s + 1] - 1`. Not every row is a query of the attention: the queries of sequence s are numbered from
/// `query_offsets[s]`, and query k is at position `query_positions[k]` of its sequence, ascending.
///
/// With a cache of keys and values the rows are only the new tokens: those of sequence s stand at positions `past[s]`
/// and up, and the keys and values of all its tokens are in slot `slots[s]` of the cache.

namespace trimtab {

/// The shape of a ragged batch for the attention; the arrays are in the backend's memory.
struct ragged_shape {
  index_t sequences = 0;
  index_t keys = 0;  ///< rows of keys and values
  index_t queries = 0;
  const int* offsets = nullptr;          ///< [sequences + 1]
  const int* query_offsets = nullptr;    ///< [sequences + 1]
  const int* query_positions = nullptr;  ///< [queries]
  index_t longest = 0;                   ///< keys of the longest sequence; 0 if unknown
  const int* past = nullptr;             ///< [sequences] with a cache
  const int* slots = nullptr;            ///< [sequences] with a cache
};

}  // namespace trimtab
