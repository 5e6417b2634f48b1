// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/fitted.hpp>
#include <trimtab/steer/loss.hpp>
#include <trimtab/train/chunked_engine.hpp>
#include <trimtab/train/fit_engine.hpp>
#include <trimtab/train/fit_warnings.hpp>
#include <trimtab/train/prompt_pool.hpp>
#include <trimtab/train/replica.hpp>
#include <trimtab/train/replica_fit.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// A fit, or several that share a pass, as an object that its caller steps:
///
///     auto run = trainer(steering, objective, adam{}).start(prompts);
///     while (run.step() < 200) show(run.losses());
///     const auto result = run.result();
///
/// The model is frozen; every step sees all prompts at all strengths, or those of a mini-batch, in chunks where they
/// are many. A replica that has ended leaves the pass.

namespace trimtab {

namespace detail {
/// Outside the class: nvcc 13 drops the `trimtab::` of `trimtab::loss`, and a fit has a member `loss`.
template <typename B, typename Objective>
struct loss_of;
template <typename B, typename... Terms>
struct loss_of<B, objective::weighted_sum<Terms...>> {
  using type = loss<B, Terms...>;
};
}  // namespace detail

template <typename Steering, typename Objective, optimizer Optimizer>
class fit_run {
 public:
  using Model = typename Steering::model_type;
  using B = typename Model::backend_type;
  using T = typename Model::scalar;
  using replica_type = replica<Objective, Optimizer>;

  /// Throws `bad_data`, `bad_text`, `bad_argument` or `mismatch` for what cannot be fitted, before any step is made.
  /// With several `ranks`, each runs some of the chunks; all of them call the same functions, and have the same
  /// results.
  fit_run(Steering composition, std::vector<replica_type> replicas, any_communicator ranks = {})
      : ranks_(std::move(ranks)), steering_(std::make_unique<Steering>(std::move(composition))) {
    with_memory_for("start the fit", [&] { begin(std::move(replicas)); });
  }

  /// Makes one step of every replica that has not ended. Returns how often it was called, steps before a checkpoint
  /// included. Throws `bad_argument` if a loss is no longer finite, `step_broken_off` if `watch` was told to.
  index_t step();
  index_t steps() const { return made_; }

  /// Before each chunk of a step calls `proceed`; false breaks the step off. A step in one pass does not call it.
  void watch(chunk_watch proceed) { watch_ = std::move(proceed); }

  /// The loss of each replica at its current parameters, with `per_sequence`; valid until the next step. Throws as
  /// `step` does.
  const std::vector<loss_values>& losses() {
    look();
    return losses_;
  }
  /// The loss of the first replica.
  const loss_values& loss() { return losses().front(); }

  /// Ends a replica: later steps do not change it.
  void end(std::size_t replica) {
    look();
    fits_[replica].ended = true;
    leaving_ = true;
  }
  bool has_ended(std::size_t replica) const { return fits_[replica].has_ended(); }

  std::size_t replicas() const { return fits_.size(); }

  /// The composition with its current parameters. `history` ends with the loss at these parameters.
  fitted<Steering> result(std::size_t replica = 0) {
    look();
    const fit& f = fits_[replica];
    return {*steering_, {f.layout, f.theta}, f.history, f.warnings};
  }
  std::vector<fitted<Steering>> results() & {
    std::vector<fitted<Steering>> all;
    for (std::size_t r = 0; r < fits_.size(); ++r) all.push_back(result(r));
    return all;
  }
  /// The same, moved out of a run that goes no further.
  std::vector<fitted<Steering>> results() && {
    look();
    std::vector<fitted<Steering>> all;
    for (fit& f : fits_)
      all.push_back({*steering_, {f.layout, std::move(f.theta)}, std::move(f.history), std::move(f.warnings)});
    return all;
  }

  /// The complete state of a replica, from which the same fit resumes bit for bit.
  fit_state state(std::size_t replica = 0) {
    look();
    fit& f = fits_[replica];
    if (const auto at = std::ranges::find(active_, replica); engine_ and at != active_.end())
      keep_moments(engine_->moments(), static_cast<index_t>(at - active_.begin()));
    return {detail::facts_of_replica(*steering_, f), f.theta, f.first_moment, f.second_moment, f.history};
  }

  /// Right after the first step: the gradient of all terms but minimality, with their weights, where the fit started,
  /// laid out as the parameters. Later steps may run ahead of what was asked for.
  std::vector<double> first_gradient(std::size_t replica = 0) const {
    assert(fits_[replica].made == 1 and not looked_);
    const auto slot = std::ranges::find(active_, replica) - active_.begin();
    return gradient_in(gradients(), static_cast<index_t>(slot));
  }

  /// Warnings for the user, one sentence each; complete after the first step.
  const std::vector<std::string>& warnings(std::size_t replica = 0) const { return fits_[replica].warnings; }

 private:
  using fit = detail::replica_fit<Objective, Optimizer>;
  using loss_type = typename detail::loss_of<B, Objective>::type;

  void begin(std::vector<replica_type> replicas);

  /// Removes replicas that have ended from the pass.
  void plan();

  void make_engine();

  /// Updates parameters, losses and history to the state before the next step.
  void look();

  /// Brings the moments of a replica in the pass to host memory.
  void keep_moments(const fit_moments<T>& moments, index_t slot) {
    engine_->storage().gather(std::span(moments.first), slot, active(slot).first_moment);
    engine_->storage().gather(std::span(moments.second), slot, active(slot).second_moment);
  }
  /// After the first step, the gradients of all replicas in the pass, and one of them.
  std::vector<T> gradients() const {
    std::vector<T> all;
    detail::download_to(steering_->model().backend(), engine_->gradient(), all);
    return all;
  }
  std::vector<double> gradient_in(std::span<const T> all, index_t slot) const {
    std::vector<double> own;
    engine_->storage().gather(all, slot, own);
    return own;
  }
  /// After the first step: warns of interventions that cannot learn.
  void warn_of_zero_gradients();

  fit& active(index_t slot) { return fits_[active_[static_cast<std::size_t>(slot)]]; }

  any_communicator ranks_;
  std::unique_ptr<Steering> steering_;  // hooks refer to it: it stays where it is when the run is moved
  std::vector<fit> fits_ = {};
  prompt_pool pool_ = {};
  std::vector<std::size_t> active_ = {};  ///< replicas in the pass
  std::shared_ptr<const baseline<Model>> untouched_ = nullptr;
  std::shared_ptr<leaving_streams<B>> streams_ = nullptr;
  std::unique_ptr<fit_engine<B, loss_type>> engine_ = nullptr;
  chunk_watch watch_ = {};
  std::vector<loss_values> losses_ = {}, found_ = {};
  index_t made_ = 0;
  bool looked_ = false, leaving_ = false, told_ = false;
};

template <typename Steering, typename Objective, optimizer Optimizer>
index_t fit_run<Steering, Objective, Optimizer>::step() {
  return with_memory_for("make a step of the fit", [&] {
    look();
    if (leaving_) plan();
    if (engine_) {
      engine_->step(watch_);
      for (std::size_t k : active_) ++fits_[k].made;
      if (not told_) warn_of_zero_gradients();
    }
    looked_ = false;
    ++made_;
    for (std::size_t k : active_) leaving_ = leaving_ or fits_[k].has_ended();
    return made_;
  });
}

template <typename Steering, typename Objective, optimizer Optimizer>
void fit_run<Steering, Objective, Optimizer>::begin(std::vector<replica_type> replicas) {
  if (replicas.empty()) throw error(error_kind::bad_argument, "there is nothing to fit; give at least one replica");
  for (replica_type& r : replicas) {
    fits_.push_back(detail::start_replica(*steering_, std::move(r), pool_));
    made_ = std::max(made_, fits_.back().made);
    told_ = told_ or fits_.back().made > 0;
  }
  for (const fit& f : fits_)
    if (f.made != made_)
      throw error(error_kind::bad_argument,
                  "fits that share a pass must have made the same number of steps, but one has made " +
                      std::to_string(made_) + " and another " + std::to_string(f.made));
  losses_.resize(fits_.size());
  for (std::size_t k = 0; k < fits_.size(); ++k) active_.push_back(k);
  leaving_ = std::ranges::any_of(fits_, &fit::has_ended);  // after its first look
  make_engine();
}

template <typename Steering, typename Objective, optimizer Optimizer>
void fit_run<Steering, Objective, Optimizer>::plan() {
  leaving_ = false;
  std::vector<std::size_t> left;
  for (std::size_t k : active_)
    if (not fits_[k].has_ended()) left.push_back(k);
  if (left.size() == active_.size()) return;
  const fit_moments<T> moments = engine_->moments();
  for (std::size_t slot = 0; slot < active_.size(); ++slot) keep_moments(moments, static_cast<index_t>(slot));
  active_ = std::move(left);
  engine_ = nullptr;
  if (not active_.empty()) make_engine();
}

template <typename Steering, typename Objective, optimizer Optimizer>
void fit_run<Steering, Objective, Optimizer>::make_engine() {
  std::vector<parameter_layout> layouts;
  std::vector<replica_prompts> seen;
  std::vector<Objective> objectives;
  std::vector<Optimizer> optimizers;
  std::vector<penalty> penalties;
  std::vector<std::span<const double>> theta;
  index_t last = 0;
  bool at_once = ranks_.size() == 1;
  for (std::size_t k : active_) {
    const fit& f = fits_[k];
    layouts.push_back(f.layout);
    seen.push_back({f.prompts, f.asked.strengths, f.chunk, f.asked.batches});
    objectives.push_back(f.asked.objective);
    optimizers.push_back(f.asked.optimizer);
    penalties.push_back(penalty_of(f.asked.objective, weighed_numbers(f.layout)));
    theta.push_back(f.theta);
    last = std::max(last, f.asked.steps.value_or(std::numeric_limits<index_t>::max()));
    at_once = at_once and not f.is_cut() and f.asked.batches.size == 0;
  }
  if (at_once) {
    std::vector<sequence> sequences;
    for (std::size_t slot = 0; slot < seen.size(); ++slot)
      for (double beta : seen[slot].strengths)
        for (index_t n : with_continuations(seen[slot].prompts))
          sequences.push_back({n, beta, static_cast<index_t>(slot)});
    auto whole = std::make_unique<whole_engine<Steering, loss_type, Optimizer>>(
        *steering_, std::move(layouts), pool_.all(), std::move(sequences), std::move(objectives), untouched_,
        std::move(optimizers), std::move(penalties), made_, last);
    untouched_ = whole->untouched();
    engine_ = std::move(whole);
  } else {
    const Model& model = steering_->model();
    if (not streams_)
      streams_ = std::make_shared<leaving_streams<B>>(model.backend(), std::ssize(pool_.all()), model.config().width);
    engine_ = std::make_unique<chunked_engine<Steering, loss_type, Optimizer>>(
        *steering_, std::move(layouts), pool_.all(), std::move(seen), std::move(objectives), streams_,
        std::move(optimizers), std::move(penalties), made_, last, ranks_);
  }
  const replica_storage<B>& storage = engine_->storage();
  engine_->take_parameters(theta);
  if (made_ == 0) return;
  fit_moments<T> moments{std::vector<T>(static_cast<std::size_t>(storage.size())),
                         std::vector<T>(static_cast<std::size_t>(storage.size()))};
  for (index_t slot = 0; slot < storage.replicas(); ++slot) {
    storage.scatter(active(slot).first_moment, slot, moments.first);
    storage.scatter(active(slot).second_moment, slot, moments.second);
  }
  engine_->resume(moments);
}

template <typename Steering, typename Objective, optimizer Optimizer>
void fit_run<Steering, Objective, Optimizer>::look() {
  if (looked_ or not engine_) return;
  const fit_look<T>& now = engine_->look(watch_);
  const replica_storage<B>& storage = engine_->storage();
  for (std::size_t slot = 0; slot < active_.size(); ++slot)
    storage.gather(std::span(now.theta), static_cast<index_t>(slot), fits_[active_[slot]].theta);
  engine_->objective().collect(
      now.row_values, [&](index_t slot) -> const parameter_layout& { return active(slot).layout; },
      [&](index_t slot) -> std::span<const double> { return active(slot).theta; }, found_);
  for (std::size_t slot = 0; slot < active_.size(); ++slot) {
    fit& f = fits_[active_[slot]];
    f.take_loss(found_[slot]);
    losses_[active_[slot]] = found_[slot];
  }
  looked_ = true;
}

template <typename Steering, typename Objective, optimizer Optimizer>
void fit_run<Steering, Objective, Optimizer>::warn_of_zero_gradients() {
  told_ = true;
  const std::vector<T> all = gradients();
  for (index_t slot = 0; slot < std::ssize(active_); ++slot)
    detail::warn_of_zero_gradient(active(slot).layout, gradient_in(all, slot), active(slot).warnings);
}

}  // namespace trimtab
