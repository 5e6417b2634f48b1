// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/records.hpp>
#include <trimtab/core/site.hpp>
#include <trimtab/model/batch.hpp>
#include <trimtab/steer/hook_measure.hpp>
#include <trimtab/steer/replica_storage.hpp>
#include <trimtab/steer/token_records.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

/// A composition bound to the rows of one batch, as data: each row's record and sequence, computed once, and the memory
/// of θ and its gradient. static_hooks.hpp and dynamic_hooks.hpp run policies on it.

namespace trimtab {

/// θ of all replicas and its gradient, in the backend's memory.
template <tensor_backend B>
struct replica_parameters {
  replica_storage<B> storage;
  workspace<B> memory;
  matrix_view<typename B::scalar> theta, gradient;  ///< [1, storage.size()]

  replica_parameters(const B& backend, std::vector<parameter_layout> layouts)
      : storage(backend, std::move(layouts)),
        memory(backend),
        theta(memory.take(1, storage.size())),
        gradient(memory.take(1, storage.size())) {}
};

template <tensor_backend B>
class binding {
 public:
  using T = typename B::scalar;

  /// One layout per replica. `where` says which positions are scored. Throws `mismatch` where positions do not fit a
  /// prompt, `bad_argument` for a strength that the scalar cannot hold.
  binding(const B& backend, const model_config& config, std::vector<parameter_layout> layouts,
          std::span<const prompt_pair> prompts, std::span<const sequence> sequences, scored where)
      : binding(backend, config, std::make_shared<replica_parameters<B>>(backend, layouts), sequences,
                records_of(layouts, prompts, sequences), where) {}

  /// The same with parameters that other bindings share, with records of the caller's, and with terms on what the hooks
  /// do.
  binding(const B& backend, const model_config& config, std::shared_ptr<const replica_parameters<B>> values,
          std::span<const sequence> sequences, const token_records& records, scored where,
          std::vector<weighted_hook_term<B>> hook_terms = {}, pass_use use = pass_use::forward_only);

  binding(const binding&) = delete;  // hooks refer to it
  binding& operator=(const binding&) = delete;

  const B& backend() const { return *backend_; }
  const replica_storage<B>& storage() const { return values_->storage; }
  matrix_view<T> theta() const { return values_->theta; }        ///< [1, storage().size()]
  matrix_view<T> gradient() const { return values_->gradient; }  ///< the same shape

  /// The offset in θ of intervention k's records in a layer; -1 if it is not in that layer.
  index_t layer_offset(std::size_t k, index_t layer) const { return storage().layer_offset(k, layer); }

  /// The first layer that any intervention is in, or the number of layers.
  index_t lowest_layer() const {
    index_t lowest = last_layer_ + 1;
    for (const parameter_block& block : storage().layout(0).blocks)
      if (not block.layers.empty()) lowest = std::min(lowest, block.layers.front());
    return lowest;
  }

  /// Runs the policy of intervention k on the rows at a site, or on one of them, as `on` does: in the last layer only
  /// on the scored ones, except at `resid_pre`.
  template <hook_site Site, typename On, intervention_policy P>
  void forward(const On& on, std::size_t k, const P& policy, index_t layer, matrix_view<const T> h,
               matrix_view<T> out) const {
    on.intervene(policy, h, out, theta().data + layer_offset(k, layer), rows<Site>(k, layer));
  }
  template <hook_site Site, intervention_policy P>
  void backward(std::size_t k, const P& policy, index_t layer, matrix_view<const T> h, matrix_view<const T> d_out,
                matrix_view<T> d_h) const {
    const index_t offset = layer_offset(k, layer);
    backend_->intervene_backward(policy, h, d_out, d_h, theta().data + offset, gradient().data + offset, partial_[k],
                                 rows<Site>(k, layer));
  }

  template <hook_site Site>
  const bound_rows<T>& rows(std::size_t k, index_t layer) const {
    const bool past_attention = not std::is_same_v<Site, site::resid_pre>;
    return layer == last_layer_ and past_attention ? scored_[k] : all_[k];
  }
  T* partial(std::size_t k) const { return partial_[k]; }

  /// The terms on what the hooks do; null without any.
  const hook_measure<B>* measure() const { return measure_ ? &*measure_ : nullptr; }

 private:
  bound_rows<T> bind(std::size_t k, std::span<const sequence> sequences, const token_records& records, scored where);

  /// [rows] the sequence of each row, shared by all interventions with as many parts.
  const int* sequence_of_rows(std::span<const sequence> sequences, const token_records& records, index_t parts,
                              scored where);

  const B* backend_;
  index_t last_layer_;
  std::shared_ptr<const replica_parameters<B>> values_;
  workspace<B> memory_;
  const T* beta_ = nullptr;
  std::map<std::pair<index_t, bool>, const int*> sequence_of_rows_ = {};
  std::vector<bound_rows<T>> all_ = {}, scored_ = {};
  std::vector<T*> partial_ = {};
  std::optional<hook_measure<B>> measure_ = {};
};

template <tensor_backend B>
binding<B>::binding(const B& backend, const model_config& config, std::shared_ptr<const replica_parameters<B>> values,
                    std::span<const sequence> sequences, const token_records& records, scored where,
                    std::vector<weighted_hook_term<B>> hook_terms, pass_use use)
    : backend_(&backend), last_layer_(config.layers - 1), values_(std::move(values)), memory_(backend) {
  host_matrix<T> beta(1, std::max<index_t>(1, std::ssize(sequences)));
  for (std::size_t s = 0; s < sequences.size(); ++s) beta.values[s] = strength_as<T>(sequences[s].beta);
  beta_ = memory_.take(beta).data;

  const std::vector<parameter_block>& blocks = storage().layout(0).blocks;
  for (std::size_t k = 0; k < blocks.size(); ++k) {
    all_.push_back(bind(k, sequences, records, scored::all));
    scored_.push_back(where == scored::all ? all_.back() : bind(k, sequences, records, scored::last));
    const index_t pieces = std::max(all_.back().records.pieces, scored_.back().records.pieces);
    partial_.push_back(memory_.take(1, std::max<index_t>(1, pieces * blocks[k].record_size)).data);
  }
  if (not hook_terms.empty())
    measure_.emplace(backend, config, std::move(hook_terms), storage().layout(0), sequences, records, where, use);
}

template <tensor_backend B>
auto binding<B>::bind(std::size_t k, std::span<const sequence> sequences, const token_records& records, scored where)
    -> bound_rows<T> {
  const index_t parts = storage().layout(0).blocks[k].parts, only = storage().layout(0).blocks[k].part;
  std::vector<int> slots;
  if (not storage().layout(0).blocks[k].layers.empty())
    for (std::size_t n = 0; n < sequences.size(); ++n) {
      const sequence& s = sequences[n];
      const index_t first = storage().replica_offset(k, s.replica);
      const index_t size = storage().layout(s.replica).blocks[k].record_size;
      const std::vector<int>& of_tokens = records[n][k];
      for (std::size_t i = first_row(s, of_tokens.size(), where); i < of_tokens.size(); ++i)
        for (index_t part = 0; part < parts; ++part)
          slots.push_back(of_tokens[i] < 0 or (only >= 0 and part != only)
                              ? -1
                              : static_cast<int>(first + (of_tokens[i] * parts + part) * size));
    }
  const bool is_bound = not slots.empty();
  record_plan plan(std::move(slots));
  bound_rows<T> rows;
  rows.records.rows = static_cast<index_t>(plan.slot.size());
  rows.records.pieces = static_cast<index_t>(plan.piece_begin.size()) - 1;
  rows.records.records = static_cast<index_t>(plan.record_slot.size());
  rows.records.slot = memory_.take(std::move(plan.slot));
  rows.records.order = memory_.take(std::move(plan.order));
  rows.records.piece_begin = memory_.take(std::move(plan.piece_begin));
  rows.records.record_begin = memory_.take(std::move(plan.record_begin));
  rows.records.record_slot = memory_.take(std::move(plan.record_slot));
  rows.beta = beta_;
  if (is_bound) rows.sequence = sequence_of_rows(sequences, records, parts, where);
  return rows;
}

template <tensor_backend B>
const int* binding<B>::sequence_of_rows(std::span<const sequence> sequences, const token_records& records,
                                        index_t parts, scored where) {
  const int*& known = sequence_of_rows_[{parts, where == scored::all}];
  if (known == nullptr) {
    std::vector<int> rows;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      const std::size_t tokens = records[s].front().size();
      const std::size_t count = (tokens - first_row(sequences[s], tokens, where)) * static_cast<std::size_t>(parts);
      rows.insert(rows.end(), count, static_cast<int>(s));
    }
    known = memory_.take(std::move(rows));
  }
  return known;
}

}  // namespace trimtab
