// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/model/workspace.hpp>
#include <trimtab/objective/log_probability.hpp>
#include <trimtab/steer/sequence.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

/// Answers of several tokens, teacher-forced: D = log p(correct | prompt) − log p(wrong | prompt). Each token after the
/// first is scored at the end of a text of its own, the prompt and the answer up to there, as it would be scored while
/// generating: positions are those of that text.

namespace trimtab {

/// The prompts and, after them, a text for each further token of their answers.
inline std::vector<prompt_pair> with_continuations(std::span<const prompt_pair> prompts) {
  std::vector<prompt_pair> all(prompts.begin(), prompts.end());
  const auto add = [&](std::size_t n, int first, const std::vector<int>& rest, int sign) {
    prompt_pair text{
        .ids = prompts[n].ids, .roles = prompts[n].roles, .tokens = prompts[n].tokens, .numbers = prompts[n].numbers};
    text.step = {sign, n};
    for (const int next : rest) {
      text.ids.push_back(std::exchange(first, next));
      text.correct_id = text.wrong_id = next;
      all.push_back(text);
    }
  };
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    add(n, prompts[n].correct_id, prompts[n].correct_rest, +1);
    add(n, prompts[n].wrong_id, prompts[n].wrong_rest, -1);
  }
  return all;
}

/// The sum of a pair's steps.
template <typename T>
struct add_steps {
  static constexpr per_row<"first"> first{};
  static constexpr per_row<"last"> last{};

  const T* scores;

  constexpr void forward(row auto& r) const {
    T sum = 0;
    for (int k = r(first); k < r(last); ++k) sum += scores[k];
    r.each([&](auto j) { r.out(j) = sum; });
  }
};

/// The steps of a batch's answers in a backend's memory, those of a sequence one after another.
template <tensor_backend B>
class continuations_of {
 public:
  using T = typename B::scalar;

  continuations_of(const B& backend, std::span<const prompt_pair> prompts, std::span<const sequence> sequences,
                   workspace<B>& memory)
      : backend_(&backend), sequences_(std::ssize(sequences)) {
    struct one {
      int pair, row, sign, target;
    };
    std::vector<one> steps;
    // By replica, strength and prompt: several where a replica has a prompt several times. Of as many equal steps, each
    // belongs to one of them.
    std::map<std::tuple<index_t, double, index_t>, std::vector<int>> places;
    const auto each = [&](bool of_steps, auto f) {
      for (std::size_t i = 0; i < sequences.size(); ++i)
        if (const prompt_pair& p = prompts[static_cast<std::size_t>(sequences[i].prompt)];
            (p.step.sign != 0) == of_steps)
          f(static_cast<int>(i), sequences[i], p);
    };
    each(false, [&](int i, const sequence& s, const prompt_pair&) {
      places[{s.replica, s.beta, s.prompt}].push_back(i);
    });
    each(true, [&](int i, const sequence& s, const prompt_pair& p) {
      std::vector<int>& equal = places[{s.replica, s.beta, s.prompt}];
      const std::vector<int>& pairs = places.at({s.replica, s.beta, static_cast<index_t>(p.step.pair)});
      steps.push_back({pairs.at(equal.size()), i, p.step.sign, p.correct_id});
      equal.push_back(i);
    });
    std::ranges::stable_sort(steps, {}, &one::pair);
    const auto column = [&](int one::*of) {
      std::vector<int> all;
      for (const one& step : steps) all.push_back(step.*of);
      return memory.take(std::move(all));
    };
    std::vector<int> begin;
    for (int i = 0; i <= static_cast<int>(sequences.size()); ++i)
      begin.push_back(static_cast<int>(std::ranges::lower_bound(steps, i, {}, &one::pair) - steps.begin()));
    count_ = std::ssize(steps);
    pair_ = column(&one::pair), row_ = column(&one::row), sign_ = column(&one::sign), target_ = column(&one::target);
    begin_ = memory.take(std::move(begin));
    scores_ = memory.take(1, std::max<index_t>(1, count_)).data;
    rest_ = memory.take(sequences_, 1);
    d_rest_ = memory.take(sequences_, 1);
  }

  /// Sets what the further tokens add to each sequence's difference.
  void evaluate(matrix_view<const T> logits) const {
    with_rows(logits, [&](auto... operands) {
      backend_->values(objective::log_probability{}, count_, logits.cols, scores_, operands...);
    });
    backend_->forward(add_steps<T>{scores_}, sequences_, 1, each_row(name::out, rest_),
                      operand<per_row<"first">, const int>{begin_, 1},
                      operand<per_row<"last">, const int>{begin_ + 1, 1});
    backend_->fill(d_rest_, T(0));
  }
  /// f(operands...) with these sums and their gradients.
  template <typename F>
  void with_operands(F&& f) const {
    f(operand<per_row<"rest">, const T>{rest_.data, 1}, operand<gradient_of<per_row<"rest">>, T>{d_rest_.data, 1});
  }
  /// Adds to d_logits what the gradients of the sums mean for the steps.
  void add_gradient(matrix_view<const T> logits, matrix_view<T> d_logits) const {
    with_rows(logits, [&](auto... operands) {
      backend_->gradients(objective::log_probability{}, count_, logits.cols, operands...,
                          selected_row(grad(name::h), d_logits, row_),
                          operand<gradient_of<per_row<"value">>, const T>{d_rest_.data, 1, pair_});
    });
  }

 private:
  template <typename F>
  void with_rows(matrix_view<const T> logits, F&& f) const {
    f(selected_row(name::h, logits, row_), operand<per_row<"correct">, const int>{target_, 1},
      operand<per_row<"sign">, const int>{sign_, 1});
  }

  const B* backend_;
  index_t sequences_, count_ = 0;
  const int *pair_ = nullptr, *row_ = nullptr, *sign_ = nullptr, *target_ = nullptr, *begin_ = nullptr;
  T* scores_ = nullptr;
  matrix_view<T> rest_ = {}, d_rest_ = {};
};

}  // namespace trimtab
