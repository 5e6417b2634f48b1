// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/generate/generation_options.hpp>
#include <trimtab/generate/growing_texts.hpp>
#include <trimtab/steer/check_prompts.hpp>
#include <trimtab/steer/dynamic_steering.hpp>
#include <trimtab/steer/parameters.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

/// Continues prompts, steered or not:
///
///     const auto texts = generate(composition, values, prompts, {.strengths = {0, 1, -1}, .new_tokens = 40});
///     const auto untouched = generate(model, prompts, {.how = {.temperature = 0.8, .top_p = 0.95}, .samples = 4});
///
/// A text has the same bits with any number of others and of threads (Eigen backend).

namespace trimtab {

template <typename Steering>
class generation {
 public:
  /// Throws `bad_argument` for options out of range, or an intervention that would touch no token of a prompt, and
  /// `mismatch` for parameters that do not fit the composition; `bad_text` for a prompt that the model cannot read.
  generation(const Steering& composition, const parameters& values, std::span<const prompt_pair> prompts,
             generation_options options);

  generation(const generation&) = delete;  // its texts refer to it
  generation& operator=(const generation&) = delete;

  /// The texts, prompts outermost, then strengths, then samples.
  std::vector<generated_text> run();

 private:
  using T = typename Steering::model_type::scalar;

  /// A text that goes on, and what only its next run needs.
  struct in_progress {
    index_t number;  ///< its index in the result
    growing_text next;
    ledger touched;
    random_generator random;
  };

  const prompt_pair& prompt_of(index_t number) const {
    return prompts_[static_cast<std::size_t>(texts_[static_cast<std::size_t>(number)].prompt)];
  }
  void admit();
  void bind(in_progress& text);
  std::optional<stop_reason> add_token(in_progress& text, std::span<const double> logits);
  std::optional<stop_reason> stop_before_run(const in_progress& text) const;
  void finish(const in_progress& text, stop_reason why);

  const Steering& composition_;
  const parameters& values_;
  std::span<const prompt_pair> prompts_;
  generation_options options_;
  index_t context_, layers_;
  std::vector<active_records> interventions_ = {};
  std::vector<generated_text> texts_ = {};
  index_t admitted_ = 0;
  std::vector<in_progress> running_ = {};
  std::vector<int> free_slots_ = {};
};

template <typename Steering>
generation<Steering>::generation(const Steering& composition, const parameters& values,
                                 std::span<const prompt_pair> prompts, generation_options options)
    : composition_(composition),
      values_(values),
      prompts_(prompts),
      options_(std::move(options)),
      context_(composition.model().config().context),
      layers_(composition.model().config().layers) {
  composition.check(values.layout, values.theta.size());
  check_strengths(options_.strengths);
  check_sampling(options_.how);
  for (const auto& [name, count, least] : {std::tuple{"new tokens", options_.new_tokens, 0},
                                           {"samples", options_.samples, 1},
                                           {"texts at once", options_.texts_at_once, 1}})
    if (count < least)
      throw error(error_kind::bad_argument, "the number of " + std::string(name) + " is " + std::to_string(count) +
                                                "; it must be at least " + std::to_string(least));
  for (const prompt_pair& prompt : prompts) check_prompt(composition.model().config(), prompt.ids);
  for (std::size_t k = 0; k < values.layout.blocks.size(); ++k) interventions_.emplace_back(values, k);
  const bool steers = std::ranges::any_of(options_.strengths, [](double beta) { return beta != 0; });
  for (index_t n = 0; n < std::ssize(prompts); ++n) {
    const prompt_pair& prompt = prompts[static_cast<std::size_t>(n)];
    const index_t room = context_ - std::ssize(prompt.ids);
    if (steers and not interventions_.empty() and options_.new_tokens > 0)
      require_touched(interventions_, prompt, n, std::min(options_.new_tokens, room), options_.positions);
    for (double strength : options_.strengths)
      for (index_t sample = 0; sample < options_.samples; ++sample)
        texts_.push_back({.prompt = n, .strength = strength, .sample = sample});
  }
}

template <typename Steering>
std::vector<generated_text> generation<Steering>::run() {
  const index_t slots = std::min(options_.texts_at_once, std::ssize(texts_));
  for (index_t slot = slots; slot-- > 0;) free_slots_.push_back(static_cast<int>(slot));
  growing_texts<Steering> model(composition_, values_, slots);
  for (admit(); not running_.empty(); admit()) {
    std::vector<growing_text> next;
    for (in_progress& text : running_) {
      bind(text);
      next.push_back(text.next);
    }
    const host_matrix<T> logits = model.next_token_logits(next);
    bool end_all = false;
    std::vector<in_progress> going_on;
    for (std::size_t n = 0; n < running_.size(); ++n) {
      in_progress& text = running_[n];
      const T* const row = logits.view().row(static_cast<index_t>(n));
      std::optional<stop_reason> why = add_token(text, std::vector<double>(row, row + logits.cols));
      end_all = end_all or why == stop_reason::interrupted;
      if (not why) why = stop_before_run(text);
      if (why)
        finish(text, *why);
      else
        going_on.push_back(std::move(text));
    }
    running_ = std::move(going_on);
    if (not end_all) continue;
    for (const in_progress& text : running_) finish(text, stop_reason::interrupted);
    for (; admitted_ < std::ssize(texts_); ++admitted_)
      texts_[static_cast<std::size_t>(admitted_)].stopped = stop_reason::interrupted;
    break;
  }
  return std::move(texts_);
}

/// Starts texts while there are slots.
template <typename Steering>
void generation<Steering>::admit() {
  for (; admitted_ < std::ssize(texts_) and not free_slots_.empty(); ++admitted_) {
    const generated_text& one = texts_[static_cast<std::size_t>(admitted_)];
    const prompt_pair& prompt = prompt_of(admitted_);
    const auto sample = static_cast<std::uint64_t>(one.prompt * options_.samples + one.sample);
    random_generator seeds(random_generator(options_.seed)() + sample);
    in_progress text{.number = admitted_,
                     .next = {.slot = free_slots_.back(), .strength = one.strength, .ids = prompt.ids},
                     .touched = ledger(layers_, prompt.ids.size()),
                     .random = random_generator(seeds())};
    free_slots_.pop_back();
    if (const auto why = stop_before_run(text))
      finish(text, *why);
    else
      running_.push_back(std::move(text));
  }
}

/// Sets a text's records for its next run, and which of its tokens the cache has as they must be: those before the
/// first one whose record is another than in the last run.
template <typename Steering>
void generation<Steering>::bind(in_progress& text) {
  growing_text& next = text.next;
  std::ptrdiff_t known = std::ssize(next.ids) - 1;
  std::vector<std::vector<int>> before = std::exchange(next.records, {});
  for (std::size_t k = 0; k < interventions_.size(); ++k) {
    const active_records& intervention = interventions_[k];
    auto records = next.strength == 0 ? std::vector<int>(next.ids.size(), -1)
                                      : records_while_growing(intervention.block().positions, prompt_of(text.number),
                                                              next.ids, options_.positions);
    for (int& record : records)
      if (not intervention.in_any(record)) record = -1;
    text.touched.note(intervention, records);
    if (not before.empty()) known = std::min(known, std::ranges::mismatch(before[k], records).in1 - before[k].begin());
    next.records.push_back(std::move(records));
  }
  const bool is_new = std::ssize(next.ids) == std::ssize(prompt_of(text.number).ids);
  next.known = is_new ? 0 : static_cast<int>(known);
  texts_[static_cast<std::size_t>(text.number)].rows += std::ssize(next.ids) - next.known;
}

/// Chooses the next token; says why the text ends with it, if it does.
template <typename Steering>
std::optional<stop_reason> generation<Steering>::add_token(in_progress& text, std::span<const double> logits) {
  if (not std::ranges::all_of(logits, [](double x) { return std::isfinite(x); }))
    throw error(error_kind::bad_argument,
                "a logit is not a finite number: the strength or the parameters are too large, or the weights are "
                "not finite");
  generated_text& so_far = texts_[static_cast<std::size_t>(text.number)];
  const int id = sample(logits, options_.how, text.random);
  if (std::ranges::find(options_.end, id) != options_.end.end()) return stop_reason::end;
  text.next.ids.push_back(id);
  so_far.ids.push_back(id);
  if (options_.log_probabilities) so_far.log_probabilities.push_back(log_probability(logits, id));
  const after next = options_.after_token ? options_.after_token(so_far, text.number) : after::go_on;
  if (next == after::end_text) return stop_reason::stop_text;
  if (next == after::end_all) return stop_reason::interrupted;
  return std::nullopt;
}

template <typename Steering>
std::optional<stop_reason> generation<Steering>::stop_before_run(const in_progress& text) const {
  if (std::ssize(texts_[static_cast<std::size_t>(text.number)].ids) == options_.new_tokens) return stop_reason::length;
  if (std::ssize(text.next.ids) >= context_) return stop_reason::context;
  return std::nullopt;
}

template <typename Steering>
void generation<Steering>::finish(const in_progress& text, stop_reason why) {
  generated_text& done = texts_[static_cast<std::size_t>(text.number)];
  done.stopped = why;
  done.touched = text.touched.counts();
  free_slots_.push_back(text.next.slot);
}

/// Continues prompts with a composition's parameters. Throws as `generation` does.
template <typename Steering>
std::vector<generated_text> generate(const Steering& composition, const parameters& values,
                                     std::span<const prompt_pair> prompts, generation_options options = {}) {
  return with_memory_for("continue these prompts",
                         [&] { return generation<Steering>(composition, values, prompts, std::move(options)).run(); });
}

/// Continues prompts with the untouched model.
template <tensor_backend B, model_architecture A>
std::vector<generated_text> generate(const transformer<B, A>& model, std::span<const prompt_pair> prompts,
                                     generation_options options = {}) {
  options.strengths = {0};
  return generate(steer(model, std::vector<any_intervention<B>>{}), parameters{}, prompts, std::move(options));
}

}  // namespace trimtab
