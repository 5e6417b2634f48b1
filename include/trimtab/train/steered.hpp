// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/train/bound_steering.hpp>
#include <trimtab/train/untouched.hpp>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

/// A steered model on a set of prompts, planned once and run as often as the parameters change. Each prompt rides once
/// for every strength, side by side in one batch; all start from the stream that the untouched model brings to the
/// lowest hook.

namespace trimtab {

/// Whether all prompts share one set of parameters or each has its own.
enum class lane_use { shared, one_per_prompt };

/// Each prompt once for every strength: all at the first strength, then all at the second.
inline std::vector<steered_sequence> every_strength(index_t prompts, std::span<double const> strengths,
                                                    lane_use lanes = lane_use::shared) {
  std::vector<steered_sequence> sequences;
  for (double beta : strengths)
    for (index_t n = 0; n < prompts; ++n) sequences.push_back({n, beta, lanes == lane_use::shared ? 0 : n});
  return sequences;
}

inline std::vector<std::vector<int>> ids_of(std::span<prompt_pair const> prompts) {
  std::vector<std::vector<int>> ids;
  for (prompt_pair const& p : prompts) ids.push_back(p.ids);
  return ids;
}

/// Parameters of one lane to the backend.
template <tensor_backend B>
void load(B const& backend, std::span<double const> theta, matrix_view<typename B::scalar> to) {
  using T = typename B::scalar;
  host_matrix<T> host(1, to.size());
  std::ranges::transform(theta, host.values.begin(), [](double x) { return static_cast<T>(x); });
  const auto there = backend.upload(std::as_const(host).view());
  backend.copy(there.view(1, to.size()), to);
}

template <typename Model, typename... Interventions>
class steered {
 public:
  using B = typename Model::backend_type;
  using T = typename Model::scalar;
  using bound_type = bound_steering<B, Interventions...>;

  /// Throws `bad_text` for a prompt that the model cannot read, `mismatch` for one that the positions do not fit.
  steered(steering<Model, Interventions...> const& composition, parameter_layout const& layout,
          std::span<prompt_pair const> prompts, std::vector<steered_sequence> sequences, index_t lanes = 1,
          tape_use use = tape_use::forward_only, scored where = scored::last)
      : model_(composition.model()),
        sequences_(std::move(sequences)),
        bound_(model_.backend(), model_.config(), composition.interventions(), layout, prompts, sequences_, lanes,
               where),
        first_layer_(std::min(bound_.lowest_layer(), model_.config().layers - 1)),
        untouched_(model_, ids_of(prompts), first_layer_, where),
        rows_(model_.backend(), model_.config(), ids_by_sequence(prompts), where),
        memory_(model_.backend()),
        pass_(model_, rows_, {first_layer_, model_.config().layers}, {&bound_}, use) {
    stream_ = memory_.take(rows_.rows(), model_.config().width);
    logits_ = memory_.take(rows_.queries(), model_.config().vocabulary);
    if (use == tape_use::forward_and_backward) d_logits_ = memory_.take(rows_.queries(), model_.config().vocabulary);
    repeat_stream(prompts);
  }

  steered(steered const&) = delete;  // its pass refers to its batch
  steered& operator=(steered const&) = delete;

  std::vector<steered_sequence> const& sequences() const { return sequences_; }
  untouched<Model> const& reference() const { return untouched_; }
  matrix_view<T> theta() { return bound_.theta(); }               ///< [1, lanes * lane size]
  matrix_view<T> gradient() { return bound_.gradient(); }         ///< of θ, set by `backward`
  matrix_view<T> d_logits() { return d_logits_; }                 ///< [queries, V], to be filled before `backward`

  /// Logits of the scored positions, [queries, V], the sequences one after another.
  matrix_view<T const> forward() {
    pass_.unembed(pass_.forward(stream_), logits_);
    return logits_;
  }

  void backward() {
    // A record that no row uses is not visited, and its gradient is zero.
    model_.backend().fill(bound_.gradient(), T(0));
    pass_.backward(d_logits_);
  }

 private:
  std::vector<std::vector<int>> ids_by_sequence(std::span<prompt_pair const> prompts) const {
    std::vector<std::vector<int>> ids;
    for (steered_sequence const& s : sequences_) ids.push_back(prompts[static_cast<std::size_t>(s.prompt)].ids);
    return ids;
  }

  void repeat_stream(std::span<prompt_pair const> prompts) {
    std::vector<int> first_row{0}, source;
    for (prompt_pair const& p : prompts) first_row.push_back(first_row.back() + static_cast<int>(p.ids.size()));
    for (steered_sequence const& s : sequences_) {
      const auto n = static_cast<std::size_t>(s.prompt);
      for (int row = first_row[n]; row < first_row[n + 1]; ++row) source.push_back(row);
    }
    model_.backend().forward(copy{}, stream_.rows, stream_.cols,
                             selected_row(name::h, untouched_.stream(), memory_.take(std::move(source))),
                             each_row(name::out, stream_));
  }

  Model const& model_;
  std::vector<steered_sequence> sequences_;
  bound_type bound_;
  index_t first_layer_;
  untouched<Model> untouched_;
  batch<B> rows_;
  workspace<B> memory_;
  pass<Model, hooks_of<bound_type>> pass_;
  matrix_view<T> stream_ = {}, logits_ = {}, d_logits_ = {};
};

template <typename Model, typename... Interventions, typename... Rest>
steered(steering<Model, Interventions...> const&, Rest&&...) -> steered<Model, Interventions...>;

}  // namespace trimtab
