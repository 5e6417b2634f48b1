// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/explain/exchanged_runs.hpp>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

/// Runs of prompts in which only some places keep their own activations: what a faithfulness curve measures.

namespace trimtab::explain::detail {

/// Runs of some prompts with all places exchanged but those of a set.
template <typename Model>
class kept_runs {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  /// `rows(exchange, block, layer, position)` are the rows of a source, as in `exact_map::score`; `source(block,
  /// layer)` is its memory, which must stay.
  template <typename Source, typename Rows>
  kept_runs(const Model& model, std::span<const prompt_pair> prompts, const parameter_layout& places,
            const scorer<B>& score, index_t memory, Source source, Rows rows)
      : model_(model), prompts_(prompts), places_(places), score_(model, prompts, score), memory_(memory) {
    for (std::size_t b = 0; b < places.blocks.size(); ++b)
      for (index_t layer : places.blocks[b].layers) {
        exchanged_place_rows& at = rows_.emplace_back(exchanged_place_rows{b, layer, source(b, layer), {}});
        for (std::size_t n = 0; n < prompts.size(); ++n) at.prompts.push_back(cells(b, layer, n, rows));
      }
  }

  /// A prompt, and by place of the map whether it keeps its own activations.
  struct run {
    std::size_t prompt;
    const std::vector<bool>* kept;
  };

  /// The metric of each run.
  std::vector<double> operator()(std::span<const run> all) const {
    std::vector<double> values;
    while (not all.empty()) {
      std::size_t count = 0;
      index_t tokens = 0;
      do {
        tokens += std::ssize(prompts_[all[count].prompt].ids);
        ++count;
      } while (count < all.size() and
               exchanged_runs<Model>::bytes(model_.config(), 0, tokens, tokens, static_cast<index_t>(count)) < memory_);
      const std::vector<double> some = together(all.first(count));
      values.insert(values.end(), some.begin(), some.end());
      all = all.subspan(count);
    }
    return values;
  }

 private:
  /// A row at a site: its place and its record in the source; -1 without a place.
  struct cell {
    std::size_t place = 0;
    int slot = -1;
  };
  struct exchanged_place_rows {
    std::size_t block;
    index_t layer;
    const T* source;
    std::vector<std::vector<cell>> prompts;  ///< [prompts][rows at the site]
  };

  template <typename Rows>
  std::vector<cell> cells(std::size_t b, index_t layer, std::size_t n, Rows& rows) const {
    const parameter_block& block = places_.blocks[b];
    const index_t heads = rows_per_token(model_.config(), block.site);
    const bool last_only = scored_only(model_.config(), block.site, layer);
    const index_t length = std::ssize(prompts_[n].ids);
    std::vector<cell> cells(static_cast<std::size_t>((last_only ? 1 : length) * heads));
    each_exchange(model_.config(), block, layer, prompts_[n], [&](exchange e, index_t position) {
      e.prompt = n, e.block = b;
      e.sources = rows(e, block, layer, position);
      for (std::size_t k = 0; k < e.sources.size(); ++k)
        for (index_t head = 0; head < heads; ++head) {
          if (e.head >= 0 and e.head != head) continue;
          const index_t row = (last_only ? 0 : e.tokens[k]) * heads + head;
          cells[static_cast<std::size_t>(row)] = {e.place,
                                                  static_cast<int>((e.sources[k] * heads + head) * block.width)};
        }
    });
    return cells;
  }

  std::vector<double> together(std::span<const run> some) const {
    const B& backend = model_.backend();
    const model_config& config = model_.config();
    std::vector<std::vector<int>> ids;
    std::vector<int> prompt;
    for (const run& r : some) ids.push_back(prompts_[r.prompt].ids), prompt.push_back(static_cast<int>(r.prompt));
    const batch<B> rows(backend, config, ids);
    workspace<B> memory(backend);
    const exchange_binder<B> bind(memory, rows.rows() * config.heads);
    std::vector<exchanged_layer<T>> layers(static_cast<std::size_t>(config.layers));
    for (const exchanged_place_rows& at : rows_) {
      std::vector<int> slots;
      for (const run& r : some)
        for (const cell& c : at.prompts[r.prompt]) slots.push_back(c.slot >= 0 and (*r.kept)[c.place] ? -1 : c.slot);
      layers[static_cast<std::size_t>(at.layer)][*site::find(places_.blocks[at.block].site)] =
          bind(at.source, std::move(slots));
    }
    using hooks = interchange_hooks<Model>;
    pass<Model, hooks> whole(model_, rows, {0, config.layers}, hooks(0, std::move(layers)));
    const matrix_view<T> x = memory.take(rows.rows(), config.width);
    model_.embed(rows, x);
    return score_.values(whole.forward(x), memory.take(std::move(prompt)));
  }

  const Model& model_;
  std::span<const prompt_pair> prompts_;
  const parameter_layout& places_;
  stream_scorer<Model> score_;
  index_t memory_;
  std::vector<exchanged_place_rows> rows_ = {};
};

}  // namespace trimtab::explain::detail
