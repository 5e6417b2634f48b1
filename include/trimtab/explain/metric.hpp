// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/explain/place_map.hpp>
#include <trimtab/model/workspace.hpp>
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/row/layer_norm.hpp>
#include <trimtab/row/math.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

/// The metrics that places are scored by, on rows of logits in a backend's memory: D = z[correct] − z[wrong], the
/// probability of the correct answer, or KL(p_clean ‖ p).

namespace trimtab::explain {

/// z[correct] − z[wrong].
struct logit_difference {
  constexpr auto value(row auto& r) const { return r.h(r.correct()) - r.h(r.wrong()); }

  constexpr void gradient(row auto& r) const {
    const auto d = r.d_value();
    r.at(r.correct(), [&](auto j) { r.d_h(j) += d; });
    r.at(r.wrong(), [&](auto j) { r.d_h(j) -= d; });
  }
};

/// p[correct], the softmax of the logits; its gradient is p[correct] (δ − p).
struct correct_probability {
  constexpr auto value(row auto& r) const {
    using math::exp;
    const auto top = r.max([&](auto j) { return r.h(j); });
    return exp(r.h(r.correct()) - top) / r.sum([&](auto j) { return exp(r.h(j) - top); });
  }

  constexpr void gradient(row auto& r) const {
    using math::exp;
    const auto top = r.max([&](auto j) { return r.h(j); });
    const auto scale = 1 / r.sum([&](auto j) { return exp(r.h(j) - top); });
    const auto d = r.d_value() * exp(r.h(r.correct()) - top) * scale;
    r.each([&](auto j) { r.d_h(j) -= d * exp(r.h(j) - top) * scale; });
    r.at(r.correct(), [&](auto j) { r.d_h(j) += d; });
  }
};

namespace detail {

/// Measures the runs of some prompts.
template <tensor_backend B>
class scorer {
 public:
  using T = typename B::scalar;

  /// `clean` are the logits [prompts, V] of the clean runs, which only the KL divergence reads.
  scorer(const B& backend, metric_kind metric, std::span<const prompt_pair> prompts, matrix_view<const T> clean = {})
      : backend_(&backend), metric_(metric), memory_(backend), clean_(clean) {
    std::vector<int> correct, wrong;
    for (const prompt_pair& p : prompts) correct.push_back(p.correct_id), wrong.push_back(p.wrong_id);
    take(std::move(correct), std::move(wrong));
  }
  /// For logits of the answers alone, of which these are the columns for each prompt.
  scorer(const B& backend, std::vector<int> correct, std::vector<int> wrong)
      : backend_(&backend), metric_(metric_kind::logit_diff), memory_(backend) {
    take(std::move(correct), std::move(wrong));
  }

  metric_kind metric() const { return metric_; }
  /// The metric of each row of logits [rows, V]; row i is of the prompt `prompt[i]`, in the backend's memory, or of
  /// prompt i where `prompt` is null.
  std::vector<double> values(matrix_view<const T> logits, const int* prompt) const {
    typename B::memory values = backend_->allocate(logits.rows);
    const matrix_view<T> to = values.view(1, logits.rows);
    with_rows(logits, prompt, [&](auto term, auto... operands) {
      backend_->values(term, logits.rows, logits.cols, to.data, operands...);
    });
    const host_matrix<T> host = backend_->download(to);
    std::vector<double> numbers(host.values.size());
    std::ranges::transform(host.values, numbers.begin(), [](T x) { return static_cast<double>(x); });
    return numbers;
  }

  /// Sets d_logits [rows, V] to the gradient of each row's metric.
  void gradient(matrix_view<const T> logits, const int* prompt, matrix_view<T> d_logits) const {
    typename B::memory weights = backend_->allocate(logits.rows);
    const matrix_view<T> ones = weights.view(logits.rows, 1);
    backend_->fill(ones, T(1));
    backend_->fill(d_logits, T(0));
    with_rows(logits, prompt, [&](auto term, auto... operands) {
      backend_->gradients(term, logits.rows, logits.cols, operands..., each_row(grad(name::h), d_logits),
                          each_row(grad(name::value), ones.as_const()));
    });
  }

 private:
  void take(std::vector<int> correct, std::vector<int> wrong) {
    correct_ = memory_.take(std::move(correct));
    wrong_ = memory_.take(std::move(wrong));
  }

  template <typename F>
  void with_rows(matrix_view<const T> logits, const int* prompt, F f) const {
    const auto with = [&](auto term, auto... reference) {
      f(term, each_row(name::h, logits), operand<per_row<"correct">, const int>{correct_, 1, prompt},
        operand<per_row<"wrong">, const int>{wrong_, 1, prompt}, reference...);
    };
    switch (metric_) {
      case metric_kind::logit_diff: return with(logit_difference{});
      case metric_kind::probability: return with(correct_probability{});
      case metric_kind::kl:
        return with(objective::faithfulness{.over = objective::vocabulary::full},
                    selected_row(name::reference, clean_, prompt));
    }
  }

  const B* backend_;
  metric_kind metric_;
  workspace<B> memory_;
  matrix_view<const T> clean_ = {};
  const int *correct_ = nullptr, *wrong_ = nullptr;
};

/// The metric of streams that leave the last layer. The logit difference needs the logits of the answers alone, which
/// are the same bits as those of the whole vocabulary and cost little.
template <typename Model>
class stream_scorer {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  stream_scorer(const Model& model, std::span<const prompt_pair> prompts, const scorer<B>& whole)
      : model_(model), whole_(whole) {
    if (whole.metric() != metric_kind::logit_diff) return;
    std::vector<int> ids;
    for (const prompt_pair& p : prompts) ids.push_back(p.correct_id), ids.push_back(p.wrong_id);
    std::ranges::sort(ids);
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    const auto column = [&](int id) { return static_cast<int>(std::ranges::lower_bound(ids, id) - ids.begin()); };
    std::vector<int> correct, wrong;
    for (const prompt_pair& p : prompts) correct.push_back(column(p.correct_id)), wrong.push_back(column(p.wrong_id));
    answers_ = std::ssize(ids);
    unembedding_.emplace(model.backend().prepare(rows_of_unembedding(ids).view(), {}, true));
    narrow_.emplace(model.backend(), std::move(correct), std::move(wrong));
  }

  /// The metric of each row of x [rows, D]; row i is of the prompt `prompt[i]`, in the backend's memory.
  std::vector<double> values(matrix_view<T> x, const int* prompt) const {
    workspace<B> memory(model_.backend());
    const matrix_view<T> norm = memory.take(x.rows, x.cols);
    if (not narrow_) {
      const matrix_view<T> logits = memory.take(x.rows, model_.config().vocabulary);
      model_.unembed(x, norm, logits);
      return whole_.values(logits, prompt);
    }
    const matrix_view<T> logits = memory.take(x.rows, answers_);
    model_.backend().forward(layer_norm{model_.config().layer_norm_epsilon}, x.rows, x.cols, each_row(name::h, x),
                             each_row(name::out, norm),
                             all_rows(layer_norm::gain, model_.norm_final().gain.view(1, x.cols)),
                             all_rows(layer_norm::bias, model_.norm_final().bias.view(1, x.cols)));
    model_.backend().multiply(*unembedding_, norm, logits);
    return narrow_->values(logits, prompt);
  }

 private:
  /// Rows of the unembedding, which a model keeps only in the form of its backend: products with unit vectors.
  host_matrix<T> rows_of_unembedding(const std::vector<int>& ids) const {
    const B& backend = model_.backend();
    workspace<B> memory(backend);
    host_matrix<T> unit(1, model_.config().vocabulary), rows(std::ssize(ids), model_.config().width);
    const matrix_view<T> row = memory.take(1, rows.cols);
    for (index_t i = 0; i < rows.rows; ++i) {
      const index_t id = ids[static_cast<std::size_t>(i)];
      unit(0, id) = 1;
      workspace<B> of_unit(backend);
      backend.multiply_backward(model_.unembedding(), of_unit.take(unit), row);
      unit(0, id) = 0;
      backend.download(row, {rows.view().row(i), 1, rows.cols});
    }
    return rows;
  }

  const Model& model_;
  const scorer<B>& whole_;
  index_t answers_ = 0;
  std::optional<typename B::linear> unembedding_ = {};
  std::optional<scorer<B>> narrow_ = {};
};

}  // namespace detail
}  // namespace trimtab::explain
