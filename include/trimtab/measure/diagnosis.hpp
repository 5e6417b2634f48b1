// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/metrics.hpp>
#include <trimtab/steer/loss_values.hpp>
#include <trimtab/steer/parameters.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// What went wrong in a fit, if anything did: one sentence for each failure, with what to try. A fit of which nothing
/// is said may still be poor; the figures on prompts that it has not seen decide.

namespace trimtab {

/// What the diagnosis looks at.
struct fit_outcome {
  std::span<const loss_values> history = {};  ///< before each step and after the last
  parameter_counts counts = {};
  metrics train = {};
  double lambda_m = 0;                    ///< the weight of minimality
  std::optional<double> lambda_max = {};  ///< at which nothing leaves zero, where it is known
  bool by_statistics = false;             ///< nothing was learned, the vectors are statistics of two sets of prompts
};

namespace detail {

inline std::string short_text(double x) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.3g", x);
  return digits;
}

/// How far the loss rose and fell over the last quarter of the steps, all rises and all falls together.
struct loss_tail {
  double risen = 0, fallen = 0;
  std::size_t steps = 0;
};

inline loss_tail tail_of(std::span<const loss_values> history) {
  loss_tail tail{.steps = (history.size() - 1) / 4};
  for (std::size_t k = history.size() - tail.steps; k < history.size(); ++k) {
    const double change = history[k].total() - history[k - 1].total();
    (change > 0 ? tail.risen : tail.fallen) += std::abs(change);
  }
  return tail;
}

inline std::string zero_sentence(const fit_outcome& fit) {
  if (fit.by_statistics)
    return "the statistics of the two sets of prompts differ nowhere: all " + std::to_string(fit.counts.parameters) +
           " parameters are exactly zero; give other prompts";
  std::string sentence = "nothing was learned: all " + std::to_string(fit.counts.parameters) +
                         " parameters are exactly zero at the minimality weight " + short_text(fit.lambda_m);
  if (not fit.lambda_max) return sentence + "; take a smaller one, or more steps";
  if (*fit.lambda_max == 0)
    return sentence +
           ", and would be at any: the gradient of the other terms is zero at the start, as if they were at "
           "their minimum already; take a larger margin, other prompts, or add the opposite strength";
  sentence += ", and from " + short_text(*fit.lambda_max) + " on nothing can leave zero";
  return sentence + (fit.lambda_m < *fit.lambda_max ? "; make more steps, or take a smaller weight"
                                                    : "; take a weight below that, such as a hundredth of it");
}

inline void add_failures_of_loss(std::span<const loss_values> history, std::vector<std::string>& found) {
  const double first = history.front().total(), last = history.back().total();
  const double best = std::ranges::min(history, {}, &loss_values::total).total();
  const std::size_t steps = history.size() - 1;
  if (last > first)
    found.push_back("the loss ended higher than it began, at " + short_text(last) + " after " + short_text(first) +
                    "; lower the learning rate");
  // Fewer steps have no last quarter to speak of; a tenth of the gain is more than rounding and Adam's own noise.
  const loss_tail tail = tail_of(history);
  const bool oscillates = steps >= 40 and std::min(tail.risen, tail.fallen) > 0.1 * (first - best);
  if (oscillates)
    found.push_back("the loss oscillates: over the last " + std::to_string(tail.steps) + " steps it rose by " +
                    short_text(tail.risen) + " and fell by " + short_text(tail.fallen) +
                    " in all; lower the learning rate");
  // Of a fit at rest, the last tenth of the steps gains nearly nothing.
  const std::size_t tenth = std::max<std::size_t>(1, steps / 10);
  const double gained = steps > 0 ? history[steps - tenth].total() - last : 0;
  if (steps > 0 and not oscillates and last < first and gained > 0.01 * (first - last))
    found.push_back("the fit is not at rest: the last " + std::to_string(tenth) + " of " + std::to_string(steps) +
                    (steps == 1 ? " step" : " steps") + " account for " + short_text(100 * gained / (first - last)) +
                    " % of the fall of the loss; make more steps");
}

}  // namespace detail

/// The failures of a fit, the gravest first; nothing for one without. `history` holds at least the loss before the
/// first step, but for vectors by statistics, which have none.
inline std::vector<std::string> failures_of(const fit_outcome& fit) {
  using detail::short_text;
  std::vector<std::string> found;
  if (fit.counts.nonzero_parameters == 0) found.push_back(detail::zero_sentence(fit));
  if (not fit.by_statistics) detail::add_failures_of_loss(fit.history, found);
  for (const double beta : fit.train.strengths)
    if (beta != 0 and fit.train.at.at(beta).flip_rate == 0)
      found.push_back("at strength " + std::string(beta > 0 ? "+" : "") + short_text(beta) + " not one of the " +
                      std::to_string(fit.train.prompts) + " train prompts gives the answer that it points at; " +
                      (fit.by_statistics ? "take other sites or layers, or a larger strength, or learn the vectors"
                                         : "take a smaller minimality weight, a larger margin or more steps"));
  return found;
}

}  // namespace trimtab
