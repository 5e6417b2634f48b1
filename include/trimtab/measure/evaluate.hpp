// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/fitted.hpp>
#include <trimtab/steer/loss.hpp>
#include <trimtab/steer/steered.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

/// What an evaluation reports: does the intervention flip the answer (effectiveness), and does it leave the rest alone
/// (faithfulness)? What it costs in parameters (minimality) is `count` in fitted.hpp. The untouched model's row is
/// strength 0.

namespace trimtab {

/// What is measured at one strength, means over prompts.
struct strength_metrics {
  double logit_diff = 0;           ///< z[correct] − z[wrong]
  double flip_rate = 0;            ///< how often sign(β) · logit_diff > 0
  double probability_correct = 0;  ///< over the whole vocabulary
  double probability_wrong = 0;
  double kl_masked = 0;  ///< KL(untouched ‖ steered) over the vocabulary without the answers
  double kl_full = 0;    ///< over the whole vocabulary
};

struct metrics {
  std::map<double, strength_metrics> at = {};  ///< by strength; 0 is the untouched model
  double flip_rate_both = 0;                   ///< prompts that follow every strength
  double kl_masked = 0;                        ///< mean over strengths
  double kl_full = 0;
  double top_other_same = 0;  ///< how often the best token other than the answers stays the same
  index_t prompts = 0;

  /// By strength, the logit difference of each prompt.
  std::map<double, std::vector<double>> logit_diffs = {};
};

struct evaluate_options {
  std::vector<double> strengths = {+1.0, -1.0};
  index_t prompts_at_once = 32;  ///< bounds the memory; changes nothing but the last bits of sums
  /// Called with the number of prompts that have been measured, of so many.
  std::function<void(index_t, index_t)> progress = {};
};

namespace detail {

/// What a row of logits says about two answers.
struct answer_reading {
  double logit_diff, probability_correct, probability_wrong;
  index_t top_other;
};

template <typename T>
answer_reading read_answers(std::span<const T> logits, const prompt_pair& p) {
  const auto logit = [&](index_t j) { return static_cast<double>(logits[static_cast<std::size_t>(j)]); };
  double top = logit(0), top_other = 0;
  index_t best_other = -1;
  for (index_t j = 0; j < static_cast<index_t>(logits.size()); ++j) {
    top = std::max(top, logit(j));
    if (j == p.correct_id or j == p.wrong_id) continue;
    if (best_other < 0 or logit(j) > top_other) top_other = logit(j), best_other = j;
  }
  double sum = 0;
  for (T x : logits) sum += std::exp(static_cast<double>(x) - top);
  return {logit(p.correct_id) - logit(p.wrong_id), std::exp(logit(p.correct_id) - top) / sum,
          std::exp(logit(p.wrong_id) - top) / sum, best_other};
}

inline bool follows(double beta, double logit_diff) {
  return (beta > 0 and logit_diff > 0) or (beta < 0 and logit_diff < 0);
}

}  // namespace detail

/// Measures parameters on prompts that need not be those they were learned on. Throws `bad_data` or `bad_text` for
/// prompts that cannot be used, `mismatch` where positions do not fit.
template <typename Model, typename... Interventions>
metrics evaluate(const steering<Model, Interventions...>& composition, const parameters& values,
                 std::span<const prompt_pair> prompts, const evaluate_options& options = {}) {
  using T = typename Model::scalar;
  const Model& model = composition.model();
  composition.check(values.layout, values.theta.size());
  check_prompts(prompts, model.config().vocabulary);
  check_strengths(options.strengths);
  if (options.prompts_at_once < 1)
    throw error(error_kind::bad_argument, "the number of prompts at once is " +
                                              std::to_string(options.prompts_at_once) + "; it must be 1 or more");
  const auto everything = 1.0 * objective::faithfulness{.over = objective::vocabulary::masked} +
                          1.0 * objective::faithfulness{.over = objective::vocabulary::full};
  const double share = 1 / static_cast<double>(prompts.size());
  const double share_of_all = share / static_cast<double>(options.strengths.size());

  metrics m;
  m.prompts = static_cast<index_t>(prompts.size());
  for (double beta : options.strengths) m.at[beta], m.logit_diffs[beta];
  m.at[0], m.logit_diffs[0];
  const auto note = [&](double beta, const detail::answer_reading& reading, double weight) {
    strength_metrics& at = m.at[beta];
    at.logit_diff += weight * reading.logit_diff;
    at.flip_rate += weight * (detail::follows(beta, reading.logit_diff) ? 1 : 0);
    at.probability_correct += weight * reading.probability_correct;
    at.probability_wrong += weight * reading.probability_wrong;
    m.logit_diffs[beta].push_back(reading.logit_diff);
  };

  for (std::size_t first = 0; first < prompts.size(); first += static_cast<std::size_t>(options.prompts_at_once)) {
    const auto some =
        prompts.subspan(first, std::min(prompts.size() - first, static_cast<std::size_t>(options.prompts_at_once)));
    const auto n = static_cast<index_t>(some.size());
    steered run(composition, values.layout, some, every_strength(n, options.strengths));
    load(model.backend(), values.theta, run.theta());
    const matrix_view<const T> logits = run.forward();
    const loss divergence(model.backend(), everything, some, run.sequences());
    const loss_values kl = divergence.values(logits, run.reference().logits(), values.layout, values.theta).front();
    const auto divergences = [&](std::size_t term, double metrics::*mean, double strength_metrics::*at) {
      const std::vector<double>& each = kl.terms[term].per_sequence;
      for (std::size_t i = 0; i < each.size(); ++i) {
        m.*mean += share_of_all * each[i];
        m.at[options.strengths[i / some.size()]].*at += share * each[i];
      }
    };
    divergences(0, &metrics::kl_masked, &strength_metrics::kl_masked);
    divergences(1, &metrics::kl_full, &strength_metrics::kl_full);

    const host_matrix<T> steered_rows = model.backend().download(logits);
    const host_matrix<T> reference_rows = model.backend().download(run.reference().logits());
    const auto row = [](const host_matrix<T>& rows, index_t i) {
      return std::span<const T>(rows.values)
          .subspan(static_cast<std::size_t>(i * rows.cols), static_cast<std::size_t>(rows.cols));
    };
    for (index_t k = 0; k < n; ++k) {
      const prompt_pair& p = some[static_cast<std::size_t>(k)];
      const detail::answer_reading before = detail::read_answers(row(reference_rows, k), p);
      note(0, before, share);
      bool all = std::ranges::any_of(options.strengths, [](double beta) { return beta != 0; });
      for (std::size_t b = 0; b < options.strengths.size(); ++b) {
        const double beta = options.strengths[b];
        const auto after = detail::read_answers(row(steered_rows, static_cast<index_t>(b) * n + k), p);
        if (beta != 0) note(beta, after, share);
        m.top_other_same += share_of_all * (after.top_other == before.top_other ? 1 : 0);
        all = all and (beta == 0 or detail::follows(beta, after.logit_diff));
      }
      m.flip_rate_both += share * (all ? 1 : 0);
    }
    if (options.progress) options.progress(static_cast<index_t>(first) + n, m.prompts);
  }
  return m;
}

template <typename Steering>
metrics evaluate(const fitted<Steering>& result, std::span<const prompt_pair> prompts,
                 const evaluate_options& options = {}) {
  return evaluate(result.steering, result.values, prompts, options);
}

/// Logits of the steered model at one strength, [scored positions, V], the prompts one after another.
template <typename Model, typename... Interventions>
host_matrix<typename Model::scalar> steered_logits(const steering<Model, Interventions...>& composition,
                                                   const parameters& values, std::span<const prompt_pair> prompts,
                                                   double strength, scored where = scored::last) {
  const std::vector<double> strengths{strength};
  composition.check(values.layout, values.theta.size());
  check_strengths(strengths);
  steered run(composition, values.layout, prompts, every_strength(static_cast<index_t>(prompts.size()), strengths), 1,
              tape_use::forward_only, where);
  load(composition.model().backend(), values.theta, run.theta());
  return composition.model().backend().download(run.forward());
}

}  // namespace trimtab
