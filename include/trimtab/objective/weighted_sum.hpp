// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>

#include <string_view>
#include <tuple>
#include <utility>

/// Terms and their weights: `effectiveness{} + 1.0 * faithfulness{} + 0.03 * minimality{}`. Any order, any number of
/// terms, at most one penalty on the parameters; the sum's type holds the terms, the weights are values.

namespace trimtab::objective {

/// Checks, where it is first used, that a type with `enable_objective_term` is a term, for a readable message.
template <typename Term>
struct checked_term {
  static_assert(objective_term<Term>,
                "a term of an objective is trivially copyable and has value(row) and gradient(row), or is a penalty on "
                "parameters with a member `norm`");
};

template <typename Term>
struct weighted {
  static_assert(sizeof(checked_term<Term>) > 0);  // NOLINT(bugprone-sizeof-expression): has the sentences above read

  double weight = 1;
  Term term = {};
};

/// What files and messages call a term.
template <typename Term>
std::string_view term_name(const Term&) {
  if constexpr (requires { Term::text; })
    return Term::text;
  else
    return "term";
}

/// The sum of weighted terms.
template <typename... Terms>
struct weighted_sum {
  std::tuple<weighted<Terms>...> terms;

  constexpr weighted_sum() = default;
  explicit weighted_sum(std::tuple<weighted<Terms>...> t) : terms(std::move(t)) {}
  /// A single term is a sum too.
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

/// The terms of both sums.
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

// Terms of users live in other namespaces, from which name lookup does not reach this one, so the operators are global.
// They accept only types with `enable_objective_term`.

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
