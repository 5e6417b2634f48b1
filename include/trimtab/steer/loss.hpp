// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/core/objective.hpp>
#include <trimtab/core/optimizer.hpp>
#include <trimtab/objective/weighted_sum.hpp>
#include <trimtab/steer/parameter_layout.hpp>
#include <trimtab/steer/steered.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The objective on the logits of a steered pass: each logit term is a mean over prompts and strengths, its gradient
/// goes into d_logits; the penalty on the parameters is counted here and applied by the optimizer.

namespace trimtab {

/// One term of the loss, before its weight.
struct term_value {
  std::string name = {};
  double weight = 1;
  double value = 0;
  /// Of the sequences that `value` is the mean of; empty for a penalty on parameters.
  std::vector<double> per_sequence = {};

  friend bool operator==(const term_value&, const term_value&) = default;
};

struct loss_values {
  std::vector<term_value> terms = {};

  double total() const {
    double sum = 0;
    for (const term_value& t : terms) sum += t.weight * t.value;
    return sum;
  }
  /// The same without what single sequences give: what a long fit can afford to keep of each step.
  loss_values means() const {
    loss_values brief;
    brief.terms.reserve(terms.size());
    for (const term_value& t : terms) brief.terms.push_back({t.name, t.weight, t.value, {}});
    return brief;
  }

  friend bool operator==(const loss_values&, const loss_values&) = default;
};

namespace detail {

template <typename Term>
std::string_view term_name(const Term&) {
  if constexpr (requires { Term::text; })
    return Term::text;
  else
    return "term";
}

}  // namespace detail

/// The size of one lane's parameters θ under a norm.
inline double norm_of(const parameter_layout& layout, std::span<const double> theta, parameter_norm norm) {
  double total = 0;
  if (norm == parameter_norm::group) {
    for (const parameter_block& block : layout.blocks)
      for (index_t r = 0; r < block.records(); ++r) {
        double square = 0;
        for (index_t j = 0; j < block.record_size; ++j) {
          const double x = theta[static_cast<std::size_t>(block.offset + r * block.record_size + j)];
          square += x * x;
        }
        total += std::sqrt(square);
      }
    return total;
  }
  for (double x : theta) total += std::abs(x);
  return norm == parameter_norm::mean and not theta.empty() ? total / static_cast<double>(theta.size()) : total;
}

template <tensor_backend B, typename... Terms>
class loss {
 public:
  using T = typename B::scalar;

  /// The sequences of a batch, each scored at one position. Each lane has a loss of its own, the mean over its
  /// sequences.
  loss(const B& backend, objective::weighted_sum<Terms...> sum, std::span<const prompt_pair> prompts,
       std::span<const steered_sequence> sequences, index_t lanes = 1)
      : backend_(&backend),
        sum_(std::move(sum)),
        memory_(backend),
        count_(static_cast<index_t>(sequences.size())),
        sequences_of_(static_cast<std::size_t>(lanes)) {
    for (std::size_t i = 0; i < sequences.size(); ++i)
      sequences_of_[static_cast<std::size_t>(sequences[i].lane)].push_back(i);
    std::vector<int> correct, wrong, prompt;
    host_matrix<T> beta(1, count_);
    for (const steered_sequence& s : sequences) {
      const prompt_pair& p = prompts[static_cast<std::size_t>(s.prompt)];
      beta.values[correct.size()] = static_cast<T>(s.beta);
      correct.push_back(p.correct_id);
      wrong.push_back(p.wrong_id);
      prompt.push_back(static_cast<int>(s.prompt));
    }
    beta_ = memory_.take(beta);
    correct_ = memory_.take(std::move(correct));
    wrong_ = memory_.take(std::move(wrong));
    prompt_ = memory_.take(std::move(prompt));
    values_ = memory_.take(1, std::max<index_t>(1, logit_terms * count_));
    sum_.each([&]<typename Term>(const objective::weighted<Term>& t) {
      host_matrix<T> share(count_, 1);
      for (const auto& lane : sequences_of_)
        for (std::size_t i : lane) share.values[i] = static_cast<T>(t.weight / static_cast<double>(lane.size()));
      share_.push_back(memory_.take(share));
    });
  }

  /// Every term's value, a loss for each lane; the parameters [lane][lane size] in host memory are for the penalty.
  std::vector<loss_values> values(matrix_view<const T> logits, matrix_view<const T> reference,
                                  const parameter_layout& layout, std::span<const double> theta) const {
    evaluate(logits, reference);
    std::vector<loss_values> lanes;
    collect(backend_->download(values_).values, layout, theta, lanes);
    return lanes;
  }

  /// Sets `row_values()`.
  void evaluate(matrix_view<const T> logits, matrix_view<const T> reference) const {
    T* next = values_.data;
    sum_.each([&]<typename Term>(const objective::weighted<Term>& t) {
      if constexpr (logit_term<Term>) {
        with_rows(logits, reference,
                  [&](auto... operands) { backend_->values(t.term, count_, logits.cols, next, operands...); });
        next += count_;
      }
    });
  }
  /// What each logit term gives for each sequence, term after term, in the backend's memory.
  matrix_view<const T> row_values() const { return values_; }

  /// Sets `all` to the loss of each lane, from `row_values()` in host memory and the parameters there. Takes no memory
  /// where `all` is what an earlier call left.
  void collect(std::span<const T> row_values, const parameter_layout& layout, std::span<const double> theta,
               std::vector<loss_values>& all) const {
    all.resize(sequences_of_.size());
    for (loss_values& lane : all) lane.terms.resize(sizeof...(Terms));
    std::size_t next = 0, number = 0;
    sum_.each([&]<typename Term>(const objective::weighted<Term>& t) {
      for (std::size_t lane = 0; lane < all.size(); ++lane) {
        term_value& v = all[lane].terms[number];
        v.name = detail::term_name(t.term);
        v.weight = t.weight;
        v.value = 0;
        v.per_sequence.clear();
        if constexpr (logit_term<Term>) {
          for (std::size_t i : sequences_of_[lane]) v.per_sequence.push_back(static_cast<double>(row_values[next + i]));
          for (double x : v.per_sequence) v.value += x / static_cast<double>(v.per_sequence.size());
        } else {
          const auto size = static_cast<std::size_t>(layout.lane_size());
          v.value = norm_of(layout, theta.subspan(lane * size, size), t.term.norm);
        }
      }
      if constexpr (logit_term<Term>) next += static_cast<std::size_t>(count_);
      ++number;
    });
  }

  /// Sets d_logits to the gradient of the logit terms, weights included.
  void gradient(matrix_view<const T> logits, matrix_view<const T> reference, matrix_view<T> d_logits) const {
    backend_->fill(d_logits, T(0));
    std::size_t k = 0;
    sum_.each([&]<typename Term>(const objective::weighted<Term>& t) {
      const matrix_view<const T> share = share_[k++];
      if constexpr (logit_term<Term>)
        with_rows(logits, reference, [&](auto... operands) {
          backend_->gradients(t.term, count_, logits.cols, operands..., each_row(d(name::h), d_logits),
                              each_row(d(name::value), share));
        });
    });
  }

  /// The penalty that the optimizer has to honour. Throws `bad_argument` where there are two, or one that rewards size.
  penalty penalise(index_t parameters) const {
    penalty p;
    int found = 0;
    sum_.each([&]<typename Term>(const objective::weighted<Term>& t) {
      if constexpr (parameter_term<Term> and not logit_term<Term>) {
        p = {t.weight, t.term.norm};
        if (p.norm == parameter_norm::mean) p.weight /= static_cast<double>(std::max<index_t>(1, parameters));
        ++found;
      }
    });
    if (found > 1)
      throw error(error_kind::bad_argument,
                  "the objective has two penalties on the parameters; the proximal step takes one");
    if (p.weight < 0)
      throw error(error_kind::bad_argument, "the weight of the penalty on the parameters is " +
                                                std::to_string(p.weight) + "; it must be 0 or more");
    return p;
  }

 private:
  template <typename F>
  void with_rows(matrix_view<const T> logits, matrix_view<const T> reference, F&& f) const {
    f(each_row(name::h, logits), selected_row(name::reference, reference, prompt_),
      operand<per_row<"beta">, const T>{beta_.data, 1}, operand<per_row<"correct">, const int>{correct_, 1},
      operand<per_row<"wrong">, const int>{wrong_, 1});
  }

  static constexpr index_t logit_terms = (index_t{} + ... + index_t{logit_term<Terms>});

  const B* backend_;
  objective::weighted_sum<Terms...> sum_;
  workspace<B> memory_;
  index_t count_;
  std::vector<std::vector<std::size_t>> sequences_of_;  ///< by lane
  matrix_view<T> beta_ = {}, values_ = {};
  const int *correct_ = nullptr, *wrong_ = nullptr, *prompt_ = nullptr;
  std::vector<matrix_view<T>> share_ = {};  ///< by term, what each sequence counts in its lane's loss
};

}  // namespace trimtab
