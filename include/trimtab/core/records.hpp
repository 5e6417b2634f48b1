// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>

#include <algorithm>
#include <utility>
#include <vector>

/// Which record of parameters each row of a site uses, and in which order the rows of one record add to its gradient.
/// Rows that share a record are a *segment*; it is cut into pieces of at most 64 rows, each piece is summed on its own,
/// then the pieces of a record are added in order. The order is part of the plan, so the sum has the same bits on any
/// number of threads.

namespace trimtab {

/// The plan in a backend's memory.
struct record_view {
  index_t rows = 0;
  index_t pieces = 0;
  index_t records = 0;
  const int* slot = nullptr;          ///< [rows] the offset of the row's record, or -1 for none
  const int* order = nullptr;         ///< row indices, grouped by record
  const int* piece_begin = nullptr;   ///< [pieces + 1] into `order`
  const int* record_begin = nullptr;  ///< [records + 1] into the pieces
  const int* record_slot = nullptr;   ///< [records] the offset of the record
};

/// What an intervention knows about the rows at its site, in a backend's memory.
template <typename T>
struct bound_rows {
  record_view records = {};
  const T* beta = nullptr;        ///< [sequences]
  const int* sequence = nullptr;  ///< [rows] which sequence a row belongs to
};

/// The plan in host memory, made from the slot of each row.
struct record_plan {
  static constexpr int rows_per_piece = 64;

  std::vector<int> slot, order, piece_begin, record_begin, record_slot;

  explicit record_plan(std::vector<int> slots) : slot(std::move(slots)) {
    for (std::size_t i = 0; i < slot.size(); ++i)
      if (slot[i] >= 0) order.push_back(static_cast<int>(i));
    const auto slot_of = [&](int i) { return slot[static_cast<std::size_t>(i)]; };
    std::ranges::stable_sort(order, {}, slot_of);
    for (std::size_t k = 0; k < order.size(); ++k) {
      const int record = slot_of(order[k]);
      const bool new_record = record_slot.empty() or record_slot.back() != record;
      if (new_record) {
        record_slot.push_back(record);
        record_begin.push_back(static_cast<int>(piece_begin.size()));
      }
      if (new_record or static_cast<int>(k) - piece_begin.back() == rows_per_piece)
        piece_begin.push_back(static_cast<int>(k));
    }
    record_begin.push_back(static_cast<int>(piece_begin.size()));
    piece_begin.push_back(static_cast<int>(order.size()));
  }
};

}  // namespace trimtab
