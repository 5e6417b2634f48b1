// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/explain/recorded_run.hpp>
#include <trimtab/model/pass.hpp>
#include <trimtab/row/residual.hpp>

#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

/// What is exchanged in an exact run, and the rows of several such runs.

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

/// The rows of some exchanges in one batch: those of their prompts from the first token of the place on.
template <typename Model>
class exchange_rows {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  /// Up to the last token of the prompt, or of the place.
  enum class up_to { end, place };

  exchange_rows(const Model& model, std::span<const std::vector<int>> prompts, const recorded_run<Model>& base,
                std::span<const exchange> some, up_to until)
      : model_(model), base_(base), memory_(model.backend()), batch_(make(prompts, some, until)) {}

  const batch<B>& rows() const { return batch_; }
  /// The tokens of an exchange that have rows.
  token_span tokens(std::size_t k) const { return tokens_[k]; }
  /// The numbers of the rows that fewer rows of the same exchanges have here.
  std::vector<int> rows_of(const exchange_rows& fewer) const {
    std::vector<int> numbers;
    int first = 0;
    for (std::size_t k = 0; k < tokens_.size(); ++k) {
      for (int i = 0; i < fewer.tokens(k).last - fewer.tokens(k).first; ++i) numbers.push_back(first + i);
      first += tokens_[k].last - tokens_[k].first;
    }
    return numbers;
  }

  /// The stream of the base run before a layer [rows, D].
  matrix_view<T> stream(index_t layer) {
    const matrix_view<T> stream = memory_.take(batch_.rows(), model_.config().width);
    model_.backend().forward(copy_row{}, stream.rows, stream.cols, selected_row(name::h, base_.stream(layer), of_rows_),
                             each_row(name::out, stream));
    return stream;
  }

  /// The stream after a pass that begins at a layer.
  template <typename Pass>
  matrix_view<T> forward(Pass& from_layer, layer_interval layers, matrix_view<T> stream) const {
    const auto take_past = [&](index_t l) {
      if (past_tokens_ > 0)
        model_.backend().forward(copy_row{}, past_tokens_, 3 * model_.config().width,
                                 selected_row(name::h, base_.keys(l), of_past_),
                                 selected_row(name::out, from_layer.keys(l), past_keys_));
    };
    take_past(layers.first);
    return from_layer.forward(stream, [&](index_t l, matrix_view<T>) {
      if (l + 1 < layers.last) take_past(l + 1);  // all layers of a pass forward share the memory of their keys
    });
  }

 private:
  batch<B> make(std::span<const std::vector<int>> prompts, std::span<const exchange> some, up_to until) {
    std::vector<std::vector<int>> ids;
    std::vector<int> past, of_rows, of_past, past_keys;
    int key = 0;
    for (const exchange& e : some) {
      const std::vector<int>& all = prompts[e.prompt];
      const int first = e.tokens.front();
      const int last = until == up_to::end ? static_cast<int>(all.size()) : e.tokens.back() + 1;
      ids.emplace_back(all.begin(), all.begin() + last);
      past.push_back(first);
      tokens_.push_back({first, last});
      for (int i = 0; i < last; ++i, ++key) {
        const int row = base_.first_row(e.prompt) + i;
        if (i >= first)
          of_rows.push_back(row);
        else
          of_past.push_back(row), past_keys.push_back(key);
      }
    }
    past_tokens_ = std::ssize(of_past);
    of_rows_ = memory_.take(std::move(of_rows));
    of_past_ = memory_.take(std::move(of_past));
    past_keys_ = memory_.take(std::move(past_keys));
    return batch<B>(model_.backend(), model_.config(), ids, scored::last, past);
  }

  const Model& model_;
  const recorded_run<Model>& base_;
  workspace<B> memory_;
  std::vector<token_span> tokens_ = {};
  index_t past_tokens_ = 0;
  const int *of_rows_ = nullptr, *of_past_ = nullptr, *past_keys_ = nullptr;  ///< in the base run; among the keys
  batch<B> batch_;
};

}  // namespace trimtab::explain::detail
