// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/core/operand.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/model/workspace.hpp>
#include <trimtab/steer/continuations.hpp>
#include <trimtab/steer/prompt_data.hpp>
#include <trimtab/steer/sequence.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

/// What the terms on logits read of each sequence besides its logits: strength, answers, the untouched model's logits,
/// the prompt's own data, and for answers of several tokens what their further tokens contribute.

namespace trimtab {

template <tensor_backend B, typename... Terms>
class term_operands {
 public:
  using T = typename B::scalar;

  term_operands(const B& backend, std::span<const prompt_pair> prompts, std::span<const sequence> sequences,
                workspace<B>& memory)
      : data_(prompts, sequences, memory) {
    std::vector<int> correct, wrong, prompt;
    host_matrix<T> beta(1, std::ssize(sequences));
    bool sets = false, steps = false;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const sequence& s = sequences[i];
      const prompt_pair& p = prompts[static_cast<std::size_t>(s.prompt)];
      beta.values[i] = static_cast<T>(s.beta);
      correct.push_back(p.correct_id);
      wrong.push_back(p.wrong_id);
      prompt.push_back(static_cast<int>(s.prompt));
      steps = steps or p.step.sign != 0;
      sets = sets or p.has_sets();
    }
    beta_ = memory.take(beta);
    correct_ = memory.take(std::move(correct));
    wrong_ = memory.take(std::move(wrong));
    prompt_ = memory.take(std::move(prompt));
    if (steps) steps_.emplace(backend, prompts, sequences, memory);
    if (steps or sets) sets_.emplace(prompts, sequences, memory);
  }

  /// Before the operands are used for these logits.
  void evaluate(matrix_view<const T> logits) const {
    if (steps_) steps_->evaluate(logits);
  }
  /// Adds to d_logits what the terms' gradients give to further tokens.
  void add_gradient(matrix_view<const T> logits, matrix_view<T> d_logits) const {
    if (steps_) steps_->add_gradient(logits, d_logits);
  }

  /// f(operands...) with those that the term may read; row k of `reference` is prompt k's.
  template <typename Term, typename F>
  void with(matrix_view<const T> logits, matrix_view<const T> reference, F&& f) const {
    data_.template with_operands<Term>([&](auto... of_prompts) {
      const auto with = [&](auto... sets) {
        f(each_row(name::h, logits), selected_row(name::reference, reference, prompt_),
          operand<per_row<"beta">, const T>{beta_.data, 1}, operand<per_row<"correct">, const int>{correct_, 1},
          operand<per_row<"wrong">, const int>{wrong_, 1}, of_prompts..., sets...);
      };
      if (steps_)
        sets_->with_operands(
            [&](auto... sets) { steps_->with_operands([&](auto... rest) { with(sets..., rest...); }); });
      else if (sets_)
        sets_->with_operands(with);
      else
        with();
    });
  }

 private:
  prompt_data_of<B, Terms...> data_;
  std::optional<answer_sets_of<B>> sets_ = {};
  std::optional<continuations_of<B>> steps_ = {};
  matrix_view<T> beta_ = {};
  const int *correct_ = nullptr, *wrong_ = nullptr, *prompt_ = nullptr;
};

}  // namespace trimtab
