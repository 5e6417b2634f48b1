// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/random.hpp>
#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/objective/minimality.hpp>
#include <trimtab/steer/sequence.hpp>
#include <trimtab/train/adam.hpp>
#include <trimtab/train/chunks.hpp>
#include <trimtab/train/fit_run.hpp>

#include <range/v3/view/cartesian_product.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

/// Many fits of one composition, with the settings of a grid:
///
///     const auto points = grid({.lambda_m = logspace(0.3, 0.003, 12), .seed = {1, 2, 3}});
///     sweep(steering, replicas, [&](std::size_t point, auto result) { keep(point, result); });
///
/// The fits ride as replicas in as few passes as the memory allows. Each gives the same bits as it would alone, and is
/// handed over as soon as it has made its last step.

namespace trimtab {

/// What a point of a sweep is fitted with.
struct fit_settings {
  double lambda_f = 1;
  double lambda_m = 0.03;
  double margin = 1;
  double learning_rate = 0.03;
  index_t steps = 200;
  std::uint64_t seed = 1;  ///< of the data, and of a random start
  double start = 0;        ///< σ of a start drawn from N(0, σ²); 0 for the policies' own start

  friend bool operator==(const fit_settings&, const fit_settings&) = default;
};

/// What varies, by setting; one that is empty does not.
struct sweep_axes {
  std::vector<double> lambda_f = {}, lambda_m = {}, margin = {}, learning_rate = {};
  std::vector<index_t> steps = {};
  std::vector<std::uint64_t> seed = {};
  std::vector<double> start = {};
};

namespace detail {

/// A point for every combination of one value from each axis.
template <typename Point, typename... Axis>
std::vector<Point> product_of(const Axis&... axes) {
  std::vector<Point> points;
  for (const auto& values : ranges::views::cartesian_product(axes...))
    points.push_back(std::apply([](const auto&... value) { return Point{value...}; }, values));
  return points;
}

}  // namespace detail

/// The Cartesian product of the axes; the last one varies fastest, and the others keep the settings of `base`. A
/// template so that only sources that call it compile the product, which takes a second.
template <std::same_as<sweep_axes> Axes = sweep_axes>
std::vector<fit_settings> grid(const Axes& axes, const fit_settings& base = {}) {
  const auto values = []<typename T>(const std::vector<T>& axis, T otherwise) {
    return axis.empty() ? std::vector<T>{otherwise} : axis;
  };
  return detail::product_of<fit_settings>(
      values(axes.lambda_f, base.lambda_f), values(axes.lambda_m, base.lambda_m), values(axes.margin, base.margin),
      values(axes.learning_rate, base.learning_rate), values(axes.steps, base.steps), values(axes.seed, base.seed),
      values(axes.start, base.start));
}

/// `count` values from one end to the other, evenly in log. Throws `bad_argument` for an end that is not positive.
inline std::vector<double> logspace(double from, double to, index_t count) {
  if (not(from > 0 and to > 0 and std::isfinite(from) and std::isfinite(to)) or count < 1)
    throw error(error_kind::bad_argument, "values evenly in log go between two positive numbers, not from " +
                                              setting_text(from) + " to " + setting_text(to) + " in " +
                                              std::to_string(count) + " values");
  std::vector<double> values{from};
  for (index_t k = 1; k < count; ++k)
    values.push_back(
        k == count - 1 ? to : from * std::pow(to / from, static_cast<double>(k) / static_cast<double>(count - 1)));
  return values;
}

/// The objective with a point's weights and margin; other terms and settings stay.
template <typename... Terms>
objective::weighted_sum<Terms...> with_settings(objective::weighted_sum<Terms...> sum, const fit_settings& at) {
  const auto set = [&]<typename Term>(objective::weighted<Term>& t) {
    if constexpr (std::same_as<Term, objective::effectiveness>) t.term.margin = at.margin;
    if constexpr (std::same_as<Term, objective::faithfulness>) t.weight = at.lambda_f;
    if constexpr (std::same_as<Term, objective::minimality>) t.weight = at.lambda_m;
  };
  std::apply([&](auto&... t) { (set(t), ...); }, sum.terms);
  return sum;
}

/// Parameters that are all drawn from N(0, sigma²), zeros where no row uses them.
template <typename Steering>
parameters random_start(const Steering& composition, std::span<const prompt_pair> prompts, double sigma,
                        std::uint64_t seed) {
  parameters start{composition.layout(prompts), {}};
  random_generator random(seed);
  for (const parameter_block& block : start.layout.blocks)
    for (index_t r = 0; r < block.records(); ++r)
      for (index_t j = 0; j < block.record_size; ++j)
        start.theta.push_back(block.uses(r) ? sigma * random.normal() : 0.0);
  return start;
}

/// The replica of a point.
template <typename Steering, typename Objective>
replica<Objective, adam> replica_at(const Steering& composition, const Objective& objective, adam optimizer,
                                    const fit_settings& at, const std::vector<prompt_pair>& prompts,
                                    const std::vector<double>& strengths = {+1.0, -1.0}) {
  optimizer.learning_rate = at.learning_rate;
  replica<Objective, adam> r{.prompts = prompts,
                             .objective = with_settings(objective, at),
                             .optimizer = optimizer,
                             .strengths = strengths,
                             .steps = at.steps,
                             .seed = at.seed};
  if (at.start == 0) return r;
  r.start = random_start(composition, r.prompts, at.start, at.seed);
  return r;
}

/// How far a sweep is, over all its points.
struct sweep_progress {
  std::size_t finished = 0, points = 0;
  index_t steps = 0, all_steps = 0;
};

struct sweep_options {
  index_t bytes = index_t{1} << 30;  ///< of activations in a pass; a fit that alone takes more rides alone
  /// Of a pass on a CPU: more make no product faster, and leave its caches. A device takes as many as `bytes` hold.
  index_t rows = 512;
  /// Called before each step; false ends the sweep.
  std::function<bool(const sweep_progress&)> proceed = {};
  /// Called with a point whose loss is no longer finite, and the sentence; without it the sweep throws.
  std::function<void(std::size_t, const std::string&)> failed = {};
};

/// What a replica adds to a pass, or what a pass may hold.
struct pass_size {
  index_t bytes = 0, rows = 0;
};

/// What a pass may hold on a backend.
template <typename B>
pass_size largest_pass(index_t bytes, index_t rows = sweep_options{}.rows) {
  return {bytes, device_backend<B> ? std::numeric_limits<index_t>::max() : rows};
}

/// What a replica alone adds to a pass, which runs no more of its prompts at once than a chunk of the longest.
template <typename Steering, typename Objective, typename Optimizer>
pass_size size_of_replica(const Steering& composition, const replica<Objective, Optimizer>& r) {
  using T = typename Steering::model_type::scalar;
  const model_config& config = composition.model().config();
  const parameter_layout layout = r.start ? r.start->layout : composition.layout(r.prompts);
  const index_t chunk = r.chunk > 0 ? r.chunk : usual_chunk<T>(config, layout, r.prompts, r.strengths);
  pass_size most;
  for (std::span<const prompt_pair> left = r.prompts; not left.empty();) {
    const std::size_t count = std::min(left.size(), static_cast<std::size_t>(chunk));
    const step_bytes some =
        bytes_of_step<T>(config, layout, left.first(count), r.strengths, hook_terms_in(r.objective));
    most = {std::max(most.bytes, some.total()), std::max(most.rows, some.rows)};
    left = left.subspan(count);
  }
  return most;
}

/// Which fits ride together: each pass takes as many as fill its rows, no more than its bytes hold, and at least one.
/// Those that make the same number of steps are neighbours, because a pass is planned again when one leaves it.
inline std::vector<std::vector<std::size_t>> passes_of(std::span<const pass_size> sizes, std::span<const index_t> steps,
                                                       pass_size most) {
  std::vector<std::size_t> order;
  index_t rows = 0;
  for (std::size_t k = 0; k < sizes.size(); ++k) order.push_back(k), rows += sizes[k].rows;
  std::ranges::stable_sort(order, std::greater<>{}, [&](std::size_t k) { return steps[k]; });
  // Passes of about the same size, so that none is left with few rows.
  const index_t enough = rows / std::max<index_t>(1, rows / most.rows);
  std::vector<std::vector<std::size_t>> passes;
  pass_size taken;
  for (std::size_t k : order) {
    if (passes.empty() or taken.rows >= enough or taken.bytes + sizes[k].bytes > most.bytes)
      passes.emplace_back(), taken = {};
    passes.back().push_back(k);
    taken = {taken.bytes + sizes[k].bytes, taken.rows + sizes[k].rows};
  }
  return passes;
}

namespace detail {

template <typename Steering, typename Objective, typename Optimizer, typename Finished>
class running_sweep {
 public:
  running_sweep(const Steering& composition, std::vector<replica<Objective, Optimizer>> replicas, Finished& finished,
                const sweep_options& options)
      : composition_(composition), replicas_(std::move(replicas)), finished_(finished), options_(options) {
    std::vector<pass_size> sizes;
    std::vector<index_t> steps;
    for (const auto& r : replicas_) {
      check_replica(r, composition.model().config().vocabulary);
      if (not r.steps)
        throw error(error_kind::bad_argument, "a point of the sweep does not say how many steps it makes");
      sizes.push_back(size_of_replica(composition, r));
      steps.push_back(*r.steps);
      now_.all_steps += *r.steps;
    }
    now_.points = replicas_.size();
    using B = typename Steering::model_type::backend_type;
    passes_ = passes_of(sizes, steps, largest_pass<B>(options.bytes, options.rows));
  }

  bool run() {
    return std::ranges::all_of(passes_, [&](const auto& points) { return run_pass(points); });
  }

 private:
  /// Runs these points in one pass. If a loss is no longer finite, the pass is repeated in halves, until the point that
  /// fails is alone: the others give the same bits without it.
  bool run_pass(std::vector<std::size_t> points) {
    const index_t before = now_.steps;
    try {
      return run_together(points);
    } catch (const error& problem) {
      if (problem.kind() != error_kind::bad_argument or not options_.failed) throw;
      std::erase_if(points, [&](std::size_t p) { return is_finished(p); });
      now_.steps = before;
      if (points.size() == 1) {
        options_.failed(points.front(), problem.what());
        count(points.front());
        return true;
      }
    }
    const auto half = points.begin() + std::ssize(points) / 2;
    return run_pass({points.begin(), half}) and run_pass({half, points.end()});
  }

  bool run_together(const std::vector<std::size_t>& points) {
    std::vector<replica<Objective, Optimizer>> together;
    for (std::size_t p : points) together.push_back(replicas_[p]);
    fit_run<Steering, Objective, Optimizer> run(composition_, std::move(together));
    for (;;) {
      index_t left = 0;
      for (std::size_t k = 0; k < points.size(); ++k) {
        if (not run.has_ended(k)) {
          ++left;
        } else if (not is_finished(points[k])) {
          finished_(points[k], run.result(k));
          count(points[k]);
        }
      }
      if (left == 0) return true;
      if (options_.proceed and not options_.proceed(now_)) return false;
      run.step();
      now_.steps += left;
    }
  }

  bool is_finished(std::size_t point) const { return std::ranges::find(done_, point) != done_.end(); }
  void count(std::size_t point) {
    done_.push_back(point);
    now_.finished = done_.size();
  }

  const Steering& composition_;
  std::vector<replica<Objective, Optimizer>> replicas_;
  Finished& finished_;
  const sweep_options& options_;
  std::vector<std::vector<std::size_t>> passes_ = {};
  std::vector<std::size_t> done_ = {};
  sweep_progress now_ = {};
};

}  // namespace detail

/// Fits replicas of one composition and calls `finished(point, fitted)` with each as soon as it has made its steps.
/// Returns whether all were made. Throws as `fit_run` does, before any step where settings cannot be fitted.
template <typename Steering, typename Objective, typename Optimizer, typename Finished>
bool sweep(const Steering& composition, std::vector<replica<Objective, Optimizer>> replicas, Finished&& finished,
           const sweep_options& options = {}) {
  return detail::running_sweep(composition, std::move(replicas), finished, options).run();
}

}  // namespace trimtab
