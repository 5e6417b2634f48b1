// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/random.hpp>
#include <trimtab/explain/ablation.hpp>
#include <trimtab/explain/corrupt.hpp>
#include <trimtab/explain/exchanged_runs.hpp>
#include <trimtab/measure/rankings.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// How far a ranking of places describes the model: the metric D_k of the clean prompt where every place but the first k
/// has the activations of the corrupt run (without corrupt prompts, those of an ablation), as the share
///
///     f(k) = (D_k − D_∅) / (D − D_∅)
///
/// of the gap to the corrupt run. Kept places compute on what reaches them. Places are ranked on the first half of the
/// prompts, and the curve is measured on the other.

namespace trimtab::explain {

struct ranking_curve {
  faithfulness_curve by_size = {};   ///< places in the order of |score|
  faithfulness_curve by_score = {};  ///< the most positive first
  with_interval cpr = {};            ///< the area below `by_score`; intervals are over the prompts measured
  with_interval cmd = {};            ///< the area between `by_size` and 1
  std::vector<double> random_mean = {}, random_low = {}, random_high = {};  ///< of random orders, with their 95 % band
};

namespace detail {

/// Runs of some prompts with all places exchanged but those of a set.
template <typename Model>
class kept_runs {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  /// `rows(exchange, block, layer, position)` are the rows of a source, as in `exact_map::score`; `source(block, layer)`
  /// is its memory, which must stay.
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
    pass<Model, hooks> whole(model_, rows, {0, config.layers}, hooks(backend, 0, std::move(layers)));
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

/// The mean scores of the first half of a map's prompts, such that positive places support the answer: the corrupt
/// activations of noising take away what a place supports.
inline std::vector<double> ranked_scores(const place_map& map, std::size_t half, patch_direction direction) {
  const bool takes_away =
      direction == patch_direction::noising and (map.method == "patching" or map.method == "attribution-patching");
  std::vector<double> scores(static_cast<std::size_t>(map.places.size()));
  for (std::size_t i = 0; i < scores.size(); ++i) {
    double count = 0;
    for (std::size_t n = 0; n < half; ++n)
      if (not std::isnan(map.per_prompt[n][i])) scores[i] += map.per_prompt[n][i], ++count;
    scores[i] *= (takes_away ? -1 : 1) / std::max(1.0, count);
  }
  return scores;
}

inline void require_curve(const place_map& map, std::size_t prompts) {
  for (const parameter_block& block : map.places.blocks)
    if (block.site != site::attn_z::text and block.site != site::attn_out::text and block.site != site::mlp_out::text)
      throw error(error_kind::bad_argument,
                  "a faithfulness curve is of what is added to the stream, attn_out, mlp_out "
                  "or attn_z; '" +
                      block.site + "' would override what lies before it");
  if (prompts < 2)
    throw error(error_kind::bad_data,
                "a faithfulness curve ranks places on one half of the prompts and is measured on "
                "the other; give at least two prompts");
}

}  // namespace detail

/// The curve of a map that was made of these prompts with these options. Throws `bad_argument` for sites that override
/// the stream, `bad_data` for a single prompt or where only some prompts have a corrupt one.
template <tensor_backend B, model_architecture A>
ranking_curve faithfulness_of(const transformer<B, A>& model, std::span<const prompt_pair> prompts,
                              const place_map& map, const options& chosen = {}, int random_orders = 100) {
  using Model = transformer<B, A>;
  using T = typename B::scalar;
  detail::require_curve(map, prompts.size());
  const std::size_t half = (prompts.size() + 1) / 2;
  const std::span<const prompt_pair> measured = prompts.subspan(half);
  const bool has_corrupt = std::ranges::any_of(prompts, [](const prompt_pair& p) { return not p.corrupt_ids.empty(); });
  if (has_corrupt) detail::check_corrupt(prompts, model.config().vocabulary);
  return with_memory_for("measure how faithful a ranking is", [&] {
    // The clean and the corrupt runs, and what replaces activations.
    workspace<B> memory(model.backend());
    const detail::recorded_run<Model> clean(model, ids_of(measured), map.places, {});
    const detail::scorer<B> score(model.backend(), chosen.metric, measured, clean.logits());
    const std::vector<double> of_clean = score.values(clean.logits(), nullptr);
    std::optional<detail::recorded_run<Model>> corrupt;
    std::optional<detail::replacements<Model>> other;
    if (has_corrupt)
      corrupt.emplace(model, detail::corrupt_ids_of(measured), map.places, detail::kept_of_run{.activations = true});
    else
      other.emplace(model, prompts, chosen, map.places);
    const detail::kept_runs<Model> runs(
        model, measured, map.places, score, chosen.memory > 0 ? chosen.memory : detail::usual_bound,
        [&](std::size_t block, index_t layer) -> const T* {
          const parameter_block& of = map.places.blocks[block];
          if (corrupt) return corrupt->at(block, static_cast<std::size_t>(of.layer_number(layer))).data;
          const index_t channels = of.width * detail::rows_per_token(model.config(), of.site);
          const matrix_view<T> kept = memory.take(other->source_rows(), channels);
          model.backend().copy({other->source(block, layer), kept.rows, kept.cols}, kept);
          return kept.data;
        },
        [&](const detail::exchange& e, const parameter_block& block, index_t layer, index_t position) {
          if (other) return other->rows(e, half + e.prompt, block, layer, position);
          std::vector<index_t> rows;
          for (int token : e.tokens)
            rows.push_back(detail::scored_only(model.config(), block.site, layer)
                               ? static_cast<index_t>(e.prompt)
                               : corrupt->first_row(e.prompt) + token);
          return rows;
        });

    // Orders of the places: by size, by score, and at random.
    const std::vector<double> scores = detail::ranked_scores(map, half, chosen.direction);
    std::vector<std::vector<std::size_t>> orders{order_by(sizes_of(scores)), order_by(scores)};
    random_generator random(chosen.seed);
    for (int i = 0; i < random_orders; ++i) {
      orders.push_back(std::vector(orders.front()));
      random.shuffle(orders.back());
    }
    const auto values_of = [&](const std::vector<bool>& kept) {
      std::vector<typename detail::kept_runs<Model>::run> each;
      for (std::size_t n = 0; n < measured.size(); ++n) each.push_back({n, &kept});
      return runs(each);
    };
    const std::size_t count = scores.size();
    const std::vector<double> of_none = values_of(std::vector<bool>(count, false));
    const std::vector<double> start = corrupt ? score.values(corrupt->logits(), nullptr) : of_none;
    /// The metric of each prompt at each share.
    const auto values_along = [&](const std::vector<std::size_t>& order) {
      std::vector<std::vector<double>> values;
      std::vector<bool> kept(count);
      std::size_t before = 0;
      for (double share : faithfulness_curve::shares) {
        const auto k = static_cast<std::size_t>(share * static_cast<double>(count) + 1e-9);  // 0.1 · 30 is 3
        for (std::size_t i = before; i < k; ++i) kept[order[i]] = true;
        values.push_back(k == 0 ? of_none : k == before ? values.back() : k == count ? of_clean : values_of(kept));
        before = k;
      }
      return values;
    };
    const auto curve_of = [&](const std::vector<std::vector<double>>& values, std::span<const std::size_t> drawn) {
      const auto mean = [&](const std::vector<double>& of) {
        double sum = 0;
        for (std::size_t n : drawn) sum += of[n];
        return sum / static_cast<double>(drawn.size());
      };
      faithfulness_curve curve;
      for (std::size_t s = 0; s < values.size(); ++s) {
        curve.kept.push_back(faithfulness_curve::shares[s]);
        curve.faithfulness.push_back((mean(values[s]) - mean(start)) / (mean(of_clean) - mean(start)));
      }
      return curve;
    };
    std::vector<std::size_t> all(measured.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    const auto by_size = values_along(orders[0]), by_score = values_along(orders[1]);
    ranking_curve found{.by_size = curve_of(by_size, all), .by_score = curve_of(by_score, all)};
    const auto with = [&](auto area) { return bootstrap(measured.size(), area, 1000, chosen.seed); };
    found.cpr = with([&](std::span<const std::size_t> drawn) { return curve_of(by_score, drawn).area(); });
    found.cmd = with([&](std::span<const std::size_t> drawn) { return curve_of(by_size, drawn).area_to_one(); });
    std::vector<std::vector<double>> by_share(found.by_size.kept.size());
    for (std::size_t i = 2; i < orders.size(); ++i) {
      const faithfulness_curve one = curve_of(values_along(orders[i]), all);
      for (std::size_t s = 0; s < by_share.size(); ++s) by_share[s].push_back(one.faithfulness[s]);
    }
    for (std::vector<double>& values : by_share) {
      if (values.empty()) continue;
      std::ranges::sort(values);
      found.random_mean.push_back(detail::mean_of(values));
      found.random_low.push_back(quantile_of(values, 0.025));
      found.random_high.push_back(quantile_of(values, 0.975));
    }
    return found;
  });
}

}  // namespace trimtab::explain
