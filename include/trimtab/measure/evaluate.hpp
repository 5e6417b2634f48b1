// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/measure/intervals.hpp>
#include <trimtab/measure/metrics.hpp>
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/continuations.hpp>
#include <trimtab/steer/evaluation_memory.hpp>
#include <trimtab/steer/fitted.hpp>
#include <trimtab/steer/logit_difference.hpp>
#include <trimtab/steer/loss.hpp>
#include <trimtab/steer/steered.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Evaluates parameters on prompts: the metrics of metrics.hpp, and steered logits.

namespace trimtab {

namespace detail {

/// What a row of logits says about two answers.
struct answer_reading {
  double logit_diff, probability_correct, probability_wrong;
  index_t top_other;

  /// A further token of an answer.
  void add_step(int sign, double log_probability) {
    logit_diff += sign * log_probability;
    (sign > 0 ? probability_correct : probability_wrong) *= std::exp(log_probability);
  }
};

template <typename T>
answer_reading read_answers(std::span<const T> logits, const prompt_pair& p) {
  const auto logit = [&](index_t j) { return static_cast<double>(logits[static_cast<std::size_t>(j)]); };
  const auto is_in = [](std::span<const int> ids, int id) { return std::ranges::find(ids, id) != ids.end(); };
  const auto is_answer = [&](int id) { return is_in(p.correct_ids(), id) or is_in(p.wrong_ids(), id); };
  double top = logit(0), top_other = 0;
  index_t best_other = -1;
  for (index_t j = 0; j < static_cast<index_t>(logits.size()); ++j) {
    top = std::max(top, logit(j));
    if (is_answer(static_cast<int>(j))) continue;
    if (best_other < 0 or logit(j) > top_other) top_other = logit(j), best_other = j;
  }
  double sum = 0;
  for (T x : logits) sum += std::exp(static_cast<double>(x) - top);
  const auto probability = [&](std::span<const int> ids) {
    double share = 0;
    for (const int id : ids) share += std::exp(logit(id) - top) / sum;
    return share;
  };
  return {logit_difference_of(logits, p), probability(p.correct_ids()), probability(p.wrong_ids()), best_other};
}

inline bool follows(double beta, double logit_diff) {
  return (beta > 0 and logit_diff > 0) or (beta < 0 and logit_diff < 0);
}

/// Evaluates several sets of parameters side by side, some prompts at a time.
template <typename Steering>
class evaluation {
 public:
  using Model = typename Steering::model_type;
  using T = typename Model::scalar;

  evaluation(const Steering& composition, std::span<const parameters> sets, std::span<const prompt_pair> prompts,
             const evaluate_options& options)
      : composition_(composition),
        sets_(sets),
        prompts_(prompts),
        options_(options),
        share_(1 / static_cast<double>(prompts.size())),
        found_(sets.size()) {}

  std::vector<metrics> run() {
    for (metrics& m : found_) {
      m.prompts = std::ssize(prompts_);
      m.strengths = options_.strengths;
      for (double beta : options_.strengths) prepare(m, beta);
      prepare(m, 0);
    }
    const item_range own = own_share(options_.ranks, std::ssize(prompts_));
    for (index_t first = own.first; first < own.last;) {
      const index_t count = prompts_that_fit<T>(
          composition_.model().config(), sets_.front().layout,
          prompts_.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(own.last - first)),
          std::ssize(options_.strengths) * std::ssize(sets_), options_.prompts_at_once, options_.memory);
      measure(prompts_.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
              static_cast<std::size_t>(first));
      first += count;
      if (options_.progress)
        options_.progress((first - own.first) * std::ssize(prompts_) / own.count(), std::ssize(prompts_));
    }
    for (metrics& m : found_) {
      for (auto& [beta, each] : m.per_prompt)
        each = gathered(options_.ranks, std::vector(each.begin() + own.first, each.begin() + own.last));
      add_up(m);
      count_rates(m);
    }
    return std::move(found_);
  }

 private:
  void prepare(metrics& m, double beta) const {
    m.at[beta], m.logit_diffs[beta];
    m.per_prompt[beta].resize(prompts_.size());
  }

  /// Some of the prompts, from the prompt number `first` on.
  void measure(std::span<const prompt_pair> some, std::size_t first) {
    const auto& backend = composition_.model().backend();
    const auto everything = 1.0 * objective::faithfulness{.over = objective::vocabulary::masked} +
                            1.0 * objective::faithfulness{.over = objective::vocabulary::full};
    std::vector<parameter_layout> layouts;
    std::vector<sequence> sequences;
    const auto texts = with_continuations(some);
    for (std::size_t set = 0; set < sets_.size(); ++set) {
      layouts.push_back(sets_[set].layout);
      const auto own = every_strength(std::ssize(texts), options_.strengths, static_cast<index_t>(set));
      sequences.insert(sequences.end(), own.begin(), own.end());
    }
    steered run(composition_, std::move(layouts), texts, std::move(sequences));
    run.take_parameters(
        [&](index_t set) -> std::span<const double> { return sets_[static_cast<std::size_t>(set)].theta; });
    const matrix_view<const T> logits = run.forward(), reference = run.untouched()->logits();
    const loss divergence(backend, std::vector(sets_.size(), everything), texts, run.sequences());
    const std::vector<loss_values> kl = divergence.values(
        logits, reference,
        [&](index_t set) -> const parameter_layout& { return sets_[static_cast<std::size_t>(set)].layout; },
        [&](index_t set) -> std::span<const double> { return sets_[static_cast<std::size_t>(set)].theta; });
    const host_matrix<T> steered_rows = backend.download(logits), reference_rows = backend.download(reference);
    const auto sequences_of_a_set = static_cast<index_t>(texts.size() * options_.strengths.size());
    for (std::size_t set = 0; set < sets_.size(); ++set) {
      note_divergences(found_[set], kl[set], some.size(), first);
      note_answers(found_[set], steered_rows, static_cast<index_t>(set) * sequences_of_a_set, reference_rows, texts,
                   some.size(), first);
    }
  }

  void note_divergences(metrics& m, const loss_values& kl, std::size_t prompts, std::size_t first) const {
    const auto note = [&](std::size_t term, double strength_metrics::*at) {
      const std::vector<double>& each = kl.terms[term].per_sequence;
      for (std::size_t i = 0; i < each.size(); ++i)
        m.per_prompt[options_.strengths[i / prompts]][first + i % prompts].*at = each[i];
    };
    note(0, &strength_metrics::kl_masked);
    note(1, &strength_metrics::kl_full);
  }

  /// `first_row` is where the set's sequences begin among the steered rows.
  void note_answers(metrics& m, const host_matrix<T>& steered_rows, index_t first_row,
                    const host_matrix<T>& reference_rows, std::span<const prompt_pair> texts, std::size_t pairs,
                    std::size_t first) const {
    const auto row = [](const host_matrix<T>& rows, index_t i) {
      return std::span<const T>(rows.values)
          .subspan(static_cast<std::size_t>(i * rows.cols), static_cast<std::size_t>(rows.cols));
    };
    const index_t n = std::ssize(texts);
    // Of pair k, from the rows of all texts, which begin at `from`.
    const auto read = [&](const host_matrix<T>& rows, index_t from, index_t k) {
      answer_reading reading = read_answers(row(rows, from + k), texts[static_cast<std::size_t>(k)]);
      for (index_t t = static_cast<index_t>(pairs); t < n; ++t)
        if (const prompt_pair& p = texts[static_cast<std::size_t>(t)]; p.step.pair == static_cast<std::size_t>(k))
          reading.add_step(p.step.sign, log_probability_of(row(rows, from + t), p.correct_id));
      return reading;
    };
    for (index_t k = 0; k < static_cast<index_t>(pairs); ++k) {
      const answer_reading before = read(reference_rows, 0, k);
      const auto note = [&](double beta, const answer_reading& reading) {
        strength_metrics& own = m.per_prompt[beta][first + static_cast<std::size_t>(k)];
        own.logit_diff = reading.logit_diff;
        own.flip_rate = follows(beta, reading.logit_diff) ? 1 : 0;
        own.probability_correct = reading.probability_correct;
        own.probability_wrong = reading.probability_wrong;
        own.top_other_same = reading.top_other == before.top_other ? 1 : 0;
      };
      note(0, before);
      for (std::size_t b = 0; b < options_.strengths.size(); ++b)
        if (options_.strengths[b] != 0)
          note(options_.strengths[b], read(steered_rows, first_row + static_cast<index_t>(b) * n, k));
    }
  }

  /// Sets means from the figures of each prompt: their order is that of the prompts, whoever measured them.
  void add_up(metrics& m) const {
    for (const auto& [beta, each] : m.per_prompt) {
      strength_metrics& at = m.at[beta];
      for (const strength_metrics& p : each) {
        at.logit_diff += share_ * p.logit_diff;
        at.probability_correct += share_ * p.probability_correct;
        at.probability_wrong += share_ * p.probability_wrong;
        at.kl_masked += share_ * p.kl_masked;
        at.kl_full += share_ * p.kl_full;
        m.logit_diffs[beta].push_back(p.logit_diff);
      }
    }
    const std::vector<double> strengths = m.steering_strengths();
    for (const double beta : strengths) {
      m.kl_masked += m.at[beta].kl_masked / static_cast<double>(strengths.size());
      m.kl_full += m.at[beta].kl_full / static_cast<double>(strengths.size());
    }
  }

  /// Rates are counts divided once.
  static void count_rates(metrics& m) {
    const auto total = [](std::span<const double> values) {
      double sum = 0;
      for (double x : values) sum += x;
      return sum;
    };
    const auto n = static_cast<double>(m.prompts);
    const std::vector<double> strengths = m.steering_strengths();
    double same = 0;
    for (auto& [beta, at] : m.at) {
      at.flip_rate = total(each_prompt(m, beta, &strength_metrics::flip_rate)) / n;
      const double same_here = total(each_prompt(m, beta, &strength_metrics::top_other_same));
      at.top_other_same = same_here / n;
      if (std::ranges::find(strengths, beta) != strengths.end()) same += same_here;
    }
    m.top_other_same = same / (n * static_cast<double>(strengths.size()));
    m.flip_rate_both = total(follows_every_strength(m)) / n;
  }

  const Steering& composition_;
  std::span<const parameters> sets_;
  std::span<const prompt_pair> prompts_;
  const evaluate_options& options_;
  double share_;
  std::vector<metrics> found_;
};

}  // namespace detail

/// Measures several sets of parameters of one composition at once, each as if alone: they share the baseline. Throws as
/// below.
template <typename Steering>
std::vector<metrics> evaluate(const Steering& composition, std::span<const parameters> sets,
                              std::span<const prompt_pair> prompts, const evaluate_options& options = {}) {
  for (const parameters& values : sets) composition.check(values.layout, values.theta.size());
  check_prompts(prompts, composition.model().config().vocabulary);
  check_strengths(options.strengths);
  if (options.prompts_at_once < 1)
    throw error(error_kind::bad_argument, "the number of prompts at once is " +
                                              std::to_string(options.prompts_at_once) + "; it must be 1 or more");
  if (sets.empty()) return {};
  return with_memory_for("evaluate the intervention",
                         [&] { return detail::evaluation<Steering>(composition, sets, prompts, options).run(); });
}

/// Measures parameters on any prompts, not only those they were learned on. Throws `bad_data` or `bad_text` for prompts
/// that cannot be used, `mismatch` where positions do not fit, `bad_argument` for strengths.
template <typename Steering>
metrics evaluate(const Steering& composition, const parameters& values, std::span<const prompt_pair> prompts,
                 const evaluate_options& options = {}) {
  return std::move(evaluate(composition, std::span(&values, 1), prompts, options).front());
}

template <typename Steering>
metrics evaluate(const fitted<Steering>& result, std::span<const prompt_pair> prompts,
                 const evaluate_options& options = {}) {
  return evaluate(result.steering, result.values, prompts, options);
}

/// Logits of the steered model at one strength, [scored positions, V], in the order of prompts.
template <typename Steering>
host_matrix<typename Steering::model_type::scalar> steered_logits(const Steering& composition, const parameters& values,
                                                                  std::span<const prompt_pair> prompts, double strength,
                                                                  scored where = scored::last) {
  const std::vector<double> strengths{strength};
  composition.check(values.layout, values.theta.size());
  check_strengths(strengths);
  return with_memory_for("run the steered model on these prompts", [&] {
    steered run(composition, std::vector{values.layout}, prompts, every_strength(std::ssize(prompts), strengths),
                pass_use::forward_only, where);
    run.take_parameters(values.theta);
    return composition.model().backend().download(run.forward());
  });
}

}  // namespace trimtab
