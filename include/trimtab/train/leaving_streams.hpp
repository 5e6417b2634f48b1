// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/workspace.hpp>
#include <trimtab/row/residual.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

/// The stream with which each prompt's last token leaves the untouched model, [prompts, D], once it has been seen. The
/// untouched logits of many prompts are too many to keep; they are made again from it, with the same bits.

namespace trimtab {

template <tensor_backend B>
class leaving_streams {
 public:
  using T = typename B::scalar;

  leaving_streams(const B& backend, index_t prompts, index_t width)
      : backend_(backend),
        memory_(backend),
        rows_(memory_.take(prompts, width)),
        seen_(static_cast<std::size_t>(prompts), false) {}

  bool has(std::span<const int> prompts) const {
    return std::ranges::all_of(prompts, [&](int n) { return seen_[static_cast<std::size_t>(n)]; });
  }
  /// Keeps `from` [prompts, D].
  void keep(std::span<const int> prompts, matrix_view<const T> from) {
    workspace<B> scratch(backend_);
    backend_.forward(copy_row{}, from.rows, from.cols, each_row(name::h, from),
                     selected_row(name::out, rows_, scratch.take({prompts.begin(), prompts.end()})));
    for (int n : prompts) seen_[static_cast<std::size_t>(n)] = true;
  }
  /// Copies what is kept to `to` [prompts, D].
  void copy(std::span<const int> prompts, matrix_view<T> to) const {
    workspace<B> scratch(backend_);
    backend_.forward(copy_row{}, to.rows, to.cols,
                     selected_row(name::h, matrix_view<const T>(rows_), scratch.take({prompts.begin(), prompts.end()})),
                     each_row(name::out, to));
  }

 private:
  const B& backend_;
  workspace<B> memory_;
  matrix_view<T> rows_;
  std::vector<bool> seen_;
};

}  // namespace trimtab
