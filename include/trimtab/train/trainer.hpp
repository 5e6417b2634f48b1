// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/fitted.hpp>
#include <trimtab/steer/loss.hpp>
#include <trimtab/steer/steered.hpp>
#include <trimtab/train/adam.hpp>
#include <trimtab/train/checkpoint.hpp>
#include <trimtab/train/fit_steps.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Learns the parameters of a composition: the model is frozen, all parameters start at the identity, and every step
/// sees all prompts at all strengths. `trainer(steering, objective, adam{...}).fit(prompts, {.steps = 200})`.

namespace trimtab {

struct fit_options {
  index_t steps = 200;
  std::vector<double> strengths = {+1.0, -1.0};  ///< the β of every prompt, each counts alike
  /// Called before each step with its number and the loss there; false ends the fit and keeps what was learned.
  std::function<bool(index_t, const loss_values&)> before_step = {};
  /// Called after every `checkpoint_every` steps, where that is not 0, and when the fit ends, with what it takes to go
  /// on from there. What it throws ends the fit.
  std::function<void(const fit_state&)> checkpoint = {};
  index_t checkpoint_every = 0;
  /// Goes on from here instead of from the identity: results and history are those of a fit without a break.
  std::optional<fit_state> resume_from = {};
};

template <typename Steering, typename Objective, optimizer Optimizer>
class trainer;

template <typename Model, typename... Interventions, typename... Terms, optimizer Optimizer>
class trainer<steering<Model, Interventions...>, objective::weighted_sum<Terms...>, Optimizer> {
 public:
  using steering_type = steering<Model, Interventions...>;
  using T = typename Model::scalar;

  trainer(steering_type composition, objective::weighted_sum<Terms...> objective, Optimizer with)
      : steering_(std::move(composition)), objective_(std::move(objective)), optimizer_(std::move(with)) {}

  /// One set of parameters for all prompts, as it is after the last step. Throws `bad_data`, `bad_text`, `bad_argument`
  /// or `mismatch` before any work is done, and `bad_argument` where the loss stops being a number.
  fitted<steering_type> fit(std::span<const prompt_pair> prompts, const fit_options& options = {}) const {
    return std::move(fit_lanes(prompts, options, lane_use::shared).front());
  }

  /// A fit for each prompt alone, all in one pass: the same parameters that as many calls of `fit` would give, where
  /// positions have the same count for each (prompts of one length, `shared`, `role`, or `from_end` with a number).
  /// `before_step` sees the first prompt's loss, and ends all fits.
  std::vector<fitted<steering_type>> fit_each(std::span<const prompt_pair> prompts,
                                              const fit_options& options = {}) const {
    return fit_lanes(prompts, options, lane_use::one_per_prompt);
  }

 private:
  std::vector<fitted<steering_type>> fit_lanes(std::span<const prompt_pair> prompts, const fit_options& options,
                                               lane_use use) const {
    const Model& model = steering_.model();
    const auto& backend = model.backend();
    check_prompts(prompts, model.config().vocabulary);
    check_strengths(options.strengths);
    if constexpr (requires { optimizer_.check(); }) optimizer_.check();
    if (options.steps < 0)
      throw error(error_kind::bad_argument, "the number of steps is negative; it must be 0 or more");
    if (options.checkpoint_every < 0)
      throw error(error_kind::bad_argument,
                  "the number of steps between checkpoints is negative; it must be 0 or more");
    const std::optional<fit_state>& from = options.resume_from;
    if (from and from->steps() > options.steps)
      throw error(error_kind::bad_argument, from->name + " has made " + std::to_string(from->steps()) +
                                                " steps, more than the " + std::to_string(options.steps) +
                                                " asked for; ask for more steps, or start anew");

    const auto count = static_cast<index_t>(prompts.size());
    const index_t lanes = use == lane_use::shared ? 1 : count;
    const parameter_layout layout = steering_.layout(prompts);
    fit_facts facts;
    if (from or options.checkpoint)
      facts = facts_of_fit(steering_, layout, objective_, optimizer_, prompts, options.strengths, lanes);
    if (from) require_same_fit(*from, facts, static_cast<std::size_t>(lanes * layout.lane_size()), lanes);
    steered run(steering_, layout, prompts, every_strength(count, options.strengths, use), lanes,
                tape_use::forward_and_backward);
    const loss objective(backend, objective_, prompts, run.sequences(), lanes);
    std::vector<fitted<steering_type>> results(static_cast<std::size_t>(lanes), {steering_, {layout, {}}, {}, false});
    const index_t first_step = from ? from->steps() + 1 : 1;
    fit_steps steps(backend, run, objective, optimizer_, layout, lanes, first_step, options.steps,
                    options.checkpoint ? options.checkpoint_every : 0);
    if (from) {
      steps.resume(from->theta, from->first_moment, from->second_moment);
      for (std::size_t lane = 0; lane < results.size(); ++lane)
        results[lane].history.assign(from->history[lane].begin(), from->history[lane].end() - 1);
    }
    std::vector<loss_values> values;
    for (auto& result : results)
      result.history.reserve(static_cast<std::size_t>(std::min(options.steps, history_ahead - 1) + 1));
    for (index_t step = first_step;; ++step) {
      const auto& [theta, row_values] = steps.before(step);
      objective.collect(row_values, layout, theta, values);
      bool go_on = step <= options.steps;
      for (std::size_t lane = 0; lane < results.size(); ++lane) {
        check_finite(values[lane], step);
        if (from and step == first_step) require_same_loss(*from, lane, values[lane]);
        const auto here = theta.begin() + static_cast<index_t>(lane) * layout.lane_size();
        results[lane].values.theta.assign(here, here + layout.lane_size());
        results[lane].history.push_back(values[lane].means());
      }
      if (go_on and options.before_step and not options.before_step(step, values.front())) {
        for (auto& result : results) result.interrupted = true;
        go_on = false;
      }
      const bool due =
          step > first_step and options.checkpoint_every > 0 and (step - 1) % options.checkpoint_every == 0;
      if (options.checkpoint and (due or not go_on)) {
        auto [first_moment, second_moment] = steps.moments();
        fit_state state{facts, theta, std::move(first_moment), std::move(second_moment)};
        for (const auto& result : results) state.history.push_back(result.history);
        options.checkpoint(state);
      }
      if (not go_on) return results;
    }
  }

  /// How many steps' losses have their memory before the fit starts.
  static constexpr index_t history_ahead = 4096;

  static void check_finite(const loss_values& values, index_t step) {
    if (not std::isfinite(values.total()))
      throw error(error_kind::bad_argument, "the loss is no longer a finite number before step " +
                                                std::to_string(step) +
                                                "; lower the learning rate or the weights of the objective");
  }

  steering_type steering_;
  objective::weighted_sum<Terms...> objective_;
  Optimizer optimizer_;
};

template <typename Model, typename... Interventions, typename... Terms, optimizer Optimizer>
trainer(steering<Model, Interventions...>, objective::weighted_sum<Terms...>, Optimizer)
    -> trainer<steering<Model, Interventions...>, objective::weighted_sum<Terms...>, Optimizer>;

/// A single term, weighted or not, is an objective too.
template <typename Model, typename... Interventions, typename Term, optimizer Optimizer>
  requires enable_objective_term<Term> trainer(steering<Model, Interventions...>, Term, Optimizer)
->trainer<steering<Model, Interventions...>, objective::weighted_sum<Term>, Optimizer>;
template <typename Model, typename... Interventions, typename Term, optimizer Optimizer>
trainer(steering<Model, Interventions...>, objective::weighted<Term>, Optimizer)
    -> trainer<steering<Model, Interventions...>, objective::weighted_sum<Term>, Optimizer>;

}  // namespace trimtab
