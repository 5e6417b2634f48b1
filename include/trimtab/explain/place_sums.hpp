// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/core/records.hpp>
#include <trimtab/explain/place_map.hpp>

#include <cstddef>
#include <span>
#include <vector>

/// Sums of numbers by row into scores by prompt and place: tokens that share a place are added up, in a fixed order.

namespace trimtab::explain::detail {

/// Adds values of a site's rows up by prompt and place, in the order in which the gradient of a parameter is added up
/// that the rows of a place share (core/records.hpp).
class sums_by_place {
 public:
  sums_by_place(const parameter_block& block, const model_config& config, std::span<const prompt_pair> prompts,
                bool of_scored)
      : places_(block.records_per_layer()), plan_(slots(block, config, prompts, of_scored)) {}

  /// add(prompt, place within a layer, sum) for each place that has rows.
  template <typename T, typename Add>
  void operator()(std::span<const T> values, Add add) const {
    const auto at = [](const std::vector<int>& numbers, int i) { return numbers[static_cast<std::size_t>(i)]; };
    for (int record = 0; record < static_cast<int>(plan_.record_slot.size()); ++record) {
      T total = 0;
      for (int piece = at(plan_.record_begin, record); piece < at(plan_.record_begin, record + 1); ++piece) {
        T sum = 0;
        for (int k = at(plan_.piece_begin, piece); k < at(plan_.piece_begin, piece + 1); ++k)
          sum += values[static_cast<std::size_t>(at(plan_.order, k))];
        total += sum;
      }
      const index_t slot = at(plan_.record_slot, record);
      add(static_cast<std::size_t>(slot / places_), slot % places_, static_cast<double>(total));
    }
  }

 private:
  static std::vector<int> slots(const parameter_block& block, const model_config& config,
                                std::span<const prompt_pair> prompts, bool of_scored) {
    const index_t rows = rows_per_token(config, block.site);
    std::vector<int> slots;
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      const std::vector<int> positions = positions_of(block.positions, prompts[n]);
      for (std::size_t i = of_scored ? positions.size() - 1 : 0; i < positions.size(); ++i)
        for (index_t row = 0; row < rows; ++row) {
          const index_t place = static_cast<index_t>(n) * block.records_per_layer() + positions[i] * block.parts +
                                (block.parts > 1 ? row : 0);
          slots.push_back(positions[i] < 0 ? -1 : static_cast<int>(place));
        }
    }
    return slots;
  }

  index_t places_;
  record_plan plan_;
};

/// Adds to the scores of some prompts of a map.
template <tensor_backend B>
class score_sums {
 public:
  using T = typename B::scalar;

  /// For the prompts `some`, of which the first is prompt `first` of the map.
  score_sums(const B& backend, const model_config& config, place_map& map, std::size_t first,
             std::span<const prompt_pair> some)
      : backend_(&backend), config_(&config), map_(&map), first_(first) {
    for (const parameter_block& block : map.places.blocks) {
      all_.emplace_back(block, config, some, false);
      scored_.emplace_back(block, config, some, true);
    }
  }

  /// Adds `share` times the term's values on the rows of a block's layer.
  template <typename Term, typename... Operand>
  void add(std::size_t block, index_t layer, const Term& term, double share, index_t rows, index_t width,
           Operand... operands) const {
    typename B::memory memory = backend_->allocate(rows);
    const matrix_view<T> values = memory.view(1, rows);
    backend_->values(term, rows, width, values.data, operands...);
    const host_matrix<T> host = backend_->download(values);
    const parameter_block& of = map_->places.blocks[block];
    const auto& sums = scored_only(*config_, of.site, layer) ? scored_ : all_;
    sums[block](std::span(host.values), [&](std::size_t n, index_t place, double sum) {
      map_->per_prompt[first_ + n][static_cast<std::size_t>(of.layer_offset(layer) + place)] += share * sum;
    });
  }

 private:
  const B* backend_;
  const model_config* config_;
  place_map* map_;
  std::size_t first_;
  std::vector<sums_by_place> all_ = {}, scored_ = {};
};

}  // namespace trimtab::explain::detail
