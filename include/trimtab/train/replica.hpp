// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/optimizer.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/parameters.hpp>
#include <trimtab/train/checkpoint.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// One of the fits that share a pass. Each has its own prompts, strengths, objective, optimizer, start and end, and
/// gives the same bits as it would alone.

namespace trimtab {

/// Steps that see a part of the prompts each, in an order drawn anew for every epoch.
struct mini_batches {
  index_t size = 0;  ///< prompts in a step; 0: all
  std::uint64_t seed = 1;

  /// The steps of an epoch.
  index_t an_epoch(index_t prompts) const { return size == 0 ? 1 : (prompts + size - 1) / size; }
};

template <typename Objective, optimizer Optimizer>
struct replica {
  std::vector<prompt_pair> prompts = {};
  Objective objective = {};
  Optimizer optimizer = {};
  std::vector<double> strengths = {+1.0, -1.0};  ///< the β of every prompt, weighted equally
  std::optional<index_t> steps = {};             ///< when it ends; nothing: when the caller says so
  std::optional<parameters> start = {};          ///< parameters to start from; nothing: the policies' own
  std::uint64_t seed = 1;                        ///< for policies that start at random
  index_t chunk = 0;                             ///< prompts that run at once; 0: as `usual_chunk` says
  mini_batches batches = {};
  std::optional<fit_state> resume_from = {};  ///< the state of an earlier run of this fit
};

namespace detail {

/// Throws `bad_data` or `bad_argument` for a replica that cannot be fitted, before any work is done.
template <typename Objective, typename Optimizer>
void check_replica(const replica<Objective, Optimizer>& r, index_t vocabulary) {
  check_prompts(r.prompts, vocabulary);
  if (std::ranges::all_of(r.prompts, &prompt_pair::retained))
    throw error(error_kind::bad_data,
                "all prompts are only to be retained; at least one needs answers to steer between");
  check_strengths(r.strengths);
  if constexpr (requires { r.optimizer.check(); }) r.optimizer.check();
  if (r.steps and *r.steps < 0)
    throw error(error_kind::bad_argument, "the number of steps is negative; it must be 0 or more");
  const auto require_count = [](const char* what, index_t prompts) {
    if (prompts < 0)
      throw error(error_kind::bad_argument, std::string("the number of prompts in ") + what + " is negative");
  };
  require_count("a chunk", r.chunk);
  require_count("a batch", r.batches.size);
  if (r.resume_from and r.start)
    throw error(error_kind::bad_argument, "`resume_from` and `start` exclude each other; set only one of them");
  if (r.resume_from and r.steps and r.resume_from->steps() > *r.steps)
    throw error(error_kind::bad_argument, r.resume_from->name + " has made " + std::to_string(r.resume_from->steps()) +
                                              " steps, more than the " + std::to_string(*r.steps) +
                                              " asked for; ask for more steps, or start again");
}

}  // namespace detail
}  // namespace trimtab
