// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/train/chunks.hpp>
#include <trimtab/train/fit_engine.hpp>
#include <trimtab/train/leaving_streams.hpp>
#include <trimtab/train/prompt_pool.hpp>
#include <trimtab/train/tree_sum.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

/// Steps in chunks of prompts: each chunk runs forward and backward in memory of its own, and the gradients are added
/// along a fixed tree. Only the parameters, a stream for each prompt and the partial sums outlive a chunk. Several
/// processes each run some of the chunks, consecutive ones, and give the others the sums of their largest subtrees.

namespace trimtab {

/// Which prompts of the pool a replica sees, and how.
struct replica_prompts {
  std::span<const pooled_prompt> prompts = {};
  std::span<const double> strengths = {};
  index_t chunk = 1;
  mini_batches batches = {};
};

template <typename Steering, typename Loss, optimizer Optimizer>
class chunked_engine final : public fit_engine<typename Steering::model_type::backend_type, Loss> {
 public:
  using Model = typename Steering::model_type;
  using B = typename Model::backend_type;
  using T = typename B::scalar;
  using objective_type = typename Loss::objective_type;

  /// As for `whole_engine`; `pool` outlives the engine, and `leaving` has a row for each of its prompts. All `ranks`
  /// make the same engine.
  chunked_engine(const Steering& composition, std::vector<parameter_layout> layouts, std::span<const prompt_pair> pool,
                 std::vector<replica_prompts> of_replicas, std::vector<objective_type> objectives,
                 std::shared_ptr<leaving_streams<B>> leaving, std::vector<Optimizer> optimizers,
                 std::vector<penalty> penalties, index_t made, index_t last, any_communicator ranks)
      : composition_(composition),
        backend_(composition.model().backend()),
        values_(std::make_shared<const replica_parameters<B>>(backend_, std::move(layouts))),
        pool_(pool),
        of_replicas_(std::move(of_replicas)),
        objectives_(std::move(objectives)),
        leaving_(std::move(leaving)),
        optimizers_(std::move(optimizers)),
        penalties_(std::move(penalties)),
        made_(made),
        last_(last),
        ranks_(std::move(ranks)),
        moments_(backend_, values_->theta.cols),
        memory_(backend_),
        units_(units_of(storage().layout(0), memory_)),
        sum_(backend_, values_->theta.cols) {}
  chunked_engine(const chunked_engine&) = delete;
  chunked_engine& operator=(const chunked_engine&) = delete;

  const replica_storage<B>& storage() const override { return values_->storage; }
  void take_parameters(std::span<const std::span<const double>> theta) override {
    storage().upload([&](index_t slot) { return theta[static_cast<std::size_t>(slot)]; }, values_->theta);
    looked_ = false;
  }

  /// The loss of all chunks, and their gradients too, because a chunk's activations do not outlive it.
  const fit_look<T>& look(const chunk_watch& proceed) override {
    if (looked_) return now_;
    plan();
    const auto [first, last] = chunks_of(ranks_.rank());
    sum_.begin(first);
    own_values_.clear();
    for (index_t k = first; k < last; ++k) {
      if (proceed and not proceed({k - first, last - first})) throw step_broken_off{};
      run(chunks_[static_cast<std::size_t>(k)]);
    }
    share();
    sum_.total(values_->gradient);
    detail::download_to(backend_, matrix_view<const T>(values_->theta), now_.theta);
    looked_ = true;
    return now_;
  }

  void step(const chunk_watch& proceed) override {
    look(proceed);
    ++made_;
    update_replicas<B, Optimizer>(backend_, storage(), optimizers_, penalties_, made_, values_->theta,
                                  values_->gradient, moments_, units_);
    looked_ = false;
  }

  fit_moments<T> moments() override { return moments_.download(); }
  void resume(const fit_moments<T>& from) override { moments_.upload(from); }
  const Loss& objective() const override { return *objective_; }
  matrix_view<const T> gradient() override { return values_->gradient; }

 private:
  /// Some sequences of a step, whose prompts are numbered within the chunk.
  struct chunk {
    std::vector<prompt_pair> prompts = {};
    std::vector<int> in_pool = {};  ///< by prompt
    std::vector<sequence> sequences = {};
    std::vector<std::size_t> in_step = {};  ///< by sequence, its number among those of the step
  };

  /// Of the next step, by chunk: a replica's prompts and their continuations, as indices into the pool.
  std::vector<std::vector<index_t>> texts_of_chunks(const replica_prompts& of) const;
  /// Lays out the sequences of the next step, where they are not those of the last one.
  void plan();
  void run(const chunk& part);
  /// Takes the losses of all chunks, and the sums of all ranks.
  void share();
  /// Those sums where the ranks' devices are joined: [ranks * `most`, numbers], of each rank in the order of its
  /// subtrees.
  matrix_view<const T> sums_of_devices(index_t most);

  bool learns() const { return made_ < last_; }
  item_range chunks_of(int rank) const { return share_of(rank, ranks_.size(), std::ssize(chunks_)); }
  std::shared_ptr<const baseline<Model>> untouched(const chunk& part) const;

  const Steering& composition_;
  const B& backend_;
  std::shared_ptr<const replica_parameters<B>> values_;
  std::span<const prompt_pair> pool_;
  std::vector<replica_prompts> of_replicas_;
  std::vector<objective_type> objectives_;
  std::shared_ptr<leaving_streams<B>> leaving_;
  std::vector<Optimizer> optimizers_;
  std::vector<penalty> penalties_;
  index_t made_, last_;
  any_communicator ranks_;
  moment_memory<B> moments_;
  workspace<B> memory_;
  std::vector<record_units> units_;
  tree_sum<B> sum_;
  matrix_view<T> own_sums_ = {}, all_sums_ = {};  ///< for devices that are joined
  std::optional<Loss> objective_ = {};            ///< on all sequences of the step
  std::vector<chunk> chunks_ = {};
  std::vector<T> own_values_ = {};  ///< the row values of this rank's chunks, one chunk after another
  bool looked_ = false;
  fit_look<T> now_ = {};
};

template <typename Steering, typename Loss, optimizer Optimizer>
std::vector<std::vector<index_t>> chunked_engine<Steering, Loss, Optimizer>::texts_of_chunks(
    const replica_prompts& of) const {
  std::vector<pooled_prompt> seen;
  for (const index_t n : prompts_of_step(std::ssize(of.prompts), of.batches, made_))
    seen.push_back(of.prompts[static_cast<std::size_t>(n)]);
  std::vector<std::vector<index_t>> chunks;
  for (std::span<const pooled_prompt> left = seen; not left.empty();) {
    const std::size_t count = std::min(left.size(), static_cast<std::size_t>(of.chunk));
    chunks.push_back(with_continuations(left.first(count)));
    left = left.subspan(count);
  }
  return chunks;
}

template <typename Steering, typename Loss, optimizer Optimizer>
void chunked_engine<Steering, Loss, Optimizer>::plan() {
  const bool in_batches =
      std::ranges::any_of(of_replicas_, [](const replica_prompts& r) { return r.batches.size > 0; });
  if (not chunks_.empty() and not in_batches) return;
  chunks_.clear();
  std::vector<sequence> all;
  std::vector<std::map<index_t, index_t>> numbers;  // by chunk, of its prompts
  for (std::size_t r = 0; r < of_replicas_.size(); ++r) {
    const replica_prompts& of = of_replicas_[r];
    const std::vector<std::vector<index_t>> texts = texts_of_chunks(of);
    if (chunks_.size() < texts.size()) chunks_.resize(texts.size()), numbers.resize(texts.size());
    for (double beta : of.strengths)
      for (std::size_t which = 0; which < texts.size(); ++which)
        for (const index_t n : texts[which]) {
          chunk& part = chunks_[which];
          const auto [number, is_new] = numbers[which].try_emplace(n, std::ssize(part.prompts));
          if (is_new) {
            prompt_pair& text = part.prompts.emplace_back(pool_[static_cast<std::size_t>(n)]);
            if (text.step.sign != 0)  // its pair comes before it
              text.step.pair = static_cast<std::size_t>(numbers[which].at(static_cast<index_t>(text.step.pair)));
            part.in_pool.push_back(static_cast<int>(n));
          }
          part.sequences.push_back({number->second, beta, static_cast<index_t>(r)});
          part.in_step.push_back(all.size());
          all.push_back({n, beta, static_cast<index_t>(r)});
        }
  }
  objective_.emplace(backend_, objectives_, pool_, all);
  now_.row_values.resize(static_cast<std::size_t>(objective_->row_values().cols));
}

template <typename Steering, typename Loss, optimizer Optimizer>
void chunked_engine<Steering, Loss, Optimizer>::run(const chunk& part) {
  const Loss terms(backend_, objectives_, part.prompts, part.sequences, objective_->total_weights());
  steered<Steering> pass(composition_, values_, part.prompts, part.sequences,
                         learns() ? pass_use::forward_and_backward : pass_use::forward_only, scored::last,
                         untouched(part), {}, terms.hook_terms());
  const matrix_view<const T> logits = pass.forward(), reference = pass.untouched()->logits();
  terms.evaluate(logits, reference, pass.hook_means());
  std::vector<T> values;
  detail::download_to(backend_, terms.row_values(), values);
  own_values_.insert(own_values_.end(), values.begin(), values.end());
  if (not leaving_->has(part.in_pool)) leaving_->keep(part.in_pool, pass.untouched()->leaving());
  if (not learns()) return;
  terms.gradient(logits, reference, pass.d_logits());
  pass.backward();
  sum_.add(values_->gradient);
}

template <typename Steering, typename Loss, optimizer Optimizer>
void chunked_engine<Steering, Loss, Optimizer>::share() {
  const auto size = static_cast<std::size_t>(values_->theta.cols);
  const bool shares_sums = ranks_.size() > 1 and learns(), on_devices = device_backend<B> and ranks_.joins_devices();
  std::vector<std::vector<subtree>> subtrees;  // by rank
  std::size_t most = 0;
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    const auto [first, last] = chunks_of(rank);
    most = std::max(most, subtrees.emplace_back(subtrees_of(first, last)).size());
  }
  matrix_view<const T> of_devices;
  std::vector<T> mine;
  if (shares_sums and on_devices)
    of_devices = sums_of_devices(static_cast<index_t>(most));
  else if (shares_sums)
    sum_.each_partial([&](matrix_view<const T> sum) {
      mine.resize(mine.size() + size);
      backend_.download(sum, {mine.data() + mine.size() - size, 1, sum.cols});
    });
  mine.insert(mine.end(), own_values_.begin(), own_values_.end());
  const std::vector<std::vector<std::byte>> all = ranks_.all_gather(std::as_bytes(std::span(mine)));

  if (ranks_.size() > 1) sum_.begin();
  const std::size_t in_step = objective_->sequences();
  for (int rank = 0; rank < ranks_.size(); ++rank) {
    const auto& bytes = all[static_cast<std::size_t>(rank)];
    std::vector<T> numbers(bytes.size() / sizeof(T));
    if (not bytes.empty()) std::memcpy(numbers.data(), bytes.data(), bytes.size());  // a rank may have no chunk
    const T* next = numbers.data();
    index_t row = rank * static_cast<index_t>(most);
    for (const subtree& one : subtrees[static_cast<std::size_t>(rank)]) {
      if (not shares_sums) break;
      if (on_devices) {
        sum_.add({of_devices.row(row++), 1, of_devices.cols}, one.level);
      } else {
        const auto there = backend_.upload({next, 1, values_->theta.cols});
        sum_.add(there.view(1, values_->theta.cols), one.level);
        next += size;
      }
    }
    const auto [first, last] = chunks_of(rank);
    for (index_t k = first; k < last; ++k) {
      const std::vector<std::size_t>& in_step_of = chunks_[static_cast<std::size_t>(k)].in_step;
      const std::size_t here = in_step_of.size(), terms = now_.row_values.size() / in_step;
      for (std::size_t i = 0; i < terms * here; ++i)
        now_.row_values[i / here * in_step + in_step_of[i % here]] = *next++;
    }
  }
}

template <typename Steering, typename Loss, optimizer Optimizer>
auto chunked_engine<Steering, Loss, Optimizer>::sums_of_devices([[maybe_unused]] index_t most) -> matrix_view<const T> {
  if constexpr (device_backend<B>) {
    if (own_sums_.rows < most) {  // once, but for mini-batches of which a later one is cut otherwise
      own_sums_ = memory_.take(most, values_->theta.cols);
      all_sums_ = memory_.take(ranks_.size() * most, values_->theta.cols);
    }
    index_t row = 0;
    sum_.each_partial([&](matrix_view<const T> sum) { backend_.copy(sum, {own_sums_.row(row++), 1, own_sums_.cols}); });
    ranks_.all_gather(own_sums_.data, all_sums_.data, static_cast<std::size_t>(most * own_sums_.cols) * sizeof(T),
                      backend_.stream());
  }
  return all_sums_;
}

/// Null where it has to be run in full: the pass does that itself, with the keys that it needs.
template <typename Steering, typename Loss, optimizer Optimizer>
auto chunked_engine<Steering, Loss, Optimizer>::untouched(const chunk& part) const
    -> std::shared_ptr<const baseline<Model>> {
  if (not leaving_->has(part.in_pool)) return nullptr;
  const model_config& config = composition_.model().config();
  workspace<B> scratch(backend_);
  const matrix_view<T> rows = scratch.take(std::ssize(part.prompts), config.width);
  leaving_->copy(part.in_pool, rows);
  return std::make_shared<const baseline<Model>>(composition_.model(), ids_of(part.prompts),
                                                 first_layer_of_pass(storage().layout(0), config), rows);
}

}  // namespace trimtab
