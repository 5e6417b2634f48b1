// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>
#include <trimtab/row/math.hpp>

/// D, how much the logits prefer the correct answer to the wrong one:
///
///     D = z[correct] − z[wrong],   or with sets of answers  D = log Σ_correct e^z − log Σ_wrong e^z
///
/// and with answers of several tokens D = log p(correct) − log p(wrong): at the prompt's last token the normaliser
/// cancels, and `rest` is what the further tokens add.

namespace trimtab::objective {

namespace detail {

/// log Σ e^z over a set of tokens.
template <row R, typename Set>
constexpr scalar_of<R> log_sum(const R& r, Set set) {
  using T = scalar_of<R>;
  using math::exp, math::log;
  const index_t count = r(Set::size);
  T top = r.h(r(set, index_t{}));
  for (index_t k = 1; k < count; ++k) top = top < r.h(r(set, k)) ? r.h(r(set, k)) : top;
  T sum = 0;
  for (index_t k = 0; k < count; ++k) sum += exp(r.h(r(set, k)) - top);
  return top + log(sum);
}

/// Adds d ∂(log Σ e^z)/∂z, a softmax within the set, to d_h.
template <row R, typename Set>
constexpr void add_log_sum_gradient(R& r, Set set, scalar_of<R> d) {
  using T = scalar_of<R>;
  using math::exp;
  const T whole = log_sum(r, set);
  for (index_t k = 0; k < r(Set::size); ++k) r.at(r(set, k), [&](auto j) { r.d_h(j) += d * exp(r.h(j) - whole); });
}

}  // namespace detail

/// D of a row of logits.
template <row R>
constexpr scalar_of<R> logit_difference(const R& r) {
  if constexpr (has_rest<R>)
    return detail::log_sum(r, name::all_correct) - detail::log_sum(r, name::all_wrong) + r(name::rest);
  else if constexpr (has_answer_sets<R>)
    return detail::log_sum(r, name::all_correct) - detail::log_sum(r, name::all_wrong);
  else
    return r.h(r.correct()) - r.h(r.wrong());
}

/// Adds d times the gradient of D to d_h.
template <row R>
constexpr void add_logit_difference_gradient(R& r, scalar_of<R> d) {
  if constexpr (has_answer_sets<R>) {
    detail::add_log_sum_gradient(r, name::all_correct, d);
    detail::add_log_sum_gradient(r, name::all_wrong, -d);
    if constexpr (has_rest<R>) r.d(name::rest) += d;
  } else {
    r.at(r.correct(), [&](auto j) { r.d_h(j) += d; });
    r.at(r.wrong(), [&](auto j) { r.d_h(j) -= d; });
  }
}

}  // namespace trimtab::objective
