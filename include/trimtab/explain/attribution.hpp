// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/explain/corrupt.hpp>
#include <trimtab/explain/gradient_run.hpp>
#include <trimtab/explain/groups.hpp>
#include <trimtab/explain/interchange.hpp>
#include <trimtab/explain/metric.hpp>
#include <trimtab/explain/place_sums.hpp>
#include <trimtab/explain/recorded_run.hpp>
#include <trimtab/steer/sequence.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Scores of all places at once, from gradients of the metric D:
///
///     gradient                ⟨h, ∂D/∂h⟩, what ActivScalar's α would change: one forward and one backward pass
///     patching                ⟨h_clean − h_corrupt, ∂D/∂h⟩ on the corrupt run (denoising), ⟨h_corrupt − h_clean, ∂D/∂h⟩
///                             on the clean one (noising): two forward passes and one backward pass
///     integrated              the first with the mean gradient of runs between the corrupt and the clean embeddings
///                             (EAP-IG, Hanna et al. 2024), all in one batch
///
/// Only first-order effects are seen; patching.hpp and ablation.hpp compute the exact ones.

namespace trimtab::explain {

namespace detail {

/// Σ h · d_out, the derivative of the metric by the scale of an activation.
struct scale_effect {
  constexpr auto value(row auto& r) const {
    return r.sum([&](auto j) { return r.h(j) * r.d_out(j); });
  }
};

/// Σ (h' − h) · d_out, the first-order effect of exchanging h by h'.
struct exchange_effect {
  static constexpr per_channel<"other"> other{};

  constexpr auto value(row auto& r) const {
    return r.sum([&](auto j) { return (r(other, j) - r.h(j)) * r.d_out(j); });
  }
};

/// What a pass forward and backward over some tokens takes, in bytes.
template <typename T>
index_t bytes_of_backward(const model_config& config, const parameter_layout& places, index_t rows, index_t sequences) {
  const placed_sites sites(places);
  const pass_rows shape{rows, rows, sequences};
  const layer_interval above{sites.lowest_layer(), config.layers};
  return bytes_of_pass<T>(config, shape, {0, above.first}, {no_hooks{}, config.layers}, pass_use::forward_only) +
         bytes_of_pass<T>(config, shape, above, {sites, config.layers}, pass_use::forward_and_backward) +
         (2 * sequences * config.vocabulary + rows * config.width) * static_cast<index_t>(sizeof(T));
}

/// The rows of the k-th of several runs that lie one after another.
template <typename T>
matrix_view<T> rows_of_run(matrix_view<T> rows, index_t run, index_t runs) {
  const index_t count = rows.rows / runs;
  return {rows.row(run * count), count, rows.cols};
}

inline double path_point(path_rule rule, index_t k, index_t steps) {
  const double offset = rule == path_rule::midpoint ? 0.5 : rule == path_rule::left ? 0 : 1;
  return (static_cast<double>(k) + offset) / static_cast<double>(steps);
}

/// The three methods on one model and one set of prompts.
template <typename Model>
class attribution_of {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;
  using prompts = std::span<const prompt_pair>;

  attribution_of(const Model& model, std::string method, prompts all, const options& chosen)
      : model_(model),
        backend_(model.backend()),
        config_(model.config()),
        all_(all),
        chosen_(chosen),
        map_(empty_map(std::move(method), config_, chosen, all)),
        sites_(map_.places) {}

  place_map gradient() {
    each_group(chosen_.ranks, all_, chosen_.memory, bytes(1, 0), [&](std::size_t first, prompts some) {
      const batch<B> rows(backend_, config_, ids_of(some));
      workspace<B> memory(backend_);
      const score_sums<B> sums(backend_, config_, map_, first, some);
      append(clean_,
             run_backward(model_, rows, embedded(rows, memory), sites_, scorer<B>(backend_, chosen_.metric, some),
                          nullptr, [&]<hook_site Site>(Site, index_t l, auto h, auto d_out) {
                            sums.add(sites_.template block<Site>(), l, scale_effect{}, 1, h.rows, h.cols,
                                     each_row(name::h, h), each_row(grad(name::out), d_out));
                          }));
    });
    return finished();
  }

  place_map patching() {
    const bool denoising = chosen_.direction == patch_direction::denoising;
    each_group(chosen_.ranks, all_, chosen_.memory, bytes(1, 1), [&](std::size_t first, prompts some) {
      const auto clean_ids = ids_of(some), corrupt_ids = corrupt_ids_of(some);
      const recorded_run<Model> other(model_, denoising ? clean_ids : corrupt_ids, map_.places, {.activations = true});
      const batch<B> rows(backend_, config_, denoising ? corrupt_ids : clean_ids);
      workspace<B> memory(backend_);
      const score_sums<B> sums(backend_, config_, map_, first, some);
      const scorer<B> score(backend_, chosen_.metric, some, other.logits());
      append(denoising ? clean_ : corrupt_, score.values(other.logits(), nullptr));
      append(denoising ? corrupt_ : clean_,
             run_backward(model_, rows, embedded(rows, memory), sites_, score, nullptr,
                          [&]<hook_site Site>(Site, index_t l, auto h, auto d_out) {
                            const std::size_t block = sites_.template block<Site>();
                            sums.add(block, l, exchange_effect{}, 1, h.rows, h.cols, each_row(name::h, h),
                                     each_row(exchange_effect::other, activations(other, block, l)),
                                     each_row(grad(name::out), d_out));
                          }));
    });
    return finished();
  }

  place_map integrated() {
    const index_t runs = chosen_.steps;
    each_group(chosen_.ranks, all_, chosen_.memory, bytes(runs, 2), [&](std::size_t first, prompts some) {
      const recorded_run<Model> clean(model_, ids_of(some), map_.places, {.activations = true});
      const recorded_run<Model> corrupt(model_, corrupt_ids_of(some), map_.places, {.activations = true});
      const scorer<B> score(backend_, chosen_.metric, some, clean.logits());
      append(clean_, score.values(clean.logits(), nullptr));
      append(corrupt_, score.values(corrupt.logits(), nullptr));

      std::vector<std::vector<int>> ids;
      std::vector<int> prompt;
      for (index_t k = 0; k < runs; ++k)
        for (std::size_t n = 0; n < some.size(); ++n) ids.push_back(some[n].ids), prompt.push_back(static_cast<int>(n));
      const batch<B> rows(backend_, config_, ids);
      workspace<B> memory(backend_);
      const matrix_view<T> from = embedded(corrupt.rows(), memory), to = embedded(clean.rows(), memory);
      const matrix_view<T> x = memory.take(rows.rows(), config_.width);
      host_matrix<T> points(runs, 1);
      for (index_t k = 0; k < runs; ++k) points(k, 0) = static_cast<T>(path_point(chosen_.rule, k, runs));
      const matrix_view<T> point = memory.take(points);
      for (index_t k = 0; k < runs; ++k)
        backend_.forward(interchange{}, from.rows, from.cols, each_row(name::h, from),
                         each_row(interchange::source, to), each_row(name::out, rows_of_run(x, k, runs)),
                         operand<per_row<"beta">, const T>{point.row(k), 0});

      const score_sums<B> sums(backend_, config_, map_, first, some);
      run_backward(model_, rows, x, sites_, score, memory.take(std::move(prompt)),
                   [&]<hook_site Site>(Site, index_t l, auto, auto d_out) {
                     const std::size_t block = sites_.template block<Site>();
                     const auto h = activations(corrupt, block, l), other = activations(clean, block, l);
                     for (index_t k = 0; k < runs; ++k)
                       sums.add(block, l, exchange_effect{}, 1 / static_cast<double>(runs), h.rows, h.cols,
                                each_row(name::h, h), each_row(exchange_effect::other, other),
                                each_row(grad(name::out), rows_of_run(d_out, k, runs)));
                   });
    });
    return finished();
  }

 private:
  /// The bytes of a group whose prompts run `runs` times, with the activations of `kept` further runs.
  auto bytes(index_t runs, index_t kept) const {
    return [this, runs, kept](index_t tokens, index_t count) {
      return bytes_of_backward<T>(config_, map_.places, runs * tokens, runs * count) +
             kept * bytes_of_run<T>(map_.places, config_, tokens, count, {.activations = true});
    };
  }
  matrix_view<T> embedded(const batch<B>& rows, workspace<B>& memory) const {
    const matrix_view<T> x = memory.take(rows.rows(), config_.width);
    model_.embed(rows, x);
    return x;
  }
  matrix_view<const T> activations(const recorded_run<Model>& run, std::size_t block, index_t layer) const {
    return run.at(block, static_cast<std::size_t>(map_.places.blocks[block].layer_number(layer)));
  }
  static void append(std::vector<double>& to, const std::vector<double>& values) {
    to.insert(to.end(), values.begin(), values.end());
  }
  place_map finished() {
    const auto clean = gathered(chosen_.ranks, clean_), corrupt = gathered(chosen_.ranks, corrupt_);
    map_.clean = mean_of(clean);
    if (not corrupt.empty()) map_.corrupt = mean_of(corrupt);
    take_means(map_, chosen_.ranks);
    return std::move(map_);
  }

  const Model& model_;
  const B& backend_;
  const model_config& config_;
  prompts all_;
  const options& chosen_;
  place_map map_;
  placed_sites sites_;
  std::vector<double> clean_ = {}, corrupt_ = {};
};

/// Throws `bad_argument` where the gradient is taken on the clean run and says nothing: the KL divergence from this run
/// is smallest there.
inline void require_slope(const options& chosen) {
  const bool on_corrupt =
      chosen.attribute == attribution_kind::integrated or
      (chosen.attribute == attribution_kind::patching and chosen.direction == patch_direction::denoising);
  if (chosen.metric == metric_kind::kl and not on_corrupt)
    throw error(
        error_kind::bad_argument,
        "on the clean run, where this method takes it, the gradient of the KL divergence is 0; measure by logit "
        "difference or probability");
}

}  // namespace detail

/// Scores places by gradients, as `options::attribute` says. Throws `bad_data` or `bad_text` for prompts, also for
/// those without a corrupt prompt that the method needs; `bad_argument` for places that the model lacks, for less than
/// one step, and for the KL divergence on the clean run; `memory` for a bound below what one prompt takes.
template <tensor_backend B, model_architecture A>
place_map attribution(const transformer<B, A>& model, std::span<const prompt_pair> prompts,
                      const options& chosen = {}) {
  using of_model = detail::attribution_of<transformer<B, A>>;
  detail::require_slope(chosen);
  if (chosen.steps < 1)
    throw error(error_kind::bad_argument,
                "integrated gradients need at least one step, found " + std::to_string(chosen.steps));
  return with_memory_for("attribute the answer to places", [&] {
    if (chosen.attribute == attribution_kind::gradient) {
      check_prompts(prompts, model.config().vocabulary);
      require_single_answers(prompts, "explain");
      return of_model(model, "gradient", prompts, chosen).gradient();
    }
    detail::check_corrupt(prompts, model.config().vocabulary);
    return chosen.attribute == attribution_kind::patching
               ? of_model(model, "attribution-patching", prompts, chosen).patching()
               : of_model(model, "integrated", prompts, chosen).integrated();
  });
}

}  // namespace trimtab::explain
