// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/objective/minimality.hpp>
#include <trimtab/steer/stationarity.hpp>
#include <trimtab/train/fit_run.hpp>
#include <trimtab/train/replica.hpp>
#include <trimtab/train/sweep.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

/// The path of a fit as minimality weighs less and less: from λ_max, at which nothing is learned, down to a share of
/// it. Each fit starts from the parameters before it, with fresh moments. A place *enters* at the largest λ at which it
/// is not zero, and that order says which places matter most.

namespace trimtab {

struct path_options {
  index_t steps = 200;       ///< the most at each λ
  double tolerance = 1e-2;   ///< ends a fit: its largest violation (stationarity.hpp)
  index_t check_every = 20;  ///< steps between two looks at the violation, each of which costs about one step
  std::function<bool(std::size_t)> proceed = {};  ///< called before each λ with its number; false ends the path
  std::function<bool()> go_on = {};  ///< called before each step; false ends the path before the point it is at
};

/// A fit at one λ.
struct path_point {
  double lambda = 0;
  parameters values = {};
  index_t steps = 0;  ///< made at this λ
  double violation = 0;
  bool is_stationary = false;  ///< whether it ended within the tolerance, and not after `steps`
};

/// The weights of a path: `count` from λ_max to `end` times λ_max, evenly in log.
inline std::vector<double> path_weights(double lambda_max, index_t count, double end = 1e-3) {
  return logspace(lambda_max, lambda_max * end, count);
}

/// By record, in the order of θ: the largest λ at which any of its numbers is not zero; 0 for one that never enters.
inline std::vector<double> entries_of(std::span<const path_point> path) {
  std::vector<double> entries;
  for (const path_point& point : path) {
    std::size_t record = 0;
    each_record(point.values.layout, [&](const parameter_block& block, std::size_t first) {
      if (record == entries.size()) entries.push_back(0);
      if (norm_of_record(block, point.values.theta, first) > 0)
        entries[record] = std::max(entries[record], point.lambda);
      ++record;
    });
  }
  return entries;
}

namespace detail {

/// The objective with another weight of minimality. Throws `bad_argument` for one without minimality.
template <typename... Terms>
objective::weighted_sum<Terms...> with_minimality(objective::weighted_sum<Terms...> sum, double lambda) {
  bool found = false;
  const auto set = [&]<typename Term>(objective::weighted<Term>& t) {
    if constexpr (parameter_term<Term>) t.weight = lambda, found = true;
  };
  std::apply([&](auto&... t) { (set(t), ...); }, sum.terms);
  if (not found)
    throw error(error_kind::bad_argument,
                "a path needs an objective with minimality; add a term such as 0.03 * "
                "objective::minimality{}");
  return sum;
}

/// The weight of minimality in an objective; 0 for one without.
template <typename... Terms>
double weight_of_minimality(const objective::weighted_sum<Terms...>& sum) {
  double weight = 0;
  const auto read = [&]<typename Term>(const objective::weighted<Term>& t) {
    if constexpr (parameter_term<Term>) weight = t.weight;
  };
  std::apply([&](const auto&... t) { (read(t), ...); }, sum.terms);
  return weight;
}

}  // namespace detail

/// The next points of several paths, whose fits share their passes: each replica is fitted with its own objective, from
/// its own start, until its largest violation is within the tolerance or it has made its own `steps` (those of the
/// options, if it has none). Calls finished(k, point) for each replica as it ends. Every point has the bits that it has
/// alone. Throws as `fit_run` does.
template <typename Steering, typename Objective, typename Optimizer, std::invocable<std::size_t, path_point> Finished>
void next_on_paths(const Steering& composition, std::vector<replica<Objective, Optimizer>> replicas,
                   const path_options& options, Finished finished) {
  if (options.check_every < 1)
    throw error(error_kind::bad_argument, "the steps between two looks at a path are " +
                                              std::to_string(options.check_every) + "; they must be 1 or more");
  std::vector<index_t> most;
  for (auto& r : replicas) {
    most.push_back(r.steps.value_or(options.steps));
    r.steps = std::nullopt;  // the run does not end a fit, this function does
  }
  fit_run<Steering, Objective, Optimizer> run(composition, replicas);
  for (std::size_t left = replicas.size();;) {
    for (std::size_t k = 0; k < replicas.size(); ++k) {
      const bool is_last = run.steps() >= most[k];
      if (run.has_ended(k) or not(is_last or run.steps() % options.check_every == 0)) continue;
      const auto& r = replicas[k];
      path_point here{
          .lambda = detail::weight_of_minimality(r.objective), .values = run.result(k).values, .steps = run.steps()};
      here.violation = stationarity_of(composition, r.objective, here.values, r.prompts, r.strengths).largest;
      here.is_stationary = here.violation <= options.tolerance;
      if (not here.is_stationary and not is_last) continue;
      run.end(k);
      --left;
      finished(k, std::move(here));
    }
    if (left == 0 or (options.go_on and not options.go_on())) return;
    run.step();
  }
}

/// The paths of replicas that share their passes, such as those of several halves or seeds, at the same weights. Their
/// own `steps` and the weight of their minimality are not used. Paths that were ended differ in length by a point at
/// most. Throws as `fit_run` does.
template <typename Steering, typename Objective, typename Optimizer>
std::vector<std::vector<path_point>> paths_of(const Steering& composition,
                                              std::vector<replica<Objective, Optimizer>> replicas,
                                              std::span<const double> weights, const path_options& options = {}) {
  std::vector<std::vector<path_point>> paths(replicas.size());
  for (std::size_t number = 0; number < weights.size(); ++number) {
    if (options.proceed and not options.proceed(number)) break;
    for (auto& r : replicas) {
      r.objective = detail::with_minimality(r.objective, weights[number]);
      r.steps = std::nullopt;
    }
    next_on_paths(composition, replicas, options, [&](std::size_t k, path_point point) {
      replicas[k].start = point.values;
      paths[k].push_back(std::move(point));
    });
    if (std::ranges::any_of(paths, [&](const auto& path) { return path.size() <= number; })) break;
  }
  return paths;
}

}  // namespace trimtab
