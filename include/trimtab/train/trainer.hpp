// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/steer/stationarity.hpp>
#include <trimtab/train/adam.hpp>
#include <trimtab/train/chunks.hpp>
#include <trimtab/train/fit_run.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

/// Learns the parameters of a composition: `trainer(steering, objective, adam{...}).fit(prompts, {.steps = 200})`. For
/// a fit that the caller steps see fit_run.hpp.

namespace trimtab {

struct fit_options {
  index_t steps = 200;                           ///< of `fit`; `start` leaves the end to the caller
  std::vector<double> strengths = {+1.0, -1.0};  ///< the β of every prompt, weighted equally
  /// Parameters to start from; nothing: the policies' own, mostly zeros, with which the model is untouched.
  std::optional<parameters> start = {};
  std::uint64_t seed = 1;  ///< for policies that start at random
  /// Prompts that run at once, which bounds the memory of a step; 0: as many as save at most 1 GiB of activations.
  index_t chunk = 0;
  mini_batches batches = {};  ///< a part of the prompts in each step
  /// Resumes from here: results and history are those of a fit without a break.
  std::optional<fit_state> resume_from = {};
};

namespace detail {

template <typename S>
concept composition = requires(const S& s, std::span<const prompt_pair> prompts) {
  typename S::hooks_type;
  s.model();
  s.layout(prompts);
};

/// Accepts anything, so that an argument of the wrong type gives only the message of a static_assert.
struct no_fit {
  template <typename... Anything>
  no_fit fit(Anything&&...) const {
    return {};
  }
  template <typename... Anything>
  no_fit fit_each(Anything&&...) const {
    return {};
  }
  template <typename... Anything>
  no_fit start(Anything&&...) const {
    return {};
  }
  template <typename... Anything>
  double lambda_max(Anything&&...) const {
    return {};
  }
};

}  // namespace detail

/// The trainer for arguments of the wrong type: only a message.
template <typename Steering, typename Objective, typename Optimizer = adam>
class trainer : public detail::no_fit {
  static_assert(detail::composition<Steering>,
                "the first argument of trainer() is a composition: steer(model, at(site::attn_out{}, "
                "policy::activ_scalar{}))");
  static_assert(not detail::composition<Steering> or objective::detail::summable<Objective>,
                "the second argument of trainer() is an objective: a sum of terms such as objective::effectiveness{} + "
                "1.0 * objective::faithfulness{}");
  static_assert(not detail::composition<Steering> or not objective::detail::summable<Objective> or optimizer<Optimizer>,
                "the third argument of trainer() is an optimizer, such as adam{.learning_rate = 0.03}: a type with an "
                "update(step, penalty) that is a row function");

 public:
  trainer(const Steering&, const Objective&, const Optimizer& = {}) {}
};

template <detail::composition Steering, typename... Terms, optimizer Optimizer>
class trainer<Steering, objective::weighted_sum<Terms...>, Optimizer> {
 public:
  using objective_type = objective::weighted_sum<Terms...>;
  using replica_type = replica<objective_type, Optimizer>;
  using run_type = fit_run<Steering, objective_type, Optimizer>;

  /// Several processes that make the same trainer, each with its rank of one communicator, share the prompts of a fit
  /// and get the same bits as one.
  trainer(Steering composition, objective_type objective, Optimizer with = {}, any_communicator ranks = {})
      : steering_(std::move(composition)),
        objective_(std::move(objective)),
        optimizer_(std::move(with)),
        ranks_(std::move(ranks)) {}

  /// Fits one set of parameters to all prompts. Throws `bad_data`, `bad_text`, `bad_argument` or `mismatch` before any
  /// work is done, and `bad_argument` if the loss is no longer finite.
  template <typename Prompts>
  fitted<Steering> fit(const Prompts& prompts, const fit_options& options = {}) const {
    return std::move(run_to_end({replica_of(prompts, options, options.steps)}).front());
  }

  /// Fits each prompt alone, all in one pass, with the results of as many calls of `fit`.
  std::vector<fitted<Steering>> fit_each(std::span<const prompt_pair> prompts, const fit_options& options = {}) const {
    check_prompts(prompts, steering_.model().config().vocabulary);
    std::vector<replica_type> replicas;
    for (const prompt_pair& p : prompts) replicas.push_back(replica_of(std::span(&p, 1), options, options.steps));
    return run_to_end(std::move(replicas));
  }

  /// Fits replicas that may differ, all in one pass. Throws `bad_argument` for one without `steps`.
  std::vector<fitted<Steering>> fit_all(std::vector<replica_type> replicas) const {
    for (const replica_type& r : replicas)
      if (not r.steps)
        throw error(error_kind::bad_argument, "a replica does not say how many steps it makes; set its `steps`");
    return run_to_end(std::move(replicas));
  }

  /// A fit that the caller steps.
  template <typename Prompts>
  run_type start(const Prompts& prompts, const fit_options& options = {}) const {
    return run_type(steering_, {replica_of(prompts, options, std::nullopt)}, ranks_);
  }
  run_type start(std::vector<replica_type> replicas) const { return run_type(steering_, std::move(replicas), ranks_); }

  /// The smallest weight of minimality at which a fit with these options learns nothing from the identity
  /// (stationarity.hpp). It takes the work of a step on all prompts, in chunks that are no larger than the fit's,
  /// before each of which `proceed` is called; not where one pass does. Throws as `fit` does, and `bad_argument` where
  /// the policies do not start at the identity.
  template <typename Prompts>
  double lambda_max(const Prompts& prompts, fit_options options = {}, chunk_watch proceed = {}) const {
    options.start = std::nullopt;
    options.resume_from = std::nullopt;
    const mini_batches batches = std::exchange(options.batches, {});
    replica_type one = replica_of(prompts, options);
    const parameter_layout layout = identity_of(steering_, one.prompts).layout;
    if (batches.size > 0) {
      using T = typename Steering::model_type::scalar;
      if (one.chunk == 0) one.chunk = usual_chunk<T>(steering_.model().config(), layout, one.prompts, one.strengths);
      one.chunk = std::min(one.chunk, batches.size);
    }
    run_type run = start(std::vector{std::move(one)});
    run.watch(std::move(proceed));
    run.step();
    return lambda_max_of<typename Steering::model_type::scalar>(layout, objective_, run.first_gradient());
  }

  /// A replica with this trainer's objective and optimizer, for the caller to change.
  template <typename Prompts>
  replica_type replica_of(const Prompts& prompts, const fit_options& options = {},
                          std::optional<index_t> steps = {}) const {
    constexpr bool are_prompts = std::is_convertible_v<const Prompts&, std::span<const prompt_pair>>;
    static_assert(are_prompts,
                  "a fit takes prompt pairs, such as the `train` of task::ioi(...) or what io::read_prompts gives");
    if constexpr (are_prompts) {
      const std::span<const prompt_pair> pairs = prompts;
      return {.prompts = {pairs.begin(), pairs.end()},
              .objective = objective_,
              .optimizer = optimizer_,
              .strengths = options.strengths,
              .steps = steps,
              .start = options.start,
              .seed = options.seed,
              .chunk = options.chunk,
              .batches = options.batches,
              .resume_from = options.resume_from};
    } else {
      return {};
    }
  }

 private:
  std::vector<fitted<Steering>> run_to_end(std::vector<replica_type> replicas) const {
    index_t most = 0;
    for (const replica_type& r : replicas) most = std::max(most, *r.steps);
    run_type run(steering_, std::move(replicas), ranks_);
    while (run.steps() < most) run.step();
    return std::move(run).results();
  }

  Steering steering_;
  objective_type objective_;
  Optimizer optimizer_;
  any_communicator ranks_;
};

template <detail::composition Steering, typename... Terms, optimizer Optimizer>
trainer(Steering, objective::weighted_sum<Terms...>, Optimizer)
    -> trainer<Steering, objective::weighted_sum<Terms...>, Optimizer>;
template <detail::composition Steering, typename... Terms, optimizer Optimizer, communicator Ranks>
trainer(Steering, objective::weighted_sum<Terms...>, Optimizer, Ranks)
    -> trainer<Steering, objective::weighted_sum<Terms...>, Optimizer>;
template <detail::composition Steering, typename... Terms>
trainer(Steering, objective::weighted_sum<Terms...>) -> trainer<Steering, objective::weighted_sum<Terms...>, adam>;

/// A single term, weighted or not, is an objective too.
template <detail::composition Steering, typename Term, optimizer Optimizer>
  requires enable_objective_term<Term> trainer(Steering, Term, Optimizer)
->trainer<Steering, objective::weighted_sum<Term>, Optimizer>;
template <detail::composition Steering, typename Term, optimizer Optimizer>
trainer(Steering, objective::weighted<Term>, Optimizer) -> trainer<Steering, objective::weighted_sum<Term>, Optimizer>;
template <detail::composition Steering, typename Term>
  requires enable_objective_term<Term> trainer(Steering, Term)
->trainer<Steering, objective::weighted_sum<Term>, adam>;
template <detail::composition Steering, typename Term>
trainer(Steering, objective::weighted<Term>) -> trainer<Steering, objective::weighted_sum<Term>, adam>;

}  // namespace trimtab
