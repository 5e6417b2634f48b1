// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/explain/exact_map.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/sequence.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <span>
#include <utility>
#include <vector>

/// Ablation: a run with the activations of one place replaced by zero, by their mean over the data's tokens at that
/// place, or by those of another prompt at that place, drawn at random. A place's score is D_untouched − D_ablated.

namespace trimtab::explain {

namespace detail {

/// A number that depends on all of these.
inline std::uint64_t mixed(std::initializer_list<std::uint64_t> numbers) {
  std::uint64_t state = 0;
  for (std::uint64_t x : numbers) state = random_generator(state ^ x)();
  return state;
}

/// What replaces activations, and which of its rows.
template <typename Model>
class replacements {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  replacements(const Model& model, std::span<const prompt_pair> prompts, const options& chosen,
               const parameter_layout& places)
      : model_(model), prompts_(prompts), chosen_(chosen), places_(places), uploaded_(places.blocks.size()) {
    for (const prompt_pair& p : prompts_) {
      const std::vector<int> positions = positions_of(places_.blocks.front().positions, p);
      first_row_.push_back(first_row_.back() + std::ssize(p.ids));
      for (std::size_t i = 0; i < positions.size(); ++i) {
        if (positions[i] < 0) continue;
        std::vector<holder>& holders = holders_[positions[i]];
        if (holders.empty() or holders.back().prompt != positions_.size()) holders.push_back({positions_.size(), {}});
        holders.back().tokens.push_back(static_cast<int>(i));
      }
      positions_.push_back(positions);
    }
    collect();
  }

  /// What stays in memory, in bytes.
  static index_t bytes(const model_config& config, std::span<const prompt_pair> prompts, const options& chosen,
                       const parameter_layout& places) {
    if (chosen.ablate == ablation_kind::zero) return 0;
    index_t tokens = 0, channels = 0;
    for (const prompt_pair& p : prompts) tokens += std::ssize(p.ids);
    for (const parameter_block& block : places.blocks)
      channels += std::ssize(block.layers) * block.width * rows_per_token(config, block.site);
    if (chosen.ablate == ablation_kind::mean)
      return places.blocks.front().positions.count() * channels * static_cast<index_t>(sizeof(double));
    return tokens * channels * static_cast<index_t>(sizeof(double));
  }

  /// How many rows a source has.
  index_t source_rows() const {
    if (chosen_.ablate == ablation_kind::zero) return 1;
    return chosen_.ablate == ablation_kind::mean ? places_.blocks.front().positions.count() : first_row_.back();
  }

  /// The source of a block's layer, in the backend's memory until the next call for the block.
  const T* source(std::size_t block, index_t layer) {
    const parameter_block& of = places_.blocks[block];
    typename B::memory& memory = uploaded_[block];
    if (chosen_.ablate == ablation_kind::zero) {
      memory = model_.backend().allocate(channels(of));
    } else {
      const host_matrix<double>& numbers = numbers_[block][static_cast<std::size_t>(of.layer_number(layer))];
      host_matrix<T> rows(numbers.rows, numbers.cols);
      std::ranges::transform(numbers.values, rows.values.begin(), [](double x) { return static_cast<T>(x); });
      memory = model_.backend().upload(std::as_const(rows).view());
    }
    return memory.data();
  }

  /// The rows of the source for the tokens of an exchange, whose prompt is number `prompt` of all; none where no other
  /// prompt has the place. Tokens of a place are paired from the last one backward.
  std::vector<index_t> rows(const exchange& e, std::size_t prompt, const parameter_block& block, index_t layer,
                            index_t position) const {
    std::vector<index_t> rows(e.tokens.size(), chosen_.ablate == ablation_kind::mean ? position : 0);
    if (chosen_.ablate != ablation_kind::resample) return rows;
    const std::vector<holder>& holders = holders_.at(static_cast<int>(position));
    if (holders.size() < 2) return {};
    const auto own = std::ranges::find(holders, prompt, &holder::prompt) - holders.begin();
    random_generator random(mixed({chosen_.seed, prompt, *site::find(block.site), static_cast<std::uint64_t>(layer),
                                   static_cast<std::uint64_t>(position), static_cast<std::uint64_t>(e.head + 1)}));
    auto drawn = static_cast<std::ptrdiff_t>(random.below(holders.size() - 1));
    if (drawn >= own) ++drawn;
    const holder& other = holders[static_cast<std::size_t>(drawn)];
    for (std::size_t k = 0; k < rows.size(); ++k) {
      const std::size_t from_end = std::min(rows.size() - 1 - k, other.tokens.size() - 1);
      rows[k] = first_row_[other.prompt] + other.tokens[other.tokens.size() - 1 - from_end];
    }
    return rows;
  }

 private:
  /// A prompt that has a position, and its tokens there.
  struct holder {
    std::size_t prompt;
    std::vector<int> tokens;
  };

  index_t channels(const parameter_block& block) const {
    return block.width * rows_per_token(model_.config(), block.site);
  }

  /// Runs the untouched model on all prompts and keeps the activations, or their sums by position.
  void collect() {
    if (chosen_.ablate == ablation_kind::zero) return;
    const bool mean = chosen_.ablate == ablation_kind::mean;
    const index_t count = places_.blocks.front().positions.count();
    for (const parameter_block& block : places_.blocks)
      numbers_.emplace_back(block.layers.size(),
                            host_matrix<double>(mean ? count : first_row_.back(), channels(block)));
    std::vector<double> tokens(static_cast<std::size_t>(count));
    for (const std::vector<int>& positions : positions_)
      for (int position : positions)
        if (position >= 0) ++tokens[static_cast<std::size_t>(position)];
    const auto bytes = [&](index_t rows, index_t) {  // every token is scored
      return bytes_of_run<T>(places_, model_.config(), rows, rows, {.logits = false, .activations = true});
    };
    each_group(prompts_, chosen_.memory, bytes, [&](std::size_t first, std::span<const prompt_pair> some) {
      const recorded_run<Model> run(model_, ids_of(some), places_, {.logits = false, .activations = true}, scored::all);
      for (std::size_t b = 0; b < places_.blocks.size(); ++b)
        for (std::size_t k = 0; k < places_.blocks[b].layers.size(); ++k) {
          const index_t width = channels(places_.blocks[b]);
          const host_matrix<T> found = model_.backend().download(run.at(b, k).reshaped(width));
          host_matrix<double>& to = numbers_[b][k];
          for (std::size_t n = 0; n < some.size(); ++n)
            for (std::size_t i = 0; i < some[n].ids.size(); ++i) {
              const int position = positions_[first + n][i];
              const index_t row = mean ? position : first_row_[first + n] + static_cast<index_t>(i);
              for (index_t j = 0; position >= 0 and j < width; ++j)
                to(row, j) += static_cast<double>(found(run.first_row(n) + static_cast<index_t>(i), j));
            }
        }
    });
    for (auto& layers : numbers_)
      for (host_matrix<double>& sums : layers)
        for (index_t i = 0; mean and i < sums.rows; ++i)
          for (index_t j = 0; j < sums.cols; ++j) sums(i, j) /= std::max(1.0, tokens[static_cast<std::size_t>(i)]);
  }

  const Model& model_;
  std::span<const prompt_pair> prompts_;
  const options& chosen_;
  const parameter_layout& places_;
  std::vector<index_t> first_row_ = {0};
  std::vector<std::vector<int>> positions_ = {};
  std::map<int, std::vector<holder>> holders_ = {};
  std::vector<std::vector<host_matrix<double>>> numbers_ = {};  ///< by block and layer of the block
  std::vector<typename B::memory> uploaded_;
};

}  // namespace detail

/// Throws as `attribution` does, and `bad_data` for resampling a single prompt.
template <tensor_backend B, model_architecture A>
place_map ablation(const transformer<B, A>& model, std::span<const prompt_pair> prompts, const options& chosen = {}) {
  using Model = transformer<B, A>;
  check_prompts(prompts, model.config().vocabulary);
  require_single_answers(prompts, "explain");
  if (chosen.ablate == ablation_kind::resample and prompts.size() < 2)
    throw error(error_kind::bad_data,
                "resampling takes activations from other prompts, and there is only one; give "
                "more prompts, or ablate with zero");
  return with_memory_for("ablate the model's activations", [&] {
    detail::exact_map<Model> exact(model, "ablation", prompts, chosen);
    detail::replacements<Model> other(model, prompts, chosen, exact.map().places);
    std::vector<double> untouched;
    exact.each_group(
        1,
        [&](std::size_t first, std::span<const prompt_pair> some) {
          const auto ids = ids_of(some);
          const detail::recorded_run<Model> base(model, ids, exact.map().places, {.streams = true});
          const detail::scorer<B> score(model.backend(), chosen.metric, some, base.logits());
          const std::vector<double> values = score.values(base.logits(), nullptr);
          untouched.insert(untouched.end(), values.begin(), values.end());
          exact.score(
              first, some, ids, base, score, values,
              [&](std::size_t block, index_t layer) { return other.source(block, layer); },
              [&](const detail::exchange& e, const parameter_block& block, index_t layer, index_t position) {
                return other.rows(e, first + e.prompt, block, layer, position);
              });
        },
        detail::replacements<Model>::bytes(model.config(), prompts, chosen, exact.map().places));
    for (std::vector<double>& scores : exact.map().per_prompt)
      for (double& score : scores) score = 0 - score;
    place_map map = exact.finished();
    map.clean = detail::mean_of(gathered(chosen.ranks, std::move(untouched)));
    return map;
  });
}

}  // namespace trimtab::explain
