// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/records.hpp>
#include <trimtab/explain/interchange.hpp>
#include <trimtab/explain/metric.hpp>
#include <trimtab/explain/recorded_run.hpp>
#include <trimtab/row/residual.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <limits>
#include <map>
#include <span>
#include <utility>
#include <vector>

/// Exact runs, each of one prompt with its activations at one place exchanged. All places of a layer are sequences of
/// one batch: they start from the stream that an untouched run had before this layer, and have no rows for the tokens
/// before the place, whose keys and values that run had too.

namespace trimtab::explain::detail {

/// A prompt and what replaces its activations at one place of a layer.
struct exchange {
  std::size_t prompt = 0;             ///< of the group
  std::size_t block = 0;              ///< the site
  std::size_t place = 0;              ///< of the map
  index_t head = -1;                  ///< at `attn_z`; -1 for all
  std::vector<int> tokens = {};       ///< ascending
  std::vector<index_t> sources = {};  ///< for each token, its row in the source of the site and layer
};

/// f(exchange without prompt, block and sources, position) for each place of a block's layer that a prompt has. A place
/// of the last layer that the scored token does not read has no influence and is left out.
template <typename F>
void each_exchange(const model_config& config, const parameter_block& block, index_t layer, const prompt_pair& prompt,
                   F f) {
  const std::vector<int> positions = positions_of(block.positions, prompt);
  std::map<int, std::vector<int>> tokens;
  for (std::size_t i = scored_only(config, block.site, layer) ? positions.size() - 1 : 0; i < positions.size(); ++i)
    if (positions[i] >= 0) tokens[positions[i]].push_back(static_cast<int>(i));
  for (const auto& [position, of_position] : tokens)
    for (index_t part = 0; part < block.parts; ++part)
      f(exchange{.place = static_cast<std::size_t>(block.layer_offset(layer) + position * block.parts + part),
                 .head = block.parts > 1 ? part : -1,
                 .tokens = of_position},
        static_cast<index_t>(position));
}

/// The rows of a site and where their records are; null `rows.records.slot` where nothing is exchanged.
template <typename T>
struct exchanged_site {
  const T* source = nullptr;
  bound_rows<T> rows = {};
};

/// By index in site::all.
template <typename T>
using exchanged_layer = std::array<exchanged_site<T>, site::count>;

/// Hooks that write other activations into rows.
template <typename Model>
class interchange_hooks {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  /// For the layers from `first` on.
  interchange_hooks(const B& backend, index_t first, std::vector<exchanged_layer<T>> layers)
      : backend_(&backend), first_(first), layers_(std::move(layers)) {}

  template <hook_site Site>
  static constexpr bool has = exposes<Site, Model::architecture::residual>;

  template <hook_site Site>
  bool active(index_t layer) const {
    return layer >= first_ and layer - first_ < std::ssize(layers_) and at<Site>(layer).rows.records.slot != nullptr;
  }
  index_t lowest_layer() const { return first_; }

  template <hook_site Site>
  void forward(index_t layer, matrix_view<const T> h, matrix_view<T> out) const {
    backend_->intervene(interchange{}, h, out, at<Site>(layer).source, at<Site>(layer).rows);
  }
  template <hook_site Site>
  void backward(index_t, matrix_view<const T>, matrix_view<const T>, matrix_view<T>) const {
    assert(false);  // exact runs go forward only
  }

 private:
  template <hook_site Site>
  const exchanged_site<T>& at(index_t layer) const {
    return layers_[static_cast<std::size_t>(layer - first_)][site_index<Site>];
  }

  const B* backend_;
  index_t first_;
  std::vector<exchanged_layer<T>> layers_;
};

/// What the sites of a pass with exchanged rows share.
template <tensor_backend B>
class exchange_binder {
 public:
  using T = typename B::scalar;

  /// For at most `rows` rows at a site.
  exchange_binder(workspace<B>& memory, index_t rows) : memory_(&memory) {
    host_matrix<T> one(1, 1);
    one(0, 0) = 1;
    strength_ = memory.take(one).data;
    sequence_ = memory.take(std::vector<int>(static_cast<std::size_t>(rows)));
  }

  /// A site whose rows have these records of `source`, -1 for rows that stay as they are.
  exchanged_site<T> operator()(const T* source, std::vector<int> slots) const {
    exchanged_site<T> site{.source = source};
    site.rows.records.rows = std::ssize(slots);
    site.rows.records.slot = memory_->take(std::move(slots));
    site.rows.beta = strength_;
    site.rows.sequence = sequence_;
    return site;
  }

 private:
  workspace<B>* memory_;
  const T* strength_;
  const int* sequence_;
};

template <typename Model>
class exchanged_runs {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  /// `base` is the untouched run of these prompts, with its streams. The passes of one call take at most about `memory`
  /// bytes, or what one sequence takes.
  exchanged_runs(const Model& model, std::span<const std::vector<int>> prompts, const recorded_run<Model>& base,
                 const parameter_layout& places, const stream_scorer<Model>& score, index_t memory)
      : model_(model), prompts_(prompts), base_(base), places_(places), score_(score), memory_(memory) {}

  /// The metric of each exchange at a layer; `sources[k]` is the source of block k [rows, channels of a token].
  std::vector<double> operator()(index_t layer, std::span<const exchange> all,
                                 std::span<const T* const> sources) const {
    std::vector<double> values;
    while (not all.empty()) {
      const std::size_t count = together(layer, all);
      const std::vector<double> some = run(layer, all.first(count), sources);
      values.insert(values.end(), some.begin(), some.end());
      all = all.subspan(count);
    }
    return values;
  }

  /// What one pass from a layer on takes, in bytes.
  static index_t bytes(const model_config& config, index_t layer, index_t rows, index_t keys, index_t sequences) {
    return bytes_of_pass<T>(config, {rows, keys, sequences}, {layer, config.layers}, {no_hooks{}, config.layers},
                            pass_use::forward_only) +
           (rows * (2 * config.width + std::max(config.hidden, config.width)) + sequences * config.vocabulary) *
               static_cast<index_t>(sizeof(T));
  }

 private:
  index_t past_of(const exchange& e) const { return e.tokens.front(); }
  index_t length_of(const exchange& e) const { return std::ssize(prompts_[e.prompt]); }

  /// How many of the exchanges fit the bound in one pass, at least one.
  std::size_t together(index_t layer, std::span<const exchange> all) const {
    index_t rows = 0, keys = 0;
    for (std::size_t count = 0; count < all.size(); ++count) {
      rows += length_of(all[count]) - past_of(all[count]);
      keys += length_of(all[count]);
      if (count > 0 and bytes(model_.config(), layer, rows, keys, static_cast<index_t>(count) + 1) > memory_)
        return count;
    }
    return all.size();
  }

  /// The rows of the base run that a pass starts from, and those of its past tokens and their places among its keys.
  struct starts {
    std::vector<int> rows = {}, past = {}, keys = {};
  };
  starts starts_of(std::span<const exchange> some) const {
    starts s;
    int key = 0;
    for (const exchange& e : some)
      for (int i = 0; i < length_of(e); ++i, ++key) {
        const int row = base_.first_row(e.prompt) + i;
        if (i >= past_of(e))
          s.rows.push_back(row);
        else
          s.past.push_back(row), s.keys.push_back(key);
      }
    return s;
  }

  /// The offset of each row's record at a block's site, -1 for rows that stay as they are.
  std::vector<int> slots(std::size_t block, index_t layer, std::span<const exchange> some) const {
    const parameter_block& of = places_.blocks[block];
    const index_t heads = rows_per_token(model_.config(), of.site);
    const bool last_only = scored_only(model_.config(), of.site, layer);
    std::vector<int> slots;
    for (const exchange& e : some)
      for (index_t i = last_only ? length_of(e) - 1 : past_of(e), k = 0; i < length_of(e); ++i) {
        while (k < std::ssize(e.tokens) and e.tokens[static_cast<std::size_t>(k)] < i) ++k;
        const bool here = e.block == block and k < std::ssize(e.tokens) and e.tokens[static_cast<std::size_t>(k)] == i;
        for (index_t head = 0; head < heads; ++head) {
          const bool exchanged = here and (e.head < 0 or e.head == head);
          const index_t record = exchanged ? e.sources[static_cast<std::size_t>(k)] * heads + head : -1;
          assert(record * of.width <= std::numeric_limits<int>::max());
          slots.push_back(exchanged ? static_cast<int>(record * of.width) : -1);
        }
      }
    return slots;
  }

  std::vector<double> run(index_t layer, std::span<const exchange> some, std::span<const T* const> sources) const {
    const B& backend = model_.backend();
    const model_config& config = model_.config();
    std::vector<std::vector<int>> ids;
    std::vector<int> past, prompt;
    for (const exchange& e : some) {
      ids.push_back(prompts_[e.prompt]);
      past.push_back(static_cast<int>(past_of(e)));
      prompt.push_back(static_cast<int>(e.prompt));
    }
    const batch<B> rows(backend, config, ids, scored::last, past);
    workspace<B> memory(backend);

    exchanged_layer<T> sites{};
    const exchange_binder<B> bind(memory, rows.rows() * config.heads);
    for (std::size_t k = 0; k < places_.blocks.size(); ++k)
      if (std::ranges::find(some, k, &exchange::block) != some.end())
        sites[*site::find(places_.blocks[k].site)] = bind(sources[k], slots(k, layer, some));

    using hooks = interchange_hooks<Model>;
    pass<Model, hooks> from_layer(model_, rows, {layer, config.layers}, hooks(backend, layer, {sites}));
    starts start = starts_of(some);
    const index_t past_tokens = std::ssize(start.past);
    const int* const of_rows = memory.take(std::move(start.rows));
    const int* const of_past = memory.take(std::move(start.past));
    const int* const past_keys = memory.take(std::move(start.keys));
    const auto take_past = [&](index_t l) {
      if (past_tokens > 0)
        backend.forward(copy_row{}, past_tokens, 3 * config.width, selected_row(name::h, base_.keys(l), of_past),
                        selected_row(name::out, from_layer.keys(l), past_keys));
    };
    const matrix_view<T> stream = memory.take(rows.rows(), config.width);
    backend.forward(copy_row{}, stream.rows, stream.cols, selected_row(name::h, base_.stream(layer), of_rows),
                    each_row(name::out, stream));
    take_past(layer);
    const matrix_view<T> leaving = from_layer.forward(stream, [&](index_t l, matrix_view<T>) {
      if (l + 1 < config.layers) take_past(l + 1);  // all layers of a pass forward share the memory of their keys
    });
    return score_.values(leaving, memory.take(std::move(prompt)));
  }

  const Model& model_;
  std::span<const std::vector<int>> prompts_;
  const recorded_run<Model>& base_;
  const parameter_layout& places_;
  const stream_scorer<Model>& score_;
  index_t memory_;
};

}  // namespace trimtab::explain::detail
