// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/baseline.hpp>
#include <trimtab/steer/binding.hpp>
#include <trimtab/steer/sequence.hpp>

#include <algorithm>
#include <cassert>
#include <concepts>
#include <memory>
#include <span>
#include <utility>
#include <vector>

/// A steered model on a set of sequences, planned once and run as often as the parameters change. All sequences share
/// one batch; each starts from the untouched model's stream before the lowest hooked layer. A pass that also goes
/// backward has no rows for past tokens.

namespace trimtab {

/// Sets each sequence's past: the tokens before the first intervention, which no parameter affects in any layer. The
/// last token, which is scored, is never past.
inline std::vector<sequence> with_past(std::span<const parameter_layout> layouts, std::span<const prompt_pair> prompts,
                                       std::vector<sequence> sequences) {
  const token_records records = records_of(layouts, prompts, sequences);
  for (std::size_t n = 0; n < sequences.size(); ++n) {
    sequence& s = sequences[n];
    s.past = std::ssize(prompts[static_cast<std::size_t>(s.prompt)].ids) - 1;
    for (const std::vector<int>& of_tokens : records[n]) {
      const auto touched = std::ranges::find_if(of_tokens, [](int record) { return record >= 0; });
      s.past = std::min<index_t>(s.past, touched - of_tokens.begin());
    }
  }
  return sequences;
}

/// Where steered passes of a layout start: the lowest layer that any of its interventions is in, or the last one.
inline index_t first_layer_of_pass(const parameter_layout& layout, const model_config& config) {
  index_t first = config.layers - 1;
  for (const parameter_block& block : layout.blocks)
    if (not block.layers.empty()) first = std::min(first, block.layers.front());
  return first;
}

template <typename Steering, typename Observer = no_observer>
class steered {
 public:
  using Model = typename Steering::model_type;
  using B = typename Model::backend_type;
  using T = typename Model::scalar;

  /// One layout per replica. `untouched` is a baseline of the same prompts, or null to compute it here; `hook_terms`
  /// are the loss's terms on what hooks do. Throws `bad_text` for a prompt that the model cannot read, `mismatch` for one
  /// that the positions do not fit.
  steered(const Steering& composition, std::vector<parameter_layout> layouts, std::span<const prompt_pair> prompts,
          std::vector<sequence> sequences, pass_use use = pass_use::forward_only, scored where = scored::last,
          std::shared_ptr<const baseline<Model>> untouched = nullptr, Observer observer = {},
          std::vector<weighted_hook_term<B>> hook_terms = {})
      : steered(composition,
                std::make_shared<const replica_parameters<B>>(composition.model().backend(), std::move(layouts)),
                prompts, std::move(sequences), use, where, std::move(untouched), std::move(observer),
                std::move(hook_terms)) {}

  /// The same with parameters that other runs share.
  steered(const Steering& composition, std::shared_ptr<const replica_parameters<B>> values,
          std::span<const prompt_pair> prompts, std::vector<sequence> sequences, pass_use use, scored where,
          std::shared_ptr<const baseline<Model>> untouched, Observer observer = {},
          std::vector<weighted_hook_term<B>> hook_terms = {})
      : model_(composition.model()),
        use_(use),
        sequences_(use == pass_use::forward_and_backward and where == scored::last
                       ? with_past(values->storage.layouts(), prompts, std::move(sequences))
                       : std::move(sequences)),
        bound_(model_.backend(), model_.config(), values, sequences_,
               records_of(values->storage.layouts(), prompts, sequences_), where, std::move(hook_terms), use),
        first_layer_(first_layer_of_pass(storage().layout(0), model_.config())),
        rows_(model_.backend(), model_.config(), ids_by_sequence(prompts), where, past()),
        memory_(model_.backend()),
        source_(prompts, sequences_, memory_),
        baseline_(untouched and (untouched->has_keys() or source_.past_tokens == 0)
                      ? std::move(untouched)
                      : std::make_shared<const baseline<Model>>(
                            model_, ids_of(prompts), first_layer_, where,
                            source_.past_tokens > 0 ? baseline_keys::keep : baseline_keys::forget)),
        pass_(model_, rows_, {first_layer_, model_.config().layers}, composition.hooks(bound_), use,
              std::move(observer)) {
    assert(baseline_->first_layer() == first_layer_);
    stream_ = memory_.take(rows_.rows(), model_.config().width);
    logits_ = memory_.take(rows_.queries(), model_.config().vocabulary);
    if (use == pass_use::forward_and_backward) d_logits_ = memory_.take(rows_.queries(), model_.config().vocabulary);
    baseline_->copy_stream(source_.of_rows, stream_);
    for (index_t l = first_layer_; l < model_.config().layers and source_.past_tokens > 0; ++l)
      baseline_->copy_keys(l, source_.past_tokens, source_.of_past, source_.past_keys, pass_.keys(l));
  }

  steered(const steered&) = delete;  // its pass refers to its batch
  steered& operator=(const steered&) = delete;

  const std::vector<sequence>& sequences() const { return sequences_; }
  const std::shared_ptr<const baseline<Model>>& untouched() const { return baseline_; }
  const replica_storage<B>& storage() const { return bound_.storage(); }
  matrix_view<T> theta() { return bound_.theta(); }        ///< of all replicas, see storage()
  matrix_view<T> gradient() { return bound_.gradient(); }  ///< of θ, set by `backward`
  matrix_view<T> d_logits() { return d_logits_; }          ///< [queries, V], to be filled before `backward`

  /// Sets the parameters of every replica; `theta(r)` is a span of doubles.
  template <std::invocable<index_t> Theta>
  void take_parameters(Theta theta) {
    storage().upload(theta, bound_.theta());
  }
  void take_parameters(std::span<const double> theta) {
    storage().upload([&](index_t) { return theta; }, bound_.theta());
  }

  /// Logits of the scored positions, [queries, V], the sequences one after another.
  matrix_view<const T> forward() {
    const bool again = ran_ and use_ == pass_use::forward_and_backward;
    pass_.unembed(again ? pass_.again(stream_) : pass_.forward(stream_), logits_);
    ran_ = true;
    return logits_;
  }

  /// The means of the terms on what hooks do, [terms, sequences], of the last `forward`; empty without any.
  matrix_view<const T> hook_means() const {
    return bound_.measure() ? bound_.measure()->means() : matrix_view<const T>{};
  }

  void backward() {
    // A record that no row uses is not visited, and its gradient is zero.
    model_.backend().fill(bound_.gradient(), T(0));
    pass_.backward(d_logits_);
  }

 private:
  std::vector<std::vector<int>> ids_by_sequence(std::span<const prompt_pair> prompts) const {
    std::vector<std::vector<int>> ids;
    for (const sequence& s : sequences_) ids.push_back(prompts[static_cast<std::size_t>(s.prompt)].ids);
    return ids;
  }
  std::vector<int> past() const {
    std::vector<int> tokens;
    for (const sequence& s : sequences_) tokens.push_back(static_cast<int>(s.past));
    return tokens;
  }

  /// The baseline's rows that the sequences' tokens start from.
  struct sources {
    const int *of_rows, *of_past, *past_keys;  ///< the last two: where a past token is, and where its keys go
    index_t past_tokens;

    sources(std::span<const prompt_pair> prompts, std::span<const sequence> sequences, workspace<B>& memory) {
      std::vector<int> first_row{0}, rows, from, to;
      for (const prompt_pair& p : prompts) first_row.push_back(first_row.back() + static_cast<int>(p.ids.size()));
      int key = 0;
      for (const sequence& s : sequences) {
        const auto n = static_cast<std::size_t>(s.prompt);
        for (int row = first_row[n]; row < first_row[n + 1]; ++row, ++key) {
          if (row >= first_row[n] + s.past) {
            rows.push_back(row);
          } else {
            from.push_back(row);
            to.push_back(key);
          }
        }
      }
      past_tokens = static_cast<index_t>(to.size());
      of_rows = memory.take(std::move(rows));
      of_past = memory.take(std::move(from));
      past_keys = memory.take(std::move(to));
    }
  };

  const Model& model_;
  pass_use use_;
  bool ran_ = false;
  std::vector<sequence> sequences_;
  binding<B> bound_;
  index_t first_layer_;
  batch<B> rows_;
  workspace<B> memory_;
  sources source_;
  std::shared_ptr<const baseline<Model>> baseline_;
  pass<Model, typename Steering::hooks_type, Observer> pass_;
  matrix_view<T> stream_ = {}, logits_ = {}, d_logits_ = {};
};

}  // namespace trimtab
