// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>

#include <tuple>

/// Terms and their weights: `effectiveness{} + 1.0 * faithfulness{} + 0.03 * minimality{}`. Any order, any number, each kind of
/// term once; the sum's type carries the composition, the weights are values.

namespace trimtab::objective {

template <typename Term>
struct weighted {
  double weight = 1;
  Term term = {};
};

/// The sum of weighted terms.
template <typename... Terms>
struct weighted_sum {
  static_assert((objective_term<Terms> and ...),
                "a term of an objective has value(row) and gradient(row), or is a penalty on parameters, and sets "
                "trimtab::enable_objective_term to true");

  std::tuple<weighted<Terms>...> terms;

  /// f(weighted term) for each, in the order in which they were written.
  template <typename F>
  void each(F&& f) const {
    std::apply([&](auto const&... t) { (f(t), ...); }, terms);
  }
};

namespace detail {
template <objective_term T>
weighted_sum<T> as_sum(T term) {
  return {{weighted<T>{1, term}}};
}
template <objective_term T>
weighted_sum<T> as_sum(weighted<T> term) {
  return {{term}};
}
template <typename... T>
weighted_sum<T...> as_sum(weighted_sum<T...> sum) {
  return sum;
}
template <typename X>
concept summable = requires(X x) { as_sum(x); };
}  // namespace detail

template <typename... A, typename... B>
weighted_sum<A..., B...> join(weighted_sum<A...> a, weighted_sum<B...> b) {
  return {std::tuple_cat(a.terms, b.terms)};
}

/// weight * term.
template <objective_term T>
weighted<T> operator*(double weight, T term) {
  return {weight, term};
}

/// term + term, weighted or not.
template <detail::summable A, detail::summable B>
auto operator+(A a, B b) {
  return join(detail::as_sum(a), detail::as_sum(b));
}

}  // namespace trimtab::objective

namespace trimtab {
// A user's own terms live in a namespace that does not know these; `using namespace trimtab` brings them.
using objective::operator*;
using objective::operator+;
}  // namespace trimtab
