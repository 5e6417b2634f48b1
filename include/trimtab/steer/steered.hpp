// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/baseline.hpp>
#include <trimtab/steer/bound_steering.hpp>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

/// A steered model on a set of prompts, planned once and run as often as the parameters change. Each prompt rides once
/// for every strength, side by side in one batch; all start from the stream that the untouched model brings to the
/// lowest hook, and a fit from the first token that a hook reaches.

namespace trimtab {

/// Whether all prompts share one set of parameters or each has its own.
enum class lane_use { shared, one_per_prompt };

/// Each prompt once for every strength: all at the first strength, then all at the second.
inline std::vector<steered_sequence> every_strength(index_t prompts, std::span<const double> strengths,
                                                    lane_use lanes = lane_use::shared) {
  std::vector<steered_sequence> sequences;
  for (double beta : strengths)
    for (index_t n = 0; n < prompts; ++n) sequences.push_back({n, beta, lanes == lane_use::shared ? 0 : n});
  return sequences;
}

inline std::vector<std::vector<int>> ids_of(std::span<const prompt_pair> prompts) {
  std::vector<std::vector<int>> ids;
  for (const prompt_pair& p : prompts) ids.push_back(p.ids);
  return ids;
}

/// Parameters of one lane to the backend.
template <tensor_backend B>
void load(const B& backend, std::span<const double> theta, matrix_view<typename B::scalar> to) {
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
  steered(const steering<Model, Interventions...>& composition, const parameter_layout& layout,
          std::span<const prompt_pair> prompts, std::vector<steered_sequence> sequences, index_t lanes = 1,
          tape_use use = tape_use::forward_only, scored where = scored::last)
      : model_(composition.model()),
        use_(use),
        sequences_(use == tape_use::forward_and_backward and where == scored::last
                       ? with_given(layout, prompts, std::move(sequences))
                       : std::move(sequences)),
        bound_(model_.backend(), model_.config(), composition.interventions(), layout, prompts, sequences_, lanes,
               where),
        first_layer_(std::min(bound_.lowest_layer(), model_.config().layers - 1)),
        rows_(model_.backend(), model_.config(), ids_by_sequence(prompts), where, given()),
        memory_(model_.backend()),
        source_(prompts, sequences_, memory_),
        pass_(model_, rows_, {first_layer_, model_.config().layers}, {&bound_}, use),
        untouched_(model_, ids_of(prompts), first_layer_, where,
                   [this](index_t l, matrix_view<T> qkv) { give_keys(qkv, pass_.keys(l)); }) {
    stream_ = memory_.take(rows_.rows(), model_.config().width);
    logits_ = memory_.take(rows_.queries(), model_.config().vocabulary);
    if (use == tape_use::forward_and_backward) d_logits_ = memory_.take(rows_.queries(), model_.config().vocabulary);
    model_.backend().forward(copy{}, stream_.rows, stream_.cols,
                             selected_row(name::h, untouched_.stream(), source_.of_rows), each_row(name::out, stream_));
  }

  steered(const steered&) = delete;  // its pass refers to its batch
  steered& operator=(const steered&) = delete;

  const std::vector<steered_sequence>& sequences() const { return sequences_; }
  const untouched<Model>& reference() const { return untouched_; }
  matrix_view<T> theta() { return bound_.theta(); }        ///< [1, lanes * lane size]
  matrix_view<T> gradient() { return bound_.gradient(); }  ///< of θ, set by `backward`
  matrix_view<T> d_logits() { return d_logits_; }          ///< [queries, V], to be filled before `backward`

  /// Logits of the scored positions, [queries, V], the sequences one after another.
  matrix_view<const T> forward() {
    const bool again = ran_ and use_ == tape_use::forward_and_backward;
    pass_.unembed(again ? pass_.again(stream_) : pass_.forward(stream_), logits_);
    ran_ = true;
    return logits_;
  }

  void backward() {
    // A record that no row uses is not visited, and its gradient is zero.
    model_.backend().fill(bound_.gradient(), T(0));
    pass_.backward(d_logits_);
  }

 private:
  std::vector<std::vector<int>> ids_by_sequence(std::span<const prompt_pair> prompts) const {
    std::vector<std::vector<int>> ids;
    for (const steered_sequence& s : sequences_) ids.push_back(prompts[static_cast<std::size_t>(s.prompt)].ids);
    return ids;
  }

  /// Tokens before the first that any hook reaches are the untouched model's in every layer, whatever the parameters:
  /// a fit takes their keys and values from there.
  static std::vector<steered_sequence> with_given(const parameter_layout& layout, std::span<const prompt_pair> prompts,
                                                  std::vector<steered_sequence> sequences) {
    for (steered_sequence& s : sequences) {
      const prompt_pair& prompt = prompts[static_cast<std::size_t>(s.prompt)];
      s.given = static_cast<index_t>(prompt.ids.size()) - 1;  // the last token is scored
      for (const parameter_block& block : layout.blocks) {
        if (block.layers.empty()) continue;
        const std::vector<int> records = block.positions.records(prompt);
        const auto touched = std::ranges::find_if(records, [](int record) { return record >= 0; });
        s.given = std::min<index_t>(s.given, touched - records.begin());
      }
    }
    return sequences;
  }
  std::vector<int> given() const {
    std::vector<int> tokens;
    for (const steered_sequence& s : sequences_) tokens.push_back(static_cast<int>(s.given));
    return tokens;
  }

  /// Which row of the untouched prompts each token of the sequences is.
  struct sources {
    const int *of_rows, *of_given, *given_keys;  ///< the last two: where a given token is, and where its keys go
    index_t given;

    sources(std::span<const prompt_pair> prompts, std::span<const steered_sequence> sequences, workspace<B>& memory) {
      std::vector<int> first_row{0}, rows, from, to;
      for (const prompt_pair& p : prompts) first_row.push_back(first_row.back() + static_cast<int>(p.ids.size()));
      int key = 0;
      for (const steered_sequence& s : sequences) {
        const auto n = static_cast<std::size_t>(s.prompt);
        for (int row = first_row[n]; row < first_row[n + 1]; ++row, ++key) {
          if (row >= first_row[n] + s.given) {
            rows.push_back(row);
          } else {
            from.push_back(row);
            to.push_back(key);
          }
        }
      }
      given = static_cast<index_t>(to.size());
      of_rows = memory.take(std::move(rows));
      of_given = memory.take(std::move(from));
      given_keys = memory.take(std::move(to));
    }
  };

  void give_keys(matrix_view<T> from, matrix_view<T> to) const {
    if (source_.given > 0)
      model_.backend().forward(copy{}, source_.given, to.cols, selected_row(name::h, from, source_.of_given),
                               selected_row(name::out, to, source_.given_keys));
  }

  const Model& model_;
  tape_use use_;
  bool ran_ = false;
  std::vector<steered_sequence> sequences_;
  bound_type bound_;
  index_t first_layer_;
  batch<B> rows_;
  workspace<B> memory_;
  sources source_;
  pass<Model, hooks_of<bound_type>> pass_;
  untouched<Model> untouched_;
  matrix_view<T> stream_ = {}, logits_ = {}, d_logits_ = {};
};

template <typename Model, typename... Interventions, typename... Rest>
steered(const steering<Model, Interventions...>&, Rest&&...) -> steered<Model, Interventions...>;

}  // namespace trimtab
