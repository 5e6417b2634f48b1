// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>

#include <tuple>
#include <utility>

/// Terms and their weights: `effectiveness{} + 1.0 * faithfulness{} + 0.03 * minimality{}`. Any order, any
/// number of terms, at most one penalty on the parameters; the sum's type carries the composition, the weights are
/// values.

namespace trimtab::objective {

/// A type that calls itself a term must be one; asked where it is first used, so that the answer is a sentence.
template <typename Term>
struct checked_term {
  static_assert(objective_term<Term>,
                "a term of an objective is trivially copyable and has value(row) and gradient(row), or is a penalty on "
                "parameters "
                "with a member `norm`");
};

template <typename Term>
struct weighted {
  static_assert(sizeof(checked_term<Term>) > 0);

  double weight = 1;
  Term term = {};
};

/// The sum of weighted terms.
template <typename... Terms>
struct weighted_sum {
  std::tuple<weighted<Terms>...> terms;

  constexpr weighted_sum() = default;
  explicit weighted_sum(std::tuple<weighted<Terms>...> t) : terms(std::move(t)) {}
  /// One term is a sum.
  weighted_sum(Terms... one) requires(sizeof...(Terms) == 1) : terms(weighted<Terms>{1, one}...) {}
  weighted_sum(weighted<Terms>... one) requires(sizeof...(Terms) == 1) : terms(one...) {}

  /// f(weighted term) for each, in the order in which they were written.
  template <typename F>
  void each(F&& f) const {
    std::apply([&](const auto&... t) { (f(t), ...); }, terms);
  }
};

namespace detail {
template <typename T>
  requires enable_objective_term<T> weighted_sum<T> as_sum(T term) { return weighted_sum<T>(term); }
template <typename T>
weighted_sum<T> as_sum(weighted<T> term) {
  return weighted_sum<T>(term);
}
template <typename... T>
weighted_sum<T...> as_sum(weighted_sum<T...> sum) {
  return sum;
}
template <typename X>
concept summable = requires(X x) {
  as_sum(x);
};
}  // namespace detail

/// The terms of both.
template <typename... A, typename... B>
weighted_sum<A..., B...> joined(const weighted_sum<A...>& a, const weighted_sum<B...>& b) {
  return weighted_sum<A..., B...>(std::tuple_cat(a.terms, b.terms));
}

/// Every weight times a factor.
template <typename... T>
weighted_sum<T...> scaled(weighted_sum<T...> sum, double factor) {
  std::apply([&](auto&... t) { ((t.weight *= factor), ...); }, sum.terms);
  return sum;
}

/// weight * (term + term).
template <typename... T>
weighted_sum<T...> operator*(double weight, weighted_sum<T...> sum) {
  return scaled(std::move(sum), weight);
}
template <typename T>
weighted<T> operator*(double weight, weighted<T> term) {
  return {weight * term.weight, term.term};
}

}  // namespace trimtab::objective

// Terms of users live in namespaces that know nothing of these, so for sums and weights of terms they stand where any
// namespace finds them. They take nothing that does not call itself a term.

/// weight * term.
template <typename T>
  requires trimtab::enable_objective_term<T> trimtab::objective::weighted<T>
operator*(double weight, T term) { return {weight, term}; }

/// term + term and term - term, weighted or not.
template <trimtab::objective::detail::summable A, trimtab::objective::detail::summable B>
auto operator+(A a, B b) {
  return trimtab::objective::joined(trimtab::objective::detail::as_sum(a), trimtab::objective::detail::as_sum(b));
}
template <trimtab::objective::detail::summable A, trimtab::objective::detail::summable B>
auto operator-(A a, B b) {
  return trimtab::objective::joined(trimtab::objective::detail::as_sum(a),
                                    trimtab::objective::scaled(trimtab::objective::detail::as_sum(b), -1));
}

namespace trimtab {
using ::operator*;
using ::operator+;
using ::operator-;
namespace objective {
using ::operator*;
using ::operator+;
using ::operator-;
}  // namespace objective
}  // namespace trimtab
