// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/pass.hpp>

#include <span>
#include <vector>

/// The untouched model on a set of prompts, run once: the stream that enters the first hooked layer, which every
/// steered pass starts from, and the logits that it is compared with.

namespace trimtab {

template <typename Model>
class untouched {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  /// Throws `bad_text` for a prompt that the model cannot read.
  untouched(const Model& model, std::span<const std::vector<int>> prompts, index_t first_hooked_layer,
            scored where = scored::last)
      : untouched(model, prompts, first_hooked_layer, where, [](index_t, matrix_view<T>) {}) {}

  /// The same; from the first hooked layer on, `passed(l, qkv)` sees the queries, keys and values [rows, 3D] of layer l.
  template <typename Passed>
  untouched(const Model& model, std::span<const std::vector<int>> prompts, index_t first_hooked_layer, scored where,
            Passed passed)
      : rows_(model.backend(), model.config(), prompts, where), memory_(model.backend()) {
    const index_t width = model.config().width, layers = model.config().layers;
    const B& backend = model.backend();
    stream_ = memory_.take(rows_.rows(), width);
    logits_ = memory_.take(rows_.queries(), model.config().vocabulary);

    const matrix_view<T> embedded = memory_.take(rows_.rows(), width);
    model.embed(rows_, embedded);
    pass<Model> below(model, rows_, {0, first_hooked_layer});
    const matrix_view<T> entering = below.forward(embedded);
    backend.copy(entering, stream_);
    pass<Model> rest(model, rows_, {first_hooked_layer, layers});
    rest.unembed(rest.forward(stream_, passed), logits_);
  }

  const batch<B>& rows() const { return rows_; }
  matrix_view<const T> stream() const { return stream_; }  ///< [rows, D]
  matrix_view<const T> logits() const { return logits_; }  ///< [queries, V]

 private:
  batch<B> rows_;
  workspace<B> memory_;
  matrix_view<T> stream_, logits_;
};

/// Logits of the untouched model, [scored positions, V], the prompts one after another. Throws `bad_text` as above.
template <typename Model>
host_matrix<typename Model::scalar> logits(const Model& model, std::span<const std::vector<int>> prompts,
                                           scored where = scored::last) {
  return model.backend().download(untouched<Model>(model, prompts, 0, where).logits());
}

}  // namespace trimtab
