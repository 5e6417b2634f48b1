// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/explain/corrupt.hpp>
#include <trimtab/explain/exact_map.hpp>
#include <trimtab/steer/sequence.hpp>

#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Activation patching: a run of the corrupt prompt with the activations of the clean one at a single place
/// (denoising), or the other way round (noising). A place's score is the share of the gap that it closes,
///
///     (D_patched − D_base) / (D_source − D_base)         means over the prompts that have the place
///
/// 1 where it closes all of it; per prompt it is the change D_patched − D_base.

namespace trimtab::explain {

namespace detail {

/// Divides each score by the gap between the two runs, both over the prompts that have the place; no score where the
/// gap is below 1e-6 of the metric's size. `source` and `base` are by prompt.
inline void take_shares(place_map& map, std::span<const double> source, std::span<const double> base) {
  double size = 0;
  for (std::size_t n = 0; n < source.size(); ++n)
    size += (std::abs(source[n]) + std::abs(base[n])) / (2 * static_cast<double>(source.size()));
  index_t without = 0;
  for (std::size_t i = 0; i < map.scores.size(); ++i) {
    if (map.counts[i] == 0) continue;
    double gap = 0;
    for (std::size_t n = 0; n < source.size(); ++n)
      if (not std::isnan(map.per_prompt[n][i])) gap += source[n] - base[n];
    gap /= static_cast<double>(map.counts[i]);
    const bool closes = std::abs(gap) >= 1e-6 * size;
    map.scores[i] = closes ? map.scores[i] / gap : no_score;
    without += closes ? 0 : 1;
  }
  if (without > 0)
    map.warnings.push_back(std::to_string(without) + " of " + std::to_string(map.scores.size()) +
                           " places have no share: the clean and the corrupt runs of their prompts differ by less than "
                           "1e-6 of the metric");
}

}  // namespace detail

/// Throws `bad_data` for a prompt without a corrupt one, else as `attribution` does.
template <tensor_backend B, model_architecture A>
place_map patching(const transformer<B, A>& model, std::span<const prompt_pair> prompts, const options& chosen = {}) {
  using Model = transformer<B, A>;
  using T = typename B::scalar;
  detail::check_corrupt(prompts, model.config().vocabulary);
  return with_memory_for("patch the model's activations", [&] {
    const bool denoising = chosen.direction == patch_direction::denoising;
    detail::exact_map<Model> exact(model, "patching", prompts, chosen);
    std::vector<double> clean_values, corrupt_values;
    exact.each_group(2, [&](std::size_t first, std::span<const prompt_pair> some) {
      const auto clean_ids = ids_of(some), corrupt_ids = detail::corrupt_ids_of(some);
      const detail::recorded_run<Model> clean(model, clean_ids, exact.map().places,
                                              {.activations = denoising, .streams = not denoising});
      const detail::recorded_run<Model> corrupt(model, corrupt_ids, exact.map().places,
                                                {.activations = not denoising, .streams = denoising});
      const detail::scorer<B> score(model.backend(), chosen.metric, some, clean.logits());
      const auto of_clean = score.values(clean.logits(), nullptr), of_corrupt = score.values(corrupt.logits(), nullptr);
      clean_values.insert(clean_values.end(), of_clean.begin(), of_clean.end());
      corrupt_values.insert(corrupt_values.end(), of_corrupt.begin(), of_corrupt.end());
      const auto& source = denoising ? clean : corrupt;
      exact.score(
          first, some, denoising ? corrupt_ids : clean_ids, denoising ? corrupt : clean, score,
          denoising ? of_corrupt : of_clean,
          [&](std::size_t block, index_t layer) -> const T* {
            return source.at(block, static_cast<std::size_t>(exact.map().places.blocks[block].layer_number(layer)))
                .data;
          },
          [&](const detail::exchange& e, const parameter_block& block, index_t layer, index_t) {
            std::vector<index_t> rows;
            for (int token : e.tokens)
              rows.push_back(detail::scored_only(model.config(), block.site, layer)
                                 ? static_cast<index_t>(e.prompt)
                                 : source.first_row(e.prompt) + token);
            return rows;
          });
    });
    place_map map = exact.finished();
    clean_values = gathered(chosen.ranks, std::move(clean_values));
    corrupt_values = gathered(chosen.ranks, std::move(corrupt_values));
    map.clean = detail::mean_of(clean_values);
    map.corrupt = detail::mean_of(corrupt_values);
    detail::take_shares(map, denoising ? clean_values : corrupt_values, denoising ? corrupt_values : clean_values);
    return map;
  });
}

}  // namespace trimtab::explain
