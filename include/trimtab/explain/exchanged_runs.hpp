// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/records.hpp>
#include <trimtab/explain/exchange_rows.hpp>
#include <trimtab/explain/interchange.hpp>
#include <trimtab/explain/metric.hpp>
#include <trimtab/explain/recorded_run.hpp>
#include <trimtab/row/residual.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

/// Exact runs, each of one prompt with its activations at one place exchanged. All places of a layer are sequences of
/// one batch: they start from the stream that an untouched run had before this layer, and have no rows for the tokens
/// before the place, whose keys and values that run had too. Up to the end of the layer they have none for the tokens
/// after the place either, unless what enters the layer is exchanged.

namespace trimtab::explain::detail {

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
  using T = typename Model::scalar;

  /// For the layers from `first` on.
  interchange_hooks(index_t first, std::vector<exchanged_layer<T>> layers)
      : first_(first), layers_(std::move(layers)) {}

  template <hook_site Site>
  static constexpr bool has = exposes<Site, Model::architecture::residual>;

  template <hook_site Site>
  bool active(index_t layer) const {
    return layer >= first_ and layer - first_ < std::ssize(layers_) and at<Site>(layer).rows.records.slot != nullptr;
  }
  index_t lowest_layer() const { return first_; }

  template <hook_site Site, typename On>
  void forward(const On& on, index_t layer, matrix_view<const T> h, matrix_view<T> out) const {
    on.intervene(interchange{}, h, out, at<Site>(layer).source, at<Site>(layer).rows);
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
  using rows_type = exchange_rows<Model>;

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
  /// Whether an exchange changes only the rows of its own tokens up to the end of its layer, and there is another
  /// layer.
  bool stays(const exchange& e, index_t layer) const {
    return places_.blocks[e.block].site != site::resid_pre::text and layer + 1 < model_.config().layers;
  }

  /// How many of the exchanges can share a pass that fits the bound, at least one.
  std::size_t together(index_t layer, std::span<const exchange> all) const {
    index_t rows = 0, keys = 0;
    for (std::size_t count = 0; count < all.size(); ++count) {
      const index_t length = std::ssize(prompts_[all[count].prompt]);
      rows += length - all[count].tokens.front();
      keys += length;
      if (count > 0 and (stays(all[count], layer) != stays(all.front(), layer) or
                         bytes(model_.config(), layer, rows, keys, static_cast<index_t>(count) + 1) > memory_))
        return count;
    }
    return all.size();
  }

  /// The offset of each row's record at a block's site, -1 for rows that stay as they are.
  std::vector<int> slots(std::size_t block, index_t layer, std::span<const exchange> some,
                         const rows_type& rows) const {
    const parameter_block& of = places_.blocks[block];
    const index_t heads = rows_per_token(model_.config(), of.site);
    const bool last_only = scored_only(model_.config(), of.site, layer);
    std::vector<int> slots;
    for (std::size_t n = 0; n < some.size(); ++n) {
      const exchange& e = some[n];
      const auto [first, last] = rows.tokens(n);
      for (index_t i = last_only ? last - 1 : first, k = 0; i < last; ++i) {
        while (k < std::ssize(e.tokens) and e.tokens[static_cast<std::size_t>(k)] < i) ++k;
        const bool here = e.block == block and k < std::ssize(e.tokens) and e.tokens[static_cast<std::size_t>(k)] == i;
        for (index_t head = 0; head < heads; ++head) {
          const bool exchanged = here and (e.head < 0 or e.head == head);
          const index_t record = exchanged ? e.sources[static_cast<std::size_t>(k)] * heads + head : -1;
          assert(record * of.width <= std::numeric_limits<int>::max());
          slots.push_back(exchanged ? static_cast<int>(record * of.width) : -1);
        }
      }
    }
    return slots;
  }

  /// The stream after the layers, from the base run's before them, with activations of the first one exchanged.
  matrix_view<T> exchanged(layer_interval layers, std::span<const exchange> some, std::span<const T* const> sources,
                           rows_type& rows, workspace<B>& memory) const {
    const B& backend = model_.backend();
    exchanged_layer<T> sites{};
    const exchange_binder<B> bind(memory, rows.rows().rows() * model_.config().heads);
    for (std::size_t k = 0; k < places_.blocks.size(); ++k)
      if (std::ranges::find(some, k, &exchange::block) != some.end())
        sites[*site::find(places_.blocks[k].site)] = bind(sources[k], slots(k, layers.first, some, rows));
    using hooks = interchange_hooks<Model>;
    pass<Model, hooks> run(model_, rows.rows(), layers, hooks(layers.first, {sites}));
    const matrix_view<T> leaving = rows.forward(run, layers, rows.stream(layers.first));
    const matrix_view<T> kept = memory.take(leaving.rows, leaving.cols);
    backend.copy(leaving, kept);
    return kept;
  }

  std::vector<double> run(index_t layer, std::span<const exchange> some, std::span<const T* const> sources) const {
    const layer_interval above{layer + 1, model_.config().layers};
    workspace<B> memory(model_.backend());
    std::vector<int> prompt;
    for (const exchange& e : some) prompt.push_back(static_cast<int>(e.prompt));
    const int* const prompts = memory.take(std::move(prompt));
    rows_type whole(model_, prompts_, base_, some, rows_type::up_to::end);
    if (not stays(some.front(), layer))
      return score_.values(exchanged({layer, above.last}, some, sources, whole, memory), prompts);

    rows_type own(model_, prompts_, base_, some, rows_type::up_to::place);
    const matrix_view<T> changed = exchanged({layer, above.first}, some, sources, own, memory);
    const matrix_view<T> stream = whole.stream(above.first);
    model_.backend().forward(copy_row{}, changed.rows, changed.cols, each_row(name::h, changed),
                             selected_row(name::out, stream, memory.take(whole.rows_of(own))));
    pass<Model> rest(model_, whole.rows(), above);
    return score_.values(whole.forward(rest, above, stream), prompts);
  }

  const Model& model_;
  std::span<const std::vector<int>> prompts_;
  const recorded_run<Model>& base_;
  const parameter_layout& places_;
  const stream_scorer<Model>& score_;
  index_t memory_;
};

}  // namespace trimtab::explain::detail
