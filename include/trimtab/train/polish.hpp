// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>
#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/objective/logit_difference.hpp>
#include <trimtab/objective/weighted_sum.hpp>
#include <trimtab/row/math.hpp>
#include <trimtab/steer/stationarity.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Goes on from where Adam ended to a stationary point of the objective, by accelerated proximal gradient steps with
/// backtracking (Beck and Teboulle 2009; restarts as O'Donoghue and Candès 2015). The hinge is softened, ψ_τ(u) = τ
/// softplus(u / τ) with τ from 0.1 down to 1e-6; then the terms that ended at its kink are moved onto it, and the hinge
/// itself is measured.

namespace trimtab {

/// Effectiveness with a softened hinge; other shapes stay as they are.
struct softened_effectiveness {
  static constexpr std::string_view text = objective::effectiveness::text;

  objective::effectiveness sharp = {};
  double tau = 1;

  constexpr auto value(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    using math::exp, math::abs, math::log;
    if (sharp.shape != objective::psi::hinge) return sharp.value(r);
    const T u = sharp.shortfall(r), t = static_cast<T>(tau);
    return (u > 0 ? u : T(0)) + t * log(1 + exp(-abs(u) / t));
  }
  constexpr void gradient(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    using math::exp, math::abs;
    if (sharp.shape != objective::psi::hinge) return sharp.gradient(r);
    const T u = sharp.shortfall(r), e = exp(-abs(u) / static_cast<T>(tau));
    const T d = r.d_value() * (u > 0 ? T(1) : e) / (1 + e) * objective::effectiveness::direction(r);
    objective::add_logit_difference_gradient(r, -d);
  }
};

template <>
inline constexpr bool enable_objective_term<softened_effectiveness> = true;

struct polish_options {
  index_t steps = 2000;                       ///< the most at each τ
  double tolerance = 1e-6;                    ///< ends the steps at a τ: the violation in units of λ
  std::function<bool(index_t)> proceed = {};  ///< called with the number of steps before each; false ends there
};

struct polished {
  parameters values = {};
  stationarity before = {}, after = {};
  index_t steps = 0;
  bool is_stationary = false;  ///< the largest violation is below 1e-3
  std::string why_not = {};    ///< a sentence where it is not
};

namespace detail {

template <typename Term>
using softened_term = std::conditional_t<std::same_as<Term, objective::effectiveness>, softened_effectiveness, Term>;

template <typename... Terms>
auto softened(const objective::weighted_sum<Terms...>& sum, double tau) {
  objective::weighted_sum<softened_term<Terms>...> soft;
  const auto set = [&]<typename Term>(const objective::weighted<Term>& from, auto& to) {
    to.weight = from.weight;
    if constexpr (std::same_as<Term, objective::effectiveness>)
      to.term = {from.term, tau};
    else
      to.term = from.term;
  };
  [&]<std::size_t... K>(std::index_sequence<K...>) { (set(std::get<K>(sum.terms), std::get<K>(soft.terms)), ...); }
  (std::index_sequence_for<Terms...>{});
  return soft;
}

/// The proximal point of a penalty at u, where all thresholds are the same.
inline void shrink_all(const parameter_layout& layout, std::vector<double>& u, double threshold, parameter_norm norm) {
  each_unit(layout, norm, [&](std::span<const std::size_t> unit, bool weighed) {
    if (not weighed) return;
    if (unit.size() == 1) {
      double& x = u[unit.front()];
      x = x > threshold ? x - threshold : x < -threshold ? x + threshold : 0;
      return;
    }
    const double length = length_of(unit, u);
    const double scale = length > threshold ? 1 - threshold / length : 0;
    for (const std::size_t j : unit) u[j] *= scale;
  });
}

template <typename Steering, typename... Terms>
class polisher {
 public:
  using sum_type = objective::weighted_sum<Terms...>;

  polisher(const Steering& composition, const sum_type& objective, const parameters& start,
           std::span<const prompt_pair> prompts, std::span<const double> strengths, const polish_options& options)
      : composition_(composition),
        objective_(objective),
        prompts_(prompts),
        strengths_(strengths),
        options_(options),
        penalty_(penalty_of(objective, weighed_numbers(start.layout))),
        at_(start) {}

  polished run() {
    polished found{.before = stationarity_of(composition_, objective_, at_, prompts_, strengths_)};
    unit_ = found.before.lambda;
    for (const double tau : {.1, .01, 1e-3, 1e-4, 1e-5, 1e-6})
      if (not ended_) descend(tau);
    for (int round = 0; round < 3 and not ended_; ++round) move_onto_kinks();
    found.values = at_;
    found.after = stationarity_of(composition_, objective_, at_, prompts_, strengths_);
    found.steps = steps_;
    found.is_stationary = found.after.is_stationary();
    if (not found.is_stationary and ended_)
      found.why_not = "it was ended after " + std::to_string(steps_) + " steps";
    else if (not found.is_stationary)
      found.why_not = "the largest violation is still " + setting_text(found.after.largest) + " of the weight after " +
                      std::to_string(steps_) + " steps; allow more of them, or compute in double";
    return found;
  }

 private:
  struct smooth_part {
    double value;
    std::vector<double> gradient;
  };

  template <typename Objective>
  smooth_part smooth_at(const Objective& objective, const std::vector<double>& theta) const {
    const parameters here{at_.layout, theta};
    auto found = objective_and_gradient(composition_, objective, here, prompts_, strengths_);
    const auto norm = penalty_.norm == parameter_norm::mean ? parameter_norm::sum : penalty_.norm;
    return {found.loss.total() - penalty_.weight * norm_of(at_.layout, theta, norm), std::move(found.gradient)};
  }

  void descend(double tau) {
    const auto objective = softened(objective_, tau);
    std::vector<double> y = at_.theta;
    double momentum = 1;
    for (index_t step = 0; step < options_.steps; ++step) {
      if (options_.proceed and not options_.proceed(steps_)) {
        ended_ = true;
        return;
      }
      const smooth_part here = smooth_at(objective, y);
      std::vector<double> next;
      double furthest = 0;
      for (;; length_ /= 2) {
        next = y;
        for (std::size_t j = 0; j < next.size(); ++j) next[j] -= length_ * here.gradient[j];
        shrink_all(at_.layout, next, length_ * penalty_.weight, penalty_.norm);
        double linear = 0, square = 0;
        furthest = 0;
        for (std::size_t j = 0; j < next.size(); ++j) {
          const double d = next[j] - y[j];
          linear += here.gradient[j] * d, square += d * d;
          furthest = std::max(furthest, std::abs(d));
        }
        const double bound = here.value + linear + square / (2 * length_);
        const double rounding = 1e-14 * std::abs(here.value);
        if (smooth_at(objective, next).value <= bound + rounding or length_ < 1e-12) break;
      }
      double against = 0;
      for (std::size_t j = 0; j < next.size(); ++j) against += (y[j] - next[j]) * (next[j] - at_.theta[j]);
      const double grown = against > 0 ? 1 : (1 + std::sqrt(1 + 4 * momentum * momentum)) / 2;
      for (std::size_t j = 0; j < next.size(); ++j)
        y[j] = next[j] + (against > 0 ? 0 : (momentum - 1) / grown) * (next[j] - at_.theta[j]);
      momentum = grown;
      at_.theta = next;
      ++steps_;
      if (furthest <= options_.tolerance * unit_ * length_) break;
      length_ *= 1.1;
    }
  }

  /// Moves the terms that the softened hinge left near its kink onto it, by the shortest change of what is not zero.
  void move_onto_kinks() {
    constexpr double near = 7e-6;  // where the softened hinge's slope is between 0.001 and 0.999
    const auto found = objective_at(composition_, objective_, at_, prompts_, strengths_);
    auto kinks = kinks_of(composition_, objective_, at_, prompts_, strengths_, found.logit_diffs, near);
    const std::size_t n = kinks.size();
    for (kink& k : kinks)
      for (std::size_t j = 0; j < k.gradient.size(); ++j)
        if (at_.theta[j] == 0) k.gradient[j] = 0;
    // Gauss elimination of (G Gᵀ) z = −left.
    std::vector<std::vector<double>> rows(n, std::vector<double>(n + 1));
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = 0; b < n; ++b)
        for (std::size_t j = 0; j < at_.theta.size(); ++j) rows[a][b] += kinks[a].gradient[j] * kinks[b].gradient[j];
      rows[a][n] = -kinks[a].left;
    }
    for (std::size_t c = 0; c < n; ++c) {
      std::size_t pivot = c;
      for (std::size_t r = c; r < n; ++r)
        if (std::abs(rows[r][c]) > std::abs(rows[pivot][c])) pivot = r;
      if (rows[pivot][c] == 0) return;  // kinks that depend on each other stay where they are
      std::swap(rows[c], rows[pivot]);
      for (std::size_t r = 0; r < n; ++r) {
        const double factor = r == c ? 0 : rows[r][c] / rows[c][c];
        for (std::size_t k = c; k <= n && factor != 0; ++k) rows[r][k] -= factor * rows[c][k];
      }
    }
    for (std::size_t a = 0; a < n; ++a)
      for (std::size_t j = 0; j < at_.theta.size(); ++j) at_.theta[j] += rows[a][n] / rows[a][a] * kinks[a].gradient[j];
  }

  const Steering& composition_;
  const sum_type& objective_;
  std::span<const prompt_pair> prompts_;
  std::span<const double> strengths_;
  const polish_options& options_;
  penalty penalty_;
  parameters at_;
  double length_ = 1, unit_ = 1;
  index_t steps_ = 0;
  bool ended_ = false;
};

}  // namespace detail

/// Throws as `objective_and_gradient` does.
template <typename Steering, typename... Terms>
polished polish(const Steering& composition, const objective::weighted_sum<Terms...>& objective,
                const parameters& start, std::span<const prompt_pair> prompts,
                std::span<const double> strengths = std::vector<double>{+1.0, -1.0},
                const polish_options& options = {}) {
  return detail::polisher<Steering, Terms...>(composition, objective, start, prompts, strengths, options).run();
}

}  // namespace trimtab
