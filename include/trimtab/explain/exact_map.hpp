// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/explain/exchanged_runs.hpp>
#include <trimtab/explain/groups.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// A map whose scores are exact runs, one for each prompt and place.

namespace trimtab::explain::detail {

template <typename Model>
class exact_map {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  exact_map(const Model& model, std::string method, std::span<const prompt_pair> prompts, const options& chosen)
      : model_(model),
        config_(model.config()),
        all_(prompts),
        memory_(chosen.memory),
        ranks_(chosen.ranks),
        map_(empty_map(std::move(method), config_, chosen, prompts)) {}

  place_map& map() { return map_; }

  /// f(first, prompts) for groups of the rank's prompts that fit the bound together with one pass. `runs` untouched
  /// runs of each are kept, and `further` bytes by the caller.
  template <typename F>
  void each_group(index_t runs, F f, index_t further = 0) {
    const auto bytes = [&](index_t tokens, index_t count) {
      return further + kept_bytes(runs, tokens, count) +
             exchanged_runs<Model>::bytes(config_, map_.places.blocks.front().layers.front(), longest(), longest(), 1);
    };
    detail::each_group(ranks_, all_, memory_, bytes, [&](std::size_t first, std::span<const prompt_pair> some) {
      index_t tokens = 0;
      for (const prompt_pair& p : some) tokens += std::ssize(p.ids);
      const index_t most = memory_ > 0 ? memory_ : usual_memory;
      left_ = most - further - kept_bytes(runs, tokens, std::ssize(some));
      f(first, some);
    });
  }

  /// Sets the scores of some prompts to the metric of the exchanged run minus `untouched`, that of the base run.
  /// `source(block, layer)` is the memory that activations come from, `rows(exchange, block, layer, position)` their
  /// rows in it; an empty list gives the place no score for this prompt.
  template <typename Source, typename Rows>
  void score(std::size_t first, std::span<const prompt_pair> some, std::span<const std::vector<int>> ids,
             const recorded_run<Model>& base, const scorer<B>& metric, std::span<const double> untouched, Source source,
             Rows rows) {
    const stream_scorer<Model> of_stream(model_, some, metric);
    const exchanged_runs<Model> runs(model_, ids, base, map_.places, of_stream, left_);
    for (index_t layer : map_.places.blocks.front().layers) {
      std::vector<exchange> exchanges;
      std::vector<const T*> sources;
      for (std::size_t k = 0; k < map_.places.blocks.size(); ++k) {
        sources.push_back(source(k, layer));
        for (std::size_t n = 0; n < some.size(); ++n) add_exchanges(exchanges, first, n, k, layer, some[n], rows);
      }
      const std::vector<double> values = runs(layer, exchanges, sources);
      for (std::size_t i = 0; i < exchanges.size(); ++i)
        map_.per_prompt[first + exchanges[i].prompt][exchanges[i].place] = values[i] - untouched[exchanges[i].prompt];
    }
  }

  place_map finished() {
    take_means(map_, ranks_);
    return std::move(map_);
  }

 private:
  index_t longest() const {
    index_t most = 0;
    for (const prompt_pair& p : all_) most = std::max(most, std::ssize(p.ids));
    return most;
  }
  index_t kept_bytes(index_t runs, index_t tokens, index_t count) const {
    return bytes_of_run<T>(map_.places, config_, tokens, count, {.streams = true}) +
           (runs - 1) * bytes_of_run<T>(map_.places, config_, tokens, count, {.activations = true});
  }

  /// Adds the exchanges of one prompt at a block's layer; those whose `rows` are empty give the place no score.
  template <typename Rows>
  void add_exchanges(std::vector<exchange>& to, std::size_t first, std::size_t n, std::size_t k, index_t layer,
                     const prompt_pair& prompt, Rows& rows) {
    each_exchange(config_, map_.places.blocks[k], layer, prompt, [&](exchange e, index_t position) {
      e.prompt = n, e.block = k;
      e.sources = rows(e, map_.places.blocks[k], layer, position);
      if (e.sources.empty())
        map_.per_prompt[first + n][e.place] = no_score;
      else
        to.push_back(std::move(e));
    });
  }

  const Model& model_;
  const model_config& config_;
  std::span<const prompt_pair> all_;
  index_t memory_;
  any_communicator ranks_;
  index_t left_ = 0;
  place_map map_;
};

}  // namespace trimtab::explain::detail
