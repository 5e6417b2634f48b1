// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/explain/place_map.hpp>
#include <trimtab/model/pass.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

/// One run of the untouched model that is kept in a backend's memory: its activations at the places of a map, and what
/// runs that share its first layers and tokens start from.

namespace trimtab::explain::detail {

/// What is kept of a run.
struct kept_of_run {
  bool logits = true;
  bool activations = false;  ///< at the sites and layers of a map
  bool streams = false;      ///< what each layer reads, and its queries, keys and values, from the lowest layer on
};

/// What a run of some prompts takes, in bytes.
template <typename T>
index_t bytes_of_run(const parameter_layout& places, const model_config& config, index_t tokens, index_t prompts,
                     kept_of_run keep) {
  index_t per_token = config.width;
  if (keep.activations)
    for (const parameter_block& block : places.blocks)
      per_token += std::ssize(block.layers) * block.width * rows_per_token(config, block.site);
  if (keep.streams) per_token += (config.layers - places.blocks.front().layers.front()) * 4 * config.width;
  return (tokens * per_token + (keep.logits ? prompts * config.vocabulary : 0)) * static_cast<index_t>(sizeof(T)) +
         bytes_of_pass<T>(config, {tokens, tokens, prompts}, {0, config.layers}, {no_hooks{}, config.layers},
                          pass_use::forward_only);
}

template <typename Model>
class recorded_run {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  /// Throws `bad_text` for a prompt that the model cannot read.
  recorded_run(const Model& model, std::span<const std::vector<int>> prompts, const parameter_layout& places,
               kept_of_run keep, scored where = scored::last)
      : rows_(model.backend(), model.config(), prompts, where),
        sites_(places),
        memory_(model.backend()),
        activations_(places.blocks.size()) {
    const index_t layers = model.config().layers;
    for (const std::vector<int>& ids : prompts) first_row_.push_back(first_row_.back() + static_cast<int>(ids.size()));
    const matrix_view<T> embedded = memory_.take(rows_.rows(), model.config().width);
    model.embed(rows_, embedded);
    pass<Model, no_hooks, recorder> run(model, rows_, {0, layers}, {}, pass_use::forward_only,
                                        recorder{this, &model.backend(), keep});
    const matrix_view<T> leaving = run.forward(embedded, [&](index_t l, matrix_view<T> qkv) {
      if (keep.streams and l >= sites_.lowest_layer()) keys_.push_back(copy_of(model.backend(), qkv));
    });
    if (not keep.logits) return;
    logits_ = memory_.take(rows_.queries(), model.config().vocabulary);
    run.unembed(leaving, logits_);
  }

  recorded_run(const recorded_run&) = delete;  // its recorder refers to it
  recorded_run& operator=(const recorded_run&) = delete;

  const batch<B>& rows() const { return rows_; }
  matrix_view<const T> logits() const { return logits_; }  ///< [queries, V]
  /// The first row of a prompt among those of all tokens; `first_row(prompts)` is their number.
  int first_row(std::size_t prompt) const { return first_row_[prompt]; }
  /// The activations of a block's k-th layer: a row for each token, or each scored one, and at `attn_z` for each head.
  matrix_view<const T> at(std::size_t block, std::size_t k) const { return activations_[block][k]; }
  matrix_view<const T> stream(index_t layer) const { return streams_[index(layer)]; }  ///< [rows, D]
  matrix_view<const T> keys(index_t layer) const { return keys_[index(layer)]; }       ///< [rows, 3D]

 private:
  struct recorder {
    static constexpr bool is_watching = true;

    recorded_run* run;
    const B* backend;
    kept_of_run keep;

    template <hook_site Site>
    void saw(index_t layer, matrix_view<const T>, matrix_view<const T> out) const {
      if (keep.activations and run->sites_.template active<Site>(layer))
        run->activations_[run->sites_.template block<Site>()].push_back(run->copy_of(*backend, out));
      if constexpr (std::same_as<Site, site::resid_pre>)
        if (keep.streams and layer >= run->sites_.lowest_layer()) run->streams_.push_back(run->copy_of(*backend, out));
    }
  };

  matrix_view<T> copy_of(const B& backend, matrix_view<const T> m) {
    const matrix_view<T> copy = memory_.take(m.rows, m.cols);
    backend.copy(m, copy);
    return copy;
  }
  std::size_t index(index_t layer) const { return static_cast<std::size_t>(layer - sites_.lowest_layer()); }

  batch<B> rows_;
  placed_sites sites_;
  workspace<B> memory_;
  std::vector<int> first_row_ = {0};
  matrix_view<T> logits_ = {};
  std::vector<std::vector<matrix_view<T>>> activations_;  ///< by block and by layer of the block
  std::vector<matrix_view<T>> streams_ = {}, keys_ = {};
};

}  // namespace trimtab::explain::detail
