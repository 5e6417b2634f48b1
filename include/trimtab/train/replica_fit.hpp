// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/optimizer.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/continuations.hpp>
#include <trimtab/steer/fitted.hpp>
#include <trimtab/steer/loss_values.hpp>
#include <trimtab/steer/penalty.hpp>
#include <trimtab/steer/same_place.hpp>
#include <trimtab/train/checkpoint.hpp>
#include <trimtab/train/chunks.hpp>
#include <trimtab/train/fit_warnings.hpp>
#include <trimtab/train/prompt_pool.hpp>
#include <trimtab/train/replica.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

/// Where one replica of a run stands: what was asked for, and its parameters, moments and history in host memory, which
/// the run brings up to date when somebody looks.

namespace trimtab::detail {

template <typename Objective, optimizer Optimizer>
struct replica_fit {
  replica<Objective, Optimizer> asked;
  std::vector<pooled_prompt> prompts = {};
  parameter_layout layout = {};
  std::vector<double> theta = {}, first_moment = {}, second_moment = {};
  std::vector<loss_values> history = {};
  std::vector<std::string> warnings = {};
  index_t made = 0;   ///< steps, those before a checkpoint included
  index_t chunk = 0;  ///< prompts in a chunk, at least 1 once started
  bool ended = false;

  bool has_ended() const { return ended or (asked.steps and made >= *asked.steps); }

  /// Whether a step sees more prompts than fit in one chunk.
  bool is_cut() const {
    const index_t count = std::ssize(prompts), size = asked.batches.size;
    return (size == 0 ? count : std::min(size, count)) > chunk;
  }

  /// Throws `bad_argument` if the loss is not finite.
  void take_loss(const loss_values& now) {
    if (not std::isfinite(now.total()))
      throw error(error_kind::bad_argument, "the loss is not finite before step " + std::to_string(made + 1) +
                                                "; lower the learning rate or the weights of the objective");
    if (asked.resume_from and made == asked.resume_from->steps()) require_same_loss(*asked.resume_from, now);
    if (std::ssize(history) == made) history.push_back(now.means());
  }
};

template <typename Steering, typename Objective, typename Optimizer>
fit_facts facts_of_replica(const Steering& steering, const replica_fit<Objective, Optimizer>& f) {
  fit_facts facts =
      facts_of_fit(steering, f.layout, f.asked.objective, f.asked.optimizer, f.asked.prompts, f.asked.strengths);
  if (f.asked.batches.size > 0) {
    facts["prompts in a batch"] = std::to_string(f.asked.batches.size);
    facts["seed of the batches"] = std::to_string(f.asked.batches.seed);
  }
  if (f.is_cut()) facts["prompts in a chunk"] = std::to_string(f.chunk);
  return facts;
}

/// Throws `bad_argument` where minimality weighs parameters one by one and the optimizer cannot.
template <optimizer Optimizer>
void check_units([[maybe_unused]] const parameter_layout& layout) {
  if constexpr (not takes_units<decltype(std::declval<const Optimizer&>().update(index_t{}, penalty{}))>)
    for (const parameter_block& block : layout.blocks)
      if (not block.weighs_each())
        throw error(error_kind::bad_argument,
                    "minimality weighs only a part of the parameters of " + block.policy +
                        ", and the update of this optimizer takes all alike; give it a forward(row, units)");
}

/// Whether a replica with answers of several tokens resumes a state without a chunk size. An earlier version made it,
/// which ran such fits in one pass however much memory that took; only the same cut gives the same bits.
template <typename Objective, typename Optimizer>
bool resumes_one_pass(const replica<Objective, Optimizer>& r) {
  return r.resume_from and not r.resume_from->facts.contains("prompts in a chunk") and
         std::ranges::any_of(r.prompts, &prompt_pair::has_sequences);
}

/// The replica before its first step, or where it resumes; its prompts are added to the pool. Throws `bad_data`,
/// `bad_argument` or `mismatch` for what cannot be fitted.
template <typename Steering, typename Objective, typename Optimizer>
replica_fit<Objective, Optimizer> start_replica(const Steering& steering, replica<Objective, Optimizer> asked,
                                                prompt_pool& pool) {
  constexpr index_t history_ahead = 4096;  // for how many steps the history reserves memory
  const model_config& config = steering.model().config();
  check_replica(asked, config.vocabulary);
  replica_fit<Objective, Optimizer> f{.asked = std::move(asked)};
  f.layout = f.asked.start ? f.asked.start->layout : steering.layout(f.asked.prompts);
  f.theta = f.asked.start ? f.asked.start->theta : steering.starting_parameters(f.layout, f.asked.seed);
  steering.check(f.layout, f.theta.size());
  penalty_of(f.asked.objective,
             weighed_numbers(f.layout));  // throws for two penalties, or a weight that is no number from 0 on
  check_units<Optimizer>(f.layout);
  f.warnings = repeated_places(f.layout);
  if (not f.asked.start) warn_of_start(f.layout, f.theta, f.asked.seed, f.warnings);
  f.first_moment.assign(f.theta.size(), 0.0);
  f.second_moment.assign(f.theta.size(), 0.0);
  for (const prompt_pair& p : f.asked.prompts) f.prompts.push_back(pool.add(p));
  f.chunk = f.asked.chunk;
  if (f.chunk == 0)
    f.chunk = resumes_one_pass(f.asked) ? std::ssize(f.prompts)
                                        : usual_chunk<typename Steering::model_type::scalar>(
                                              config, f.layout, f.asked.prompts, f.asked.strengths);
  f.asked.prompts = with_continuations(f.asked.prompts);  // the facts below hash the prompts with their continuations
  if (f.asked.resume_from) {
    const fit_state& from = *f.asked.resume_from;
    require_same_fit(from, facts_of_replica(steering, f), f.theta.size());
    f.theta = from.theta;
    f.first_moment = from.first_moment;
    f.second_moment = from.second_moment;
    f.history.assign(from.history.begin(), from.history.end() - 1);
    f.made = from.steps();
  }
  f.history.reserve(
      static_cast<std::size_t>(std::min(f.asked.steps.value_or(history_ahead), std::max(history_ahead, f.made)) + 1));
  return f;
}

}  // namespace trimtab::detail
