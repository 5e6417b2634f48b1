// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>

#include <concepts>
#include <type_traits>

/// What an objective is made of (arXiv 2410.04962, section 3). A *logit term* is a function of one row of logits: it
/// gives a value and adds the value's gradient to `d_h`; the loss averages it over prompts and strengths. A *parameter
/// term* penalises the parameters instead; the optimizer's proximal step applies it.

namespace trimtab {

/// Opts a type into `term + term` and `weight * term`; library terms and user-defined terms set it to true.
template <typename T>
inline constexpr bool enable_objective_term = false;

/// A function of a row of logits `h`, the untouched model's `reference`, `correct()`, `wrong()` and `beta()`.
///
/// Satisfied by: `objective::effectiveness`, `objective::faithfulness`.
/// Beyond the syntax: `gradient` adds `d_value()` times the gradient of `value` with respect to `h` to `d_h`.
template <typename T>
concept logit_term = enable_objective_term<T> and std::is_trivially_copyable_v<T> and
    requires(const T term, row_archetype<float>& r) {
  { term.value(r) } -> std::convertible_to<float>;
  term.gradient(r);
};

/// Whether a term is about the prompts whose continuation is to stay as it is (`prompt_pair::retained`), of which it
/// is the mean; all other terms are means over the other prompts. The term declares `static constexpr bool of_retained`.
template <typename T>
inline constexpr bool concerns_retained = requires {
  requires T::of_retained;
};

/// How the size of the parameters is measured.
enum class parameter_norm {
  sum,    ///< Σ |θ|
  mean,   ///< Σ |θ| / count
  group,  ///< Σ over records of their Euclidean norm
};

/// A penalty on the parameters.
///
/// Satisfied by: `objective::minimality`.
template <typename T>
concept parameter_term = enable_objective_term<T> and requires(const T term) {
  { term.norm } -> std::convertible_to<parameter_norm>;
};

template <typename T>
concept objective_term = logit_term<T> or parameter_term<T>;

}  // namespace trimtab
