// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/continuations.hpp>
#include <trimtab/steer/logit_difference.hpp>
#include <trimtab/steer/loss.hpp>
#include <trimtab/steer/steered.hpp>

#include <span>
#include <vector>

/// The objective and its gradient at given parameters, for custom optimizers; every step of a fit computes the same:
///
///     const auto [loss, gradient] = objective_and_gradient(steering, objective, parameters, prompts);

namespace trimtab {

struct objective_gradient {
  loss_values loss = {};  ///< `per_sequence`: the prompts a term is about at the first strength, then at the second
  std::vector<double> gradient = {};  ///< of all terms but minimality, with their weights, laid out as the parameters

  /// D (steer/logit_difference.hpp) of every prompt, retained ones too, at the first strength, then at the second.
  std::vector<double> logit_diffs = {};
};

namespace detail {

template <typename Steering, typename... Terms>
objective_gradient evaluate_objective(const Steering& composition, const objective::weighted_sum<Terms...>& objective,
                                      const parameters& at, std::span<const prompt_pair> prompts,
                                      std::span<const double> strengths, bool with_gradient) {
  const auto& backend = composition.model().backend();
  composition.check(at.layout, at.theta.size());
  check_prompts(prompts, composition.model().config().vocabulary);
  check_strengths(strengths);
  const auto texts = with_continuations(prompts);
  const auto sequences = every_strength(std::ssize(texts), strengths);
  const loss terms(backend, objective, texts, sequences);
  steered run(composition, std::vector{at.layout}, texts, sequences,
              with_gradient ? pass_use::forward_and_backward : pass_use::forward_only, scored::last, nullptr,
              no_observer{}, terms.hook_terms());
  run.take_parameters(at.theta);
  const auto logits = run.forward();
  const auto reference = run.untouched()->logits();
  objective_gradient found;
  found.loss = terms.values(logits, reference, at, run.hook_means());
  const auto rows = backend.download(logits);
  found.logit_diffs.resize(prompts.size() * strengths.size());
  for (std::size_t k = 0; k < run.sequences().size(); ++k) {
    const prompt_pair& p = texts[k % texts.size()];
    const auto width = static_cast<std::size_t>(rows.cols);
    const auto row = std::span(rows.values).subspan(k * width, width);
    const bool is_step = p.step.sign != 0;
    found.logit_diffs[k / texts.size() * prompts.size() + (is_step ? p.step.pair : k % texts.size())] +=
        is_step ? p.step.sign * log_probability_of(row, p.correct_id) : logit_difference_of(row, p);
  }
  if (not with_gradient) return found;
  terms.gradient(logits, reference, run.d_logits());
  run.backward();
  const auto gradient = backend.download(run.gradient());
  run.storage().gather(std::span(gradient.values), 0, found.gradient);
  return found;
}

}  // namespace detail

/// Throws `bad_data` or `bad_text` for prompts, `bad_argument` for strengths, `mismatch` for other parameters.
template <typename Steering, typename Objective>
objective_gradient objective_and_gradient(const Steering& composition, const Objective& objective, const parameters& at,
                                          std::span<const prompt_pair> prompts,
                                          std::span<const double> strengths = std::vector<double>{+1.0, -1.0}) {
  return with_memory_for("compute the objective's gradient", [&] {
    return detail::evaluate_objective(composition, objective::detail::as_sum(objective), at, prompts, strengths, true);
  });
}

/// The objective alone: its `gradient` is empty.
template <typename Steering, typename Objective>
objective_gradient objective_at(const Steering& composition, const Objective& objective, const parameters& at,
                                std::span<const prompt_pair> prompts,
                                std::span<const double> strengths = std::vector<double>{+1.0, -1.0}) {
  return with_memory_for("compute the objective", [&] {
    return detail::evaluate_objective(composition, objective::detail::as_sum(objective), at, prompts, strengths, false);
  });
}

}  // namespace trimtab
