// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/parameters.hpp>
#include <trimtab/train/checkpoint.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// One of the fits that share a pass. Each has prompts, strengths, objective, optimizer, start and end of its own, and its
/// numbers are the bits that the same fit gives alone.

namespace trimtab {

template <typename Objective, optimizer Optimizer>
struct replica {
  std::vector<prompt_pair> prompts = {};
  Objective objective = {};
  Optimizer optimizer = {};
  std::vector<double> strengths = {+1.0, -1.0};  ///< the β of every prompt, each counts alike
  std::optional<index_t> steps = {};             ///< after so many it has ended; nothing: when the caller says so
  std::optional<parameters> start = {};          ///< where it starts; nothing: where the policies start
  std::uint64_t seed = 1;                        ///< of what policies start with at random
  std::optional<fit_state> resume_from = {};     ///< where an earlier run of this fit was
};

namespace detail {

/// Throws what is wrong with a replica before any work is done.
template <typename Objective, typename Optimizer>
void check_replica(const replica<Objective, Optimizer>& r, index_t vocabulary) {
  check_prompts(r.prompts, vocabulary);
  check_strengths(r.strengths);
  if constexpr (requires { r.optimizer.check(); }) r.optimizer.check();
  if (r.steps and *r.steps < 0)
    throw error(error_kind::bad_argument, "the number of steps is negative; it must be 0 or more");
  if (r.resume_from and r.start)
    throw error(error_kind::bad_argument, "a fit that goes on from a checkpoint cannot start elsewhere too");
  if (r.resume_from and r.steps and r.resume_from->steps() > *r.steps)
    throw error(error_kind::bad_argument, r.resume_from->name + " has made " + std::to_string(r.resume_from->steps()) +
                                              " steps, more than the " + std::to_string(*r.steps) +
                                              " asked for; ask for more steps, or start anew");
}

}  // namespace detail
}  // namespace trimtab
