// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/generate/growing_records.hpp>
#include <trimtab/model/key_value_cache.hpp>
#include <trimtab/model/pass.hpp>
#include <trimtab/steer/binding.hpp>

#include <memory>
#include <span>
#include <vector>

/// Runs texts that grow: each in a slot of a key-value cache, those at hand as one batch, and only the tokens whose
/// activations are not in the cache yet, or are no longer what they were.

namespace trimtab {

/// A text as one run sees it.
struct growing_text {
  int slot = 0;
  double strength = 0;
  std::vector<int> ids = {};
  std::vector<std::vector<int>> records = {};  ///< [interventions][tokens]; -1 for a record of zeros, too
  int known = 0;                               ///< leading tokens that are in the cache as they must be
};

template <typename Steering>
class growing_texts {
 public:
  using Model = typename Steering::model_type;
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  growing_texts(const Steering& composition, const parameters& values, index_t slots)
      : composition_(composition),
        model_(composition.model()),
        values_(std::make_shared<replica_parameters<B>>(model_.backend(), std::vector{values.layout})),
        cache_(model_.backend(), model_.config(), slots),
        memory_(model_.backend()),
        logits_(memory_.take(slots, model_.config().vocabulary)) {
    values_->storage.upload([&](index_t) { return std::span(values.theta); }, values_->theta);
  }

  /// The logits after each text, [texts, V].
  host_matrix<T> next_token_logits(std::span<const growing_text> texts) {
    std::vector<std::vector<int>> ids;
    std::vector<int> past, slots;
    std::vector<sequence> sequences;
    token_records records;
    for (const growing_text& t : texts) {
      sequences.push_back({.prompt = std::ssize(ids), .beta = t.strength, .past = t.known});
      ids.push_back(t.ids);
      past.push_back(t.known);
      slots.push_back(t.slot);
      records.push_back(t.records);
    }
    const B& backend = model_.backend();
    const batch<B> rows(backend, model_.config(), ids, scored::last, past, {&cache_, slots});
    const binding<B> bound(backend, model_.config(), values_, sequences, records, scored::last);
    workspace<B> memory(backend);
    const matrix_view<T> stream = memory.take(rows.rows(), model_.config().width);
    const matrix_view<T> logits{logits_.data, rows.queries(), logits_.cols};
    model_.embed(rows, stream);
    pass<Model, typename Steering::hooks_type> run(model_, rows, {0, model_.config().layers},
                                                   composition_.hooks(bound));
    run.unembed(run.forward(stream), logits);
    return backend.download(logits);
  }

 private:
  const Steering& composition_;
  const Model& model_;
  std::shared_ptr<replica_parameters<B>> values_;
  key_value_cache<B> cache_;
  workspace<B> memory_;
  matrix_view<T> logits_;
};

}  // namespace trimtab
