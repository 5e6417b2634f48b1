// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/explain/ablation.hpp>
#include <trimtab/explain/corrupt.hpp>
#include <trimtab/explain/kept_runs.hpp>
#include <trimtab/measure/rankings.hpp>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// How far a ranking of places describes the model: the metric D_k of the clean prompt where every place but the first
/// k has the activations of the corrupt run (without corrupt prompts, those of an ablation), as the share
///
///     f(k) = (D_k − D_∅) / (D − D_∅)
///
/// of the gap to the corrupt run. Kept places compute on what reaches them. Places are ranked on the first half of the
/// prompts and the curve is measured on the other (`faithfulness_of`), or they are ranked on all of them and the curve
/// is measured on prompts that were held out (`faithfulness_on`).

namespace trimtab::explain {

/// The metric by prompt, from which intervals and comparisons of curves are made.
struct runs_along_curve {
  std::vector<double> clean = {}, corrupt = {};                  ///< [prompts] D and D_∅
  std::vector<std::vector<double>> by_size = {}, by_score = {};  ///< [shares][prompts] D_k
};

struct ranking_curve {
  faithfulness_curve by_size = {};   ///< places in the order of |score|
  faithfulness_curve by_score = {};  ///< the most positive first
  with_interval cpr = {};            ///< the area below `by_score`; intervals are over the prompts measured
  with_interval cmd = {};            ///< the area between `by_size` and 1
  std::vector<double> random_mean = {}, random_low = {}, random_high = {};  ///< of random orders, with their 95 % band
  runs_along_curve runs = {};
};

/// By how much two rankings differ in CPR and CMD.
struct curve_difference {
  with_interval cpr = {}, cmd = {};
};

namespace detail {

/// The curve of some of the prompts, whose metric is `values` [shares][prompts].
inline faithfulness_curve curve_of(const runs_along_curve& runs, const std::vector<std::vector<double>>& values,
                                   std::span<const std::size_t> drawn) {
  const auto mean = [&](const std::vector<double>& of) {
    double sum = 0;
    for (std::size_t n : drawn) sum += of[n];
    return sum / static_cast<double>(drawn.size());
  };
  const double corrupt = mean(runs.corrupt), gap = mean(runs.clean) - corrupt;
  faithfulness_curve curve;
  for (std::size_t s = 0; s < values.size(); ++s) {
    curve.kept.push_back(faithfulness_curve::shares[s]);
    curve.faithfulness.push_back((mean(values[s]) - corrupt) / gap);
  }
  return curve;
}

inline double cpr_of(const runs_along_curve& runs, std::span<const std::size_t> drawn) {
  return curve_of(runs, runs.by_score, drawn).area();
}
inline double cmd_of(const runs_along_curve& runs, std::span<const std::size_t> drawn) {
  return curve_of(runs, runs.by_size, drawn).area_to_one();
}

/// The mean scores of the first prompts of a map, such that positive places support the answer: the corrupt activations
/// of noising take away what a place supports.
inline std::vector<double> ranked_scores(const place_map& map, std::size_t prompts, patch_direction direction) {
  const bool takes_away =
      direction == patch_direction::noising and (map.method == "patching" or map.method == "attribution-patching");
  std::vector<double> scores(static_cast<std::size_t>(map.places.size()));
  for (std::size_t i = 0; i < scores.size(); ++i) {
    double count = 0;
    for (std::size_t n = 0; n < prompts; ++n)
      if (not std::isnan(map.per_prompt[n][i])) scores[i] += map.per_prompt[n][i], ++count;
    scores[i] *= (takes_away ? -1 : 1) / std::max(1.0, count);
  }
  return scores;
}

inline void require_curve(const place_map& map) {
  for (const parameter_block& block : map.places.blocks)
    if (block.site != site::attn_z::text and block.site != site::attn_out::text and block.site != site::mlp_out::text)
      throw error(error_kind::bad_argument,
                  "a faithfulness curve is of what is added to the stream, attn_out, mlp_out "
                  "or attn_z; '" +
                      block.site + "' would override what lies before it");
}

/// The curve of places with these scores on all prompts from number `first` on. Without corrupt prompts, all of them
/// say what replaces activations.
template <typename Model>
ranking_curve measure_curve(const Model& model, std::span<const prompt_pair> prompts, std::size_t first,
                            const std::vector<double>& scores, const parameter_layout& places, const options& chosen,
                            int random_orders) {
  using T = typename Model::scalar;
  const std::span<const prompt_pair> measured = prompts.subspan(first);
  const bool has_corrupt = std::ranges::any_of(prompts, [](const prompt_pair& p) { return not p.corrupt_ids.empty(); });
  if (has_corrupt) check_corrupt(prompts, model.config().vocabulary);
  return with_memory_for("measure how faithful a ranking is", [&] {
    // The clean and the corrupt runs, and what replaces activations.
    workspace<typename Model::backend_type> memory(model.backend());
    const recorded_run<Model> clean(model, ids_of(measured), places, {});
    const scorer<typename Model::backend_type> score(model.backend(), chosen.metric, measured, clean.logits());
    ranking_curve found;
    found.runs.clean = score.values(clean.logits(), nullptr);
    std::optional<recorded_run<Model>> corrupt;
    std::optional<replacements<Model>> other;
    if (has_corrupt)
      corrupt.emplace(model, corrupt_ids_of(measured), places, kept_of_run{.activations = true});
    else
      other.emplace(model, prompts, chosen, places);
    const kept_runs<Model> runs(
        model, measured, places, score, chosen.memory > 0 ? chosen.memory : usual_memory,
        [&](std::size_t block, index_t layer) -> const T* {
          const parameter_block& of = places.blocks[block];
          if (corrupt) return corrupt->at(block, static_cast<std::size_t>(of.layer_number(layer))).data;
          const index_t channels = of.width * rows_per_token(model.config(), of.site);
          const matrix_view<T> kept = memory.take(other->source_rows(), channels);
          model.backend().copy({other->source(block, layer), kept.rows, kept.cols}, kept);
          return kept.data;
        },
        [&](const exchange& e, const parameter_block& block, index_t layer, index_t position) {
          if (other) return other->rows(e, first + e.prompt, block, layer, position);
          std::vector<index_t> rows;
          for (int token : e.tokens)
            rows.push_back(scored_only(model.config(), block.site, layer) ? static_cast<index_t>(e.prompt)
                                                                          : corrupt->first_row(e.prompt) + token);
          return rows;
        });
    const item_range own = own_share(chosen.ranks, std::ssize(measured));
    const auto values_of = [&](const std::vector<bool>& kept) {
      std::vector<typename kept_runs<Model>::run> each;
      for (index_t n = own.first; n < own.last; ++n) each.push_back({static_cast<std::size_t>(n), &kept});
      return gathered(chosen.ranks, runs(each));
    };
    const std::size_t count = scores.size();
    const std::vector<double> of_none = values_of(std::vector<bool>(count, false));
    found.runs.corrupt = corrupt ? score.values(corrupt->logits(), nullptr) : of_none;

    /// The metric of each prompt at each share.
    const auto values_along = [&](const std::vector<std::size_t>& order) {
      std::vector<std::vector<double>> values;
      std::vector<bool> kept(count);
      std::size_t before = 0;
      for (double share : faithfulness_curve::shares) {
        const auto k = static_cast<std::size_t>(share * static_cast<double>(count) + 1e-9);  // 0.1 · 30 is 3
        for (std::size_t i = before; i < k; ++i) kept[order[i]] = true;
        values.push_back(k == 0        ? of_none
                         : k == before ? values.back()
                         : k == count  ? found.runs.clean
                                       : values_of(kept));
        before = k;
      }
      return values;
    };
    std::vector<std::size_t> all(measured.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    found.runs.by_size = values_along(order_by(sizes_of(scores)));
    found.runs.by_score = values_along(order_by(scores));
    found.by_size = curve_of(found.runs, found.runs.by_size, all);
    found.by_score = curve_of(found.runs, found.runs.by_score, all);
    const auto with = [&](auto area) {
      return bootstrap(
          measured.size(), [&](std::span<const std::size_t> drawn) { return area(found.runs, drawn); }, 1000,
          chosen.seed);
    };
    found.cpr = with(cpr_of), found.cmd = with(cmd_of);

    // Random orders depend on the places alone, and not on how they were ranked.
    std::vector<std::size_t> in_order(count);
    std::iota(in_order.begin(), in_order.end(), std::size_t{0});
    random_generator random(chosen.seed);
    std::vector<std::vector<double>> by_share(std::size(faithfulness_curve::shares));
    for (int i = 0; i < random_orders; ++i) {
      auto shuffled = in_order;
      random.shuffle(shuffled);
      const faithfulness_curve one = curve_of(found.runs, values_along(shuffled), all);
      for (std::size_t s = 0; s < by_share.size(); ++s) by_share[s].push_back(one.faithfulness[s]);
    }
    for (std::vector<double>& values : by_share) {
      if (values.empty()) continue;
      std::ranges::sort(values);
      found.random_mean.push_back(mean_of(values));
      found.random_low.push_back(quantile_of(values, 0.025));
      found.random_high.push_back(quantile_of(values, 0.975));
    }
    return found;
  });
}

}  // namespace detail

/// The curve of a map that was made of these prompts with these options. Throws `bad_argument` for sites that override
/// the stream, `bad_data` for a single prompt or where only some prompts have a corrupt one.
template <tensor_backend B, model_architecture A>
ranking_curve faithfulness_of(const transformer<B, A>& model, std::span<const prompt_pair> prompts,
                              const place_map& map, const options& chosen = {}, int random_orders = 100) {
  detail::require_curve(map);
  if (prompts.size() < 2)
    throw error(error_kind::bad_data,
                "a faithfulness curve ranks places on one half of the prompts and is measured on "
                "the other; give at least two prompts, or others to measure on");
  const std::size_t half = (prompts.size() + 1) / 2;
  return detail::measure_curve(model, prompts, half, detail::ranked_scores(map, half, chosen.direction), map.places,
                               chosen, random_orders);
}

/// The curve of a map on other prompts than it was made of. Throws as `faithfulness_of` does, and `bad_data` for a
/// prompt that is longer than those that its places were ranked on.
template <tensor_backend B, model_architecture A>
ranking_curve faithfulness_on(const transformer<B, A>& model, std::span<const prompt_pair> held_out,
                              const place_map& map, const options& chosen = {}, int random_orders = 100) {
  detail::require_curve(map);
  check_prompts(held_out, model.config().vocabulary);
  require_single_answers(held_out, "explain");
  const position_key& key = map.places.blocks.front().positions;
  const bool by_token = key.by() == position_key::kind::absolute or key.by() == position_key::kind::from_end;
  for (std::size_t n = 0; by_token and n < held_out.size(); ++n)
    if (const index_t tokens = std::ssize(held_out[n].ids); tokens > key.count())
      throw error(error_kind::bad_data, "prompt pair " + std::to_string(n + 1) + " has " + std::to_string(tokens) +
                                            " tokens, but places were ranked on prompts of at most " +
                                            std::to_string(key.count()) +
                                            "; leave out longer ones, or rank places by role or shared ones");
  return detail::measure_curve(model, held_out, 0, detail::ranked_scores(map, map.per_prompt.size(), chosen.direction),
                               map.places, chosen, random_orders);
}

/// CPR and CMD of one ranking less those of another, both measured on the same prompts; intervals are over prompts
/// drawn for both at once.
inline curve_difference difference_of(const ranking_curve& first, const ranking_curve& second, std::uint64_t seed = 1) {
  assert(first.runs.clean.size() == second.runs.clean.size());
  const auto with = [&](auto area) {
    return bootstrap(
        first.runs.clean.size(),
        [&](std::span<const std::size_t> drawn) { return area(first.runs, drawn) - area(second.runs, drawn); }, 1000,
        seed);
  };
  return {with(detail::cpr_of), with(detail::cmd_of)};
}

}  // namespace trimtab::explain
