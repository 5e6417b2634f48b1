// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/core/objective.hpp>
#include <trimtab/core/optimizer.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/objective/weighted_sum.hpp>
#include <trimtab/steer/hook_measure.hpp>
#include <trimtab/steer/loss_values.hpp>
#include <trimtab/steer/parameters.hpp>
#include <trimtab/steer/penalty.hpp>
#include <trimtab/steer/sequence.hpp>
#include <trimtab/steer/sequence_weights.hpp>
#include <trimtab/steer/term_operands.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// The objective of a steered pass. Each logit term is a weighted mean over a replica's sequences, and its gradient
/// goes into d_logits; the values and gradients of terms on what hooks do come from the pass; the penalty on the
/// parameters is evaluated here and applied by the optimizer. All replicas have the same terms, each with its own
/// weights, and its own settings of terms on logits.

namespace trimtab {

namespace detail {

inline constexpr per_row<"replica"> replica_name{};

/// Each row's term, with the settings of the row's replica.
template <typename Term>
struct term_by_replica {
  static constexpr bool crosses_channels = crosses_channels_of<Term>();

  const Term* terms;

  constexpr auto value(row auto& r) const { return terms[r(replica_name)].value(r); }
  constexpr void gradient(row auto& r) const { terms[r(replica_name)].gradient(r); }
};

}  // namespace detail

template <tensor_backend B, typename... Terms>
class loss {
 public:
  using T = typename B::scalar;
  using objective_type = objective::weighted_sum<Terms...>;

  /// One objective per replica, for the sequences of a batch, each scored at one position. `total` is what all
  /// sequences of each replica weigh, where these are only some; values and gradients are then their share.
  loss(const B& backend, std::vector<objective_type> objectives, std::span<const prompt_pair> prompts,
       std::span<const sequence> sequences, std::optional<sequence_weights::totals> total = {});
  /// The same for a single replica.
  loss(const B& backend, objective_type sum, std::span<const prompt_pair> prompts, std::span<const sequence> sequences)
      : loss(backend, std::vector<objective_type>{std::move(sum)}, prompts, sequences) {}

  index_t replicas() const { return static_cast<index_t>(objectives_.size()); }
  std::size_t sequences() const { return weights_.sequences(); }
  const sequence_weights::totals& total_weights() const { return weights_.total(); }
  const objective_type& objective(index_t replica) const { return objectives_[static_cast<std::size_t>(replica)]; }

  /// The terms on what hooks do, for the run whose loss this is. Those that have no weight in any replica are left out.
  const std::vector<weighted_hook_term<B>>& hook_terms() const { return hook_terms_; }

  /// The loss of each replica. For the penalty, `theta(r)` returns a replica's parameters in host memory and
  /// `layout(r)` their layout; `means` are those of the terms on hooks.
  template <typename Layout, typename Theta>
  std::vector<loss_values> values(matrix_view<const T> logits, matrix_view<const T> reference, Layout layout,
                                  Theta theta, matrix_view<const T> means = {}) const {
    evaluate(logits, reference, means);
    std::vector<loss_values> all;
    collect(backend_->download(values_).values, layout, theta, all);
    return all;
  }
  /// The same for one replica.
  loss_values values(matrix_view<const T> logits, matrix_view<const T> reference, const parameters& p,
                     matrix_view<const T> means = {}) const {
    return values(
               logits, reference, [&](index_t) -> const parameter_layout& { return p.layout; },
               [&](index_t) { return std::span<const double>(p.theta); }, means)
        .front();
  }

  /// Sets `row_values()`; `means` [hook_terms().size(), sequences] are those of the run.
  void evaluate(matrix_view<const T> logits, matrix_view<const T> reference, matrix_view<const T> means = {}) const;
  /// The value of each term on rows for each sequence, [1, terms * sequences], in the backend's memory.
  matrix_view<const T> row_values() const { return values_; }

  /// Sets `all` to the loss of each replica, from `row_values` and parameters in host memory. Reuses the memory that an
  /// earlier call left in `all`.
  template <typename Layout, typename Theta>
  void collect(std::span<const T> row_values, Layout layout, Theta theta, std::vector<loss_values>& all) const {
    all.resize(objectives_.size());
    for (std::size_t r = 0; r < all.size(); ++r) {
      all[r].terms.resize(static_cast<std::size_t>(std::ranges::count(left_out_[r], false)));
      std::size_t next = 0, number = 0, k = 0;
      objectives_[r].each([&]<typename Term>(const objective::weighted<Term>& t) {
        if (left_out_[r][k++]) {
          next += static_cast<std::size_t>(count_);
          return;
        }
        term_value& v = all[r].terms[number++];
        v.name = objective::term_name(t.term);
        v.weight = t.weight;
        v.value = 0;
        v.per_sequence.clear();
        if constexpr (is_of_rows<Term>) {
          weights_.template each<Term>(r, [&](std::size_t i) {
            v.per_sequence.push_back(static_cast<double>(row_values[next + i]));
            v.value += weights_[i] * v.per_sequence.back() / weights_.template total<Term>(r);
          });
          next += static_cast<std::size_t>(count_);
        } else {
          const auto replica = static_cast<index_t>(r);
          v.value = norm_of(layout(replica), theta(replica), t.term.norm);
        }
      });
    }
  }

  /// Sets d_logits [sequences, V] to the gradient of the logit terms, weights included.
  void gradient(matrix_view<const T> logits, matrix_view<const T> reference, matrix_view<T> d_logits) const;

 private:
  template <std::size_t K>
  using term_type = std::tuple_element_t<K, std::tuple<Terms...>>;
  template <typename Term>
  static constexpr bool is_of_rows = logit_term<Term> or hook_term<Term>;
  /// How many terms on rows there are before the term.
  template <std::size_t K>
  static constexpr index_t number_of = []<std::size_t... J>(std::index_sequence<J...>) {
    return (index_t{} + ... + index_t{is_of_rows<term_type<J>>});
  }
  (std::make_index_sequence<K>{});
  template <std::size_t K>
  const objective::weighted<term_type<K>>& term_of(std::size_t replica) const {
    return std::get<K>(objectives_[replica].terms);
  }

  /// Uploads each sequence's weight in its replica's loss and, where replicas differ in the term's settings, the terms.
  template <std::size_t K>
  void plan_term() {
    using term = term_type<K>;
    for (std::size_t r = 0; r < objectives_.size(); ++r)
      left_out_[r][K] =
          (concerns_retained<term> and not weights_.has_retained(r)) or (hook_term<term> and term_of<K>(r).weight == 0);
    if constexpr (hook_term<term>) return plan_hook_term<K>();
    host_matrix<T> share(count_, 1);
    bool differ = false;
    for (std::size_t r = 0; r < objectives_.size(); ++r) {
      weights_.template each<term>(r, [&](std::size_t i) {
        share.values[i] = static_cast<T>(term_of<K>(r).weight * weights_[i] / weights_.template total<term>(r));
      });
      differ = differ or not same_bytes(term_of<K>(r).term, term_of<K>(0).term);
    }
    share_[K] = memory_.take(share);
    if (not differ) return;
    const index_t numbers = static_cast<index_t>((sizeof(term) * objectives_.size() + sizeof(T) - 1) / sizeof(T));
    host_matrix<T> bytes(1, numbers);
    for (std::size_t r = 0; r < objectives_.size(); ++r)
      std::memcpy(reinterpret_cast<char*>(bytes.values.data()) + r * sizeof(term), &term_of<K>(r).term, sizeof(term));
    terms_[K] = memory_.take(bytes).data;
  }

  template <std::size_t K>
  void plan_hook_term() {
    using term = term_type<K>;
    std::vector<double> share(static_cast<std::size_t>(count_));
    const term* one = nullptr;
    for (std::size_t r = 0; r < objectives_.size(); ++r) {
      if (left_out_[r][K]) continue;
      const objective::weighted<term>& here = term_of<K>(r);
      weights_.template each<term>(
          r, [&](std::size_t i) { share[i] = here.weight * weights_[i] / weights_.template total<term>(r); });
      if (one != nullptr and not same_settings(here.term, *one))
        throw error(error_kind::bad_argument, "fits that share a pass have different settings of " +
                                                  std::string(objective::term_name(*one)) +
                                                  ", a term on what hooks do; give them the same ones");
      one = &here.term;
    }
    if (one != nullptr) hook_terms_.emplace_back(*one, std::move(share));
  }

  /// f(index of the term, term, the operand of each row's replica if the term needs it).
  template <typename F>
  void each_logit_term(F f) const {
    [&]<std::size_t... K>(std::index_sequence<K...>) { (logit_term_of<K>(f), ...); }
    (std::index_sequence_for<Terms...>{});
  }
  template <std::size_t K, typename F>
  void logit_term_of(F& f) const {
    using term = term_type<K>;
    if constexpr (logit_term<term>) {
      if (is_left_out(K)) return;
      constexpr std::integral_constant<std::size_t, K> number{};
      if (terms_[K] == nullptr)
        f(number, term_of<K>(0).term);
      else
        f(number, detail::term_by_replica<term>{reinterpret_cast<const term*>(terms_[K])},
          operand<per_row<"replica">, const int>{replica_, 1});
    }
  }

  /// Whether no replica has the term: there are no prompts that it is about, or it has no weight.
  bool is_left_out(std::size_t term) const {
    return std::ranges::all_of(left_out_, [&](const auto& of_replica) { return of_replica[term]; });
  }

  static constexpr index_t terms_of_rows = (index_t{} + ... + index_t{is_of_rows<Terms>});

  const B* backend_;
  std::vector<objective_type> objectives_;  ///< by replica
  workspace<B> memory_;
  index_t count_;
  sequence_weights weights_;
  std::vector<std::array<bool, sizeof...(Terms)>> left_out_ = {};  ///< by replica and term
  std::vector<weighted_hook_term<B>> hook_terms_ = {};
  term_operands<B, Terms...> operands_;
  matrix_view<T> values_ = {};
  const int* replica_ = nullptr;
  std::array<matrix_view<T>, sizeof...(Terms)> share_ = {};  ///< by term, each sequence's weight
  std::array<const T*, sizeof...(Terms)> terms_ = {};        ///< by term, those of the replicas where they differ
};

template <tensor_backend B, typename... Terms>
loss<B, Terms...>::loss(const B& backend, std::vector<objective_type> objectives, std::span<const prompt_pair> prompts,
                        std::span<const sequence> sequences, std::optional<sequence_weights::totals> total)
    : backend_(&backend),
      objectives_(std::move(objectives)),
      memory_(backend),
      count_(static_cast<index_t>(sequences.size())),
      weights_(objectives_.size(), prompts, sequences, std::move(total)),
      left_out_(objectives_.size()),
      operands_(backend, prompts, sequences, memory_) {
  std::vector<int> replica;
  for (const sequence& s : sequences) replica.push_back(static_cast<int>(s.replica));
  replica_ = memory_.take(std::move(replica));
  values_ = memory_.take(1, std::max<index_t>(1, terms_of_rows * count_));
  [&]<std::size_t... K>(std::index_sequence<K...>) { (plan_term<K>(), ...); }
  (std::index_sequence_for<Terms...>{});
}

template <tensor_backend B, typename... Terms>
void loss<B, Terms...>::evaluate(matrix_view<const T> logits, matrix_view<const T> reference,
                                 matrix_view<const T> means) const {
  assert(means.rows == std::ssize(hook_terms_));
  operands_.evaluate(logits);
  index_t next = 0;
  const auto take_means = [&]<std::size_t K>(std::integral_constant<std::size_t, K>) {
    if (hook_term<term_type<K>> and not is_left_out(K))
      backend_->copy({means.row(next++), 1, count_}, {values_.data + number_of<K> * count_, 1, count_});
  };
  [&]<std::size_t... K>(std::index_sequence<K...>) { (take_means(std::integral_constant<std::size_t, K>{}), ...); }
  (std::index_sequence_for<Terms...>{});
  each_logit_term([&]<std::size_t K>(std::integral_constant<std::size_t, K>, const auto& term, auto... replica) {
    T* const values = values_.data + number_of<K> * count_;
    operands_.template with<term_type<K>>(logits, reference, [&](auto... operands) {
      backend_->values(term, count_, logits.cols, values, operands..., replica...);
    });
  });
}

template <tensor_backend B, typename... Terms>
void loss<B, Terms...>::gradient(matrix_view<const T> logits, matrix_view<const T> reference,
                                 matrix_view<T> d_logits) const {
  backend_->fill(d_logits, T(0));
  operands_.evaluate(logits);
  each_logit_term([&]<std::size_t K>(std::integral_constant<std::size_t, K>, const auto& term, auto... replica) {
    operands_.template with<term_type<K>>(logits, reference, [&](auto... operands) {
      backend_->gradients(term, count_, logits.cols, operands..., each_row(grad(name::h), d_logits),
                          each_row(grad(name::value), share_[K]), replica...);
    });
  });
  operands_.add_gradient(logits, d_logits);
}

template <tensor_backend B, typename... Terms, typename... Rest>
loss(const B&, objective::weighted_sum<Terms...>, Rest&&...) -> loss<B, Terms...>;
template <tensor_backend B, typename... Terms, typename... Rest>
loss(const B&, std::vector<objective::weighted_sum<Terms...>>, Rest&&...) -> loss<B, Terms...>;

}  // namespace trimtab
