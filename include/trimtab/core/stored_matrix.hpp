// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/stored.hpp>
#include <trimtab/core/view.hpp>

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace trimtab {

/// A matrix W [inputs, outputs] in a file, not read yet. A backend that rearranges its matrices reads the numbers from
/// the file to where they go, without a copy of the matrix in between.
struct stored_matrix {
  weight_type type = weight_type::float32;  ///< of its numbers: float32, float16 or bfloat16
  index_t inputs = 0, outputs = 0;
  bool by_output = false;  ///< the file holds [outputs, inputs], else [inputs, outputs]
  /// By output, the row of the file that holds it; empty where that is its own number.
  std::vector<index_t> file_rows = {};
  /// Fills the span with the matrix's bytes from an offset on. Several threads may call it at once; it throws `error`.
  std::function<void(std::size_t, std::span<std::byte>)> read = {};
};

}  // namespace trimtab
