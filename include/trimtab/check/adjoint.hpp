// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/check/checked_hook_term.hpp>
#include <trimtab/check/checked_policy.hpp>
#include <trimtab/check/checked_term.hpp>
#include <trimtab/check/derivatives.hpp>
#include <trimtab/check/dual.hpp>
#include <trimtab/core/error.hpp>

#include <cmath>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

/// Checks the adjoint of a custom policy or term, before a fit is spent on it:
///
///     const auto found = check_adjoint(my_policy{});
///     if (not found.passes()) std::cerr << found.text();
///     // `d_h` differs by 1 at row 2, channel 5: backward gives 2.3, the complex step 1.15, central differences 1.15;
///     // everywhere it is 2 times what it should be
///
/// Every number that `backward` or `gradient` gives is compared with two derivatives of `forward` or `value` in double:
/// the complex step, exact to rounding, and central differences, which do not depend on `dual`. A function may have
/// branches: a row so close to one that central differences cross it is drawn again.

namespace trimtab {

struct adjoint_options {
  index_t width = 17;      ///< channels of a row; tokens of the vocabulary for a term
  index_t rows = 8;        ///< random rows, at the strengths 1, -1, 0.5 and -1.5 in turn
  double scale = 1;        ///< standard deviation of activations and logits
  std::uint64_t seed = 1;  ///< of all random numbers
};

namespace detail {

/// One row's gradient computed three ways.
template <typename Subject>
checked_row check_row(const Subject& subject, const typename Subject::drawn& row) {
  const auto value = [&]<typename T>(const std::vector<T>& x) { return subject.template value<T>(row, x); };
  return {row.beta, subject.written(row), complex_step_gradient(value, row.x), central_gradient(value, row.x)};
}

template <typename Subject>
adjoint_check check_subject(const Subject& subject, const adjoint_options& options) {
  constexpr double strengths[] = {1, -1, 0.5, -1.5};
  constexpr int draws = 16;  // per row; a function that is close to a branch every time has no derivative
  const std::vector<checked_operand> operands = subject.operands();
  random_generator random(options.seed);
  adjoint_check found{.function = Subject::function, .rows = options.rows, .width = options.width};
  std::vector<checked_row> rows;
  for (index_t n = 0; n < options.rows; ++n) {
    const double beta = strengths[n % std::ssize(strengths)];
    checked_row row = check_row(subject, subject.draw(random, beta));
    for (int draw = 1; draw < draws and not row.is_certain(operands); ++draw) {
      row = check_row(subject, subject.draw(random, beta));
      ++found.moved;
    }
    rows.push_back(std::move(row));
  }
  for (const checked_operand& of : operands) found.operands.push_back(summary_of(of, rows));
  return found;
}

inline void check_options(const adjoint_options& options, index_t least_width) {
  const auto refuse = [](const std::string& what, const std::string& found, const std::string& expected) {
    throw error(error_kind::bad_argument, "the " + what + " is " + found + "; it must be " + expected);
  };
  if (options.width < least_width)
    refuse("width", std::to_string(options.width), "at least " + std::to_string(least_width));
  if (options.rows < 1) refuse("number of rows", std::to_string(options.rows), "at least 1");
  if (not(std::isfinite(options.scale) and options.scale > 0))
    refuse("scale", short_number(options.scale), "a positive number");
}

}  // namespace detail

/// Compares `backward` with derivatives of `forward`, for the activations and every parameter, and `forward` in place
/// with `forward` beside `h` for a policy that says that it works in place. Does not check that zeros leave `h`
/// unchanged. Throws `bad_argument` unless width, rows and scale are positive.
template <intervention_policy P>
adjoint_check check_adjoint(const P& policy, const adjoint_options& options = {}) {
  detail::check_options(options, 1);
  const detail::checked_policy<P> subject{policy, options.width, options.scale};
  auto found = detail::check_subject(subject, options);
  random_generator random(options.seed);
  if constexpr (works_in_place<P>)
    for (index_t n = 0; n < options.rows; ++n)
      found.right_in_place = found.right_in_place and subject.is_right_in_place(subject.draw(random, 1));
  return found;
}

/// Compares a term's `gradient` with derivatives of its `value`, on random prompt data with three tokens per set.
/// Throws `bad_argument` as above, and for a width of 1: a row of logits has two answers.
template <logit_term Term>
adjoint_check check_adjoint(const Term& term, const adjoint_options& options = {}) {
  detail::check_options(options, 2);
  return detail::check_subject(detail::checked_term<Term>{term, options.width, options.scale}, options);
}

/// The same for a term on what hooks do, on random activations before and after a hook.
template <hook_term Term>
adjoint_check check_adjoint(const Term& term, const adjoint_options& options = {}) {
  detail::check_options(options, 1);
  return detail::check_subject(detail::checked_hook_term<Term>{term, options.width, options.scale}, options);
}

}  // namespace trimtab
