// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/steer/loss.hpp>
#include <trimtab/steer/objective_and_gradient.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

/// Whether parameters θ are a stationary point of an objective with a penalty λ‖θ‖, g being the gradient of its smooth
/// part:
///
///     Σ |θ|   g_j + λ sign θ_j = 0,  where θ_j = 0  |g_j| <= λ      (for the mean: λ / count)
///     ‖θ‖₂    g + λ θ / ‖θ‖ = 0,     where θ = 0    ‖g‖ <= λ        for each record
///
/// At the kink of a hinge g is a set: one weight in [0, 1] for each term there, chosen so that the violation is
/// smallest.

namespace trimtab {

struct stationarity {
  double lambda = 0;     ///< of one parameter or record, the unit of violations; λ_max where the weight is 0
  double largest = 0;    ///< violation
  double mean = 0;       ///< violation
  double satisfied = 1;  ///< share of the conditions that hold within 1 %
  index_t at_kink = 0;   ///< terms at the hinge's kink
  /// Of each parameter, or of each record for the group norm; where a policy has parameters that minimality does not
  /// weigh, of each unit (parameters.hpp).
  std::vector<double> violations = {};

  /// Whether it is a stationary point but for rounding.
  bool is_stationary() const { return largest < 1e-3; }
};

namespace detail {

/// The Euclidean norm of some numbers of θ.
inline double length_of(std::span<const std::size_t> unit, std::span<const double> numbers) {
  if (unit.size() == 1) return std::abs(numbers[unit.front()]);
  double square = 0;
  for (const std::size_t j : unit) square += numbers[j] * numbers[j];
  return std::sqrt(square);
}

}  // namespace detail

/// The smallest weight of the penalty at which zero is stationary: the largest gradient.
inline double largest_gradient(const parameter_layout& layout, std::span<const double> gradient, parameter_norm norm) {
  double most = 0;
  each_unit(layout, norm, [&](std::span<const std::size_t> unit, bool weighed) {
    if (weighed) most = std::max(most, detail::length_of(unit, gradient));
  });
  return norm == parameter_norm::mean ? most * static_cast<double>(weighed_numbers(layout)) : most;
}

namespace detail {

/// What is left of g where the penalty's subgradient is chosen as close to −g as it may be; its length is the
/// violation.
inline std::vector<double> residual_of(const parameters& at, std::span<const double> gradient, double lambda,
                                       parameter_norm norm) {
  std::vector<double> residual(gradient.begin(), gradient.end());
  const std::span theta(at.theta);
  each_unit(at.layout, norm, [&](std::span<const std::size_t> unit, bool weighed) {
    if (not weighed) return;  // the penalty has no subgradient there but 0
    const double length = length_of(unit, theta), slope = length_of(unit, gradient);
    for (const std::size_t j : unit)
      if (length > 0)
        residual[j] += unit.size() > 1 ? lambda * theta[j] / length : theta[j] > 0 ? lambda : -lambda;
      else
        residual[j] -= unit.size() > 1 ? gradient[j] * (slope > lambda ? lambda / slope : 1)
                                       : std::clamp(gradient[j], -lambda, lambda);
  });
  return residual;
}

/// How far a hinge is from its kink in margins.
inline constexpr double at_the_kink = 1e-6;

/// A hinge term at its kink: the slope that the loss took, and with its share in the loss what is left of its margin
/// and the gradient of that.
struct kink {
  double slope = 0;
  double left = 0;
  std::vector<double> gradient = {};
};

template <typename Steering, typename... Terms>
std::vector<kink> kinks_of(const Steering& composition, const objective::weighted_sum<Terms...>& objective,
                           const parameters& at, std::span<const prompt_pair> prompts,
                           std::span<const double> strengths, std::span<const double> logit_diffs,
                           double within = at_the_kink) {
  std::vector<kink> kinks;
  objective.each([&]<typename Term>(const objective::weighted<Term>& t) {
    if constexpr (std::same_as<Term, objective::effectiveness>) {
      if (t.term.shape != objective::psi::hinge) return;
      const auto retained = static_cast<std::size_t>(std::ranges::count_if(prompts, &prompt_pair::retained));
      const auto terms = static_cast<double>((prompts.size() - retained) * strengths.size());
      for (std::size_t s = 0; s < logit_diffs.size(); ++s) {
        if (prompts[s % prompts.size()].retained) continue;
        const double beta = strengths[s / prompts.size()];
        const double left = t.term.margin - (beta > 0 ? logit_diffs[s] : -logit_diffs[s]);
        if (beta == 0 or std::abs(left) > within * std::max(1.0, std::abs(t.term.margin))) continue;
        auto linear = t.term;
        linear.shape = objective::psi::identity;
        const double share = t.weight / terms;
        auto alone = objective_and_gradient(composition, share * linear, at, prompts.subspan(s % prompts.size(), 1),
                                            std::span(&beta, 1));
        kinks.push_back({left > 0 ? 1.0 : 0.0, share * left, std::move(alone.gradient)});
      }
    }
  });
  return kinks;
}

/// Chooses the weights of the kinks so that ½‖residual‖² is smallest, one after another until none moves; the function
/// is convex. Returns the gradient with these weights.
inline std::vector<double> settle_kinks(const parameters& at, std::vector<double> gradient, double lambda,
                                        parameter_norm norm, std::span<kink> kinks) {
  constexpr int most_rounds = 10'000;
  const auto dot = [](std::span<const double> a, std::span<const double> b) {
    double sum = 0;
    for (std::size_t j = 0; j < a.size(); ++j) sum += a[j] * b[j];
    return sum;
  };
  double moved = 1;
  for (int round = 0; round < most_rounds and moved > 1e-14; ++round) {
    moved = 0;
    for (kink& k : kinks) {
      const double curvature = dot(k.gradient, k.gradient);
      if (curvature == 0) continue;
      const double slope = dot(k.gradient, residual_of(at, gradient, lambda, norm));
      const double next = std::clamp(k.slope - slope / curvature, 0.0, 1.0);
      for (std::size_t j = 0; j < gradient.size(); ++j) gradient[j] += (next - k.slope) * k.gradient[j];
      moved = std::max(moved, std::abs(next - k.slope));
      k.slope = next;
    }
  }
  return gradient;
}

}  // namespace detail

/// Measures how far parameters are from a stationary point of the objective on these prompts. Throws as
/// `objective_and_gradient` does.
template <typename Steering, typename... Terms>
stationarity stationarity_of(const Steering& composition, const objective::weighted_sum<Terms...>& objective,
                             const parameters& at, std::span<const prompt_pair> prompts,
                             std::span<const double> strengths = std::vector<double>{+1.0, -1.0}) {
  const objective_gradient found = objective_and_gradient(composition, objective, at, prompts, strengths);
  const penalty weighed = penalty_of(objective, weighed_numbers(at.layout));
  auto kinks = detail::kinks_of(composition, objective, at, prompts, strengths, found.logit_diffs);
  const auto gradient = detail::settle_kinks(at, found.gradient, weighed.weight, weighed.norm, kinks);
  const auto residual = detail::residual_of(at, gradient, weighed.weight, weighed.norm);

  stationarity s{.lambda = weighed.weight, .at_kink = std::ssize(kinks)};
  if (s.lambda == 0) {
    parameters zero = at;
    each_unit(at.layout, parameter_norm::sum, [&](std::span<const std::size_t> unit, bool is_weighed) {
      for (const std::size_t j : unit) zero.theta[j] = is_weighed ? 0 : at.theta[j];
    });
    const auto first = objective_and_gradient(composition, objective, zero, prompts, strengths).gradient;
    s.lambda =
        largest_gradient(at.layout, first, weighed.norm == parameter_norm::mean ? parameter_norm::sum : weighed.norm);
  }
  if (s.lambda == 0) s.lambda = 1;  // a policy without a gradient at zero has no other unit
  each_unit(at.layout, weighed.norm, [&](std::span<const std::size_t> unit, bool) {
    s.violations.push_back(detail::length_of(unit, residual) / s.lambda);
  });
  const auto n = static_cast<double>(s.violations.size());
  for (double v : s.violations) {
    s.largest = std::max(s.largest, v);
    s.mean += v / n;
  }
  s.satisfied = static_cast<double>(std::ranges::count_if(s.violations, [](double v) { return v <= .01; })) / n;
  return s;
}

/// The parameters at which a fit starts; the model is untouched there. Throws `bad_argument` where the policies do not
/// start there.
template <typename Steering>
parameters identity_of(const Steering& composition, std::span<const prompt_pair> prompts) {
  const parameter_layout layout = composition.layout(prompts);
  parameters start{layout, composition.starting_parameters(layout, 1)};
  if (count_parameters(start).nonzero_parameters > 0)
    throw error(error_kind::bad_argument,
                "there is no largest weight of minimality for policies that do not start at the identity; choose "
                "policies of which all that minimality weighs starts at zero");
  return start;
}

/// λ_max from the gradient at those parameters; T is the scalar of the fit.
template <typename T, typename Objective>
double lambda_max_of(const parameter_layout& layout, const Objective& objective, std::span<const double> gradient) {
  return largest_gradient(layout, gradient, penalty_of(objective, weighed_numbers(layout)).norm) *
         (1 + 64 * static_cast<double>(std::numeric_limits<T>::epsilon()));
}

/// The smallest weight of minimality at which a fit from the identity stays there, a little above the largest gradient
/// because Adam's steps are rounded. Throws `bad_argument` where the policies do not start at the identity, and as
/// `objective_and_gradient` does. All prompts run in one pass; `trainer::lambda_max` runs them in chunks.
template <typename Steering, typename... Terms>
double lambda_max(const Steering& composition, const objective::weighted_sum<Terms...>& objective,
                  std::span<const prompt_pair> prompts,
                  std::span<const double> strengths = std::vector<double>{+1.0, -1.0}) {
  const parameters start = identity_of(composition, prompts);
  return lambda_max_of<typename Steering::model_type::scalar>(
      start.layout, objective, objective_and_gradient(composition, objective, start, prompts, strengths).gradient);
}

}  // namespace trimtab
