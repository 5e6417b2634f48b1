// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/explain/groups.hpp>
#include <trimtab/explain/metric.hpp>
#include <trimtab/explain/recorded_run.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/sequence.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// The logit lens (nostalgebraist 2020): what the model would answer if a layer were the last one, after each layer and
/// at each token: the final norm and the unembedding, applied to `resid_post`.

namespace trimtab::explain {

namespace detail {

template <typename T>
lens_reading read_lens(std::span<const T> logits, const prompt_pair& p) {
  const T z_correct = logits[static_cast<std::size_t>(p.correct_id)];
  const T z_wrong = logits[static_cast<std::size_t>(p.wrong_id)];
  const auto correct = static_cast<double>(z_correct), wrong = static_cast<double>(z_wrong);
  const auto top = std::ranges::max_element(logits);
  double sum = 0;
  index_t above_correct = 0, above_wrong = 0;
  for (T x : logits) {
    const auto z = static_cast<double>(x);
    sum += std::exp(z - static_cast<double>(*top));
    above_correct += z > correct;
    above_wrong += z > wrong;
  }
  const auto probability = [&](double z) { return std::exp(z - static_cast<double>(*top)) / sum; };
  return {static_cast<double>(z_correct - z_wrong),  // rounded as the metric is
          probability(correct),
          probability(wrong),
          static_cast<double>(above_correct + 1),
          static_cast<double>(above_wrong + 1),
          static_cast<int>(top - logits.begin())};
}

/// A reading at a place of the map; the layer is the map's.
struct placed_reading {
  std::size_t layer, position;
  lens_reading reading;
};

/// The mean of readings, one after another.
class mean_reading {
 public:
  void add(const lens_reading& r) {
    ++count_;
    sum_.logit_diff += r.logit_diff;
    sum_.probability_correct += r.probability_correct;
    sum_.probability_wrong += r.probability_wrong;
    sum_.rank_correct += r.rank_correct;
    sum_.rank_wrong += r.rank_wrong;
    ++times_[r.top_id];
  }
  lens_reading mean() const {
    const auto top = std::ranges::max_element(times_, {}, [](const auto& entry) { return entry.second; });
    return {sum_.logit_diff / count_,   sum_.probability_correct / count_, sum_.probability_wrong / count_,
            sum_.rank_correct / count_, sum_.rank_wrong / count_,          top->first};
  }
  bool empty() const { return count_ == 0; }

 private:
  double count_ = 0;
  lens_reading sum_ = {};
  std::map<int, index_t> times_ = {};
};

}  // namespace detail

/// Scores are the metric at `resid_post`. Throws as `attribution` does, and `bad_argument` for other sites. A place of
/// several tokens shows their mean.
template <tensor_backend B, model_architecture A>
place_map logit_lens(const transformer<B, A>& model, std::span<const prompt_pair> prompts,
                     const options& chosen = {.sites = {"resid_post"}}) {
  using Model = transformer<B, A>;
  using T = typename B::scalar;
  const model_config& config = model.config();
  if (chosen.sites != std::vector<std::string>{std::string(site::resid_post::text)})
    throw error(error_kind::bad_argument,
                "the logit lens reads the stream after each layer; its only site is resid_post");
  check_prompts(prompts, config.vocabulary);
  require_single_answers(prompts, "explain");
  return with_memory_for("apply the logit lens", [&] {
    place_map map = detail::empty_map("logit-lens", config, chosen, prompts);
    const parameter_block& block = map.places.blocks.front();
    std::vector<double> clean;
    std::vector<detail::placed_reading> readings;
    std::vector<std::vector<detail::mean_reading>> means(
        block.layers.size(), std::vector<detail::mean_reading>(static_cast<std::size_t>(block.positions.count())));
    const auto bytes = [&](index_t tokens, index_t) {  // every token has logits, in memory and on the host
      return 2 * detail::bytes_of_run<T>(map.places, config, tokens, tokens, {.activations = true});
    };
    detail::each_group(
        chosen.ranks, prompts, chosen.memory, bytes, [&](std::size_t first, std::span<const prompt_pair> some) {
          const detail::recorded_run<Model> run(model, ids_of(some), map.places, {.activations = true}, scored::all);
          workspace<B> memory(model.backend());
          std::vector<int> prompt, last;
          for (std::size_t n = 0; n < some.size(); ++n) {
            prompt.insert(prompt.end(), some[n].ids.size(), static_cast<int>(n));
            last.push_back(static_cast<int>(prompt.size()) - 1);
          }
          const index_t rows = std::ssize(prompt);
          const matrix_view<T> answers = memory.take(std::ssize(some), config.vocabulary);
          model.backend().forward(copy_row{}, answers.rows, answers.cols,
                                  selected_row(name::h, run.logits(), memory.take(last)), each_row(name::out, answers));
          const int* const prompts_of_rows = memory.take(std::move(prompt));
          const detail::scorer<B> score(model.backend(), chosen.metric, some, answers);
          const std::vector<double> untouched = score.values(answers, nullptr);
          clean.insert(clean.end(), untouched.begin(), untouched.end());

          const matrix_view<T> stream = memory.take(rows, config.width), norm = memory.take(rows, config.width);
          const matrix_view<T> logits = memory.take(rows, config.vocabulary);
          for (std::size_t k = 0; k < block.layers.size(); ++k) {
            model.backend().copy(run.at(0, k), stream);
            model.unembed(stream, norm, logits);
            const std::vector<double> values = score.values(logits, prompts_of_rows);
            const host_matrix<T> host = model.backend().download(logits);
            for (std::size_t n = 0; n < some.size(); ++n) {
              const std::vector<int> positions = positions_of(block.positions, some[n]);
              for (std::size_t i = 0; i < positions.size(); ++i) {
                if (positions[i] < 0) continue;
                const auto row = static_cast<std::size_t>(run.first_row(n)) + i;
                const auto sharing = static_cast<double>(std::ranges::count(positions, positions[i]));
                map.per_prompt[first + n][static_cast<std::size_t>(block.layer_offset(block.layers[k]) +
                                                                   positions[i])] += values[row] / sharing;
                readings.push_back({k, static_cast<std::size_t>(positions[i]),
                                    detail::read_lens(std::span<const T>(host.values)
                                                          .subspan(row * static_cast<std::size_t>(host.cols),
                                                                   static_cast<std::size_t>(host.cols)),
                                                      some[n])});
              }
            }
          }
        });
    for (const detail::placed_reading& r : gathered(chosen.ranks, std::move(readings)))
      means[r.layer][r.position].add(r.reading);
    for (const auto& layer : means) {
      std::vector<lens_reading>& shown = map.lens.emplace_back();
      for (const detail::mean_reading& m : layer) shown.push_back(m.empty() ? lens_reading{} : m.mean());
    }
    map.clean = detail::mean_of(gathered(chosen.ranks, std::move(clean)));
    detail::take_means(map, chosen.ranks);
    return map;
  });
}

}  // namespace trimtab::explain
