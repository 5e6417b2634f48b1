// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/row.hpp>

#include <concepts>
#include <type_traits>

/// What an objective is made of (arXiv 2410.04962, section 3). A *logit term* is a function of one row of logits: it
/// gives a value and adds the value's gradient to `d_h`; the loss averages it over prompts and strengths. A *hook term*
/// is the same of what an intervention does to a row of activations. A *parameter term* penalises the parameters
/// instead; the optimizer's proximal step applies it.

namespace trimtab {

/// Opts a type into `term + term` and `weight * term`; library terms and user-defined terms set it to true.
template <typename T>
inline constexpr bool enable_objective_term = false;

/// Whether a term is about what hooks do: of each row on which a policy acts, the activations `h` before the site's
/// hook and `out` after it. The term declares `static constexpr bool of_hooks`.
template <typename T>
inline constexpr bool concerns_hooks = requires {
  requires T::of_hooks;
};

namespace detail {

template <typename T>
concept has_value_of_row = requires(const T term, row_archetype<float>& r) {
  { term.value(r) } -> std::convertible_to<float>;
  term.gradient(r);
};

/// What both kinds of terms on rows have.
template <typename T>
concept term_of_rows = enable_objective_term<T> and std::is_trivially_copyable_v<T> and has_value_of_row<T>;

}  // namespace detail

/// A function of a row of logits `h`, the untouched model's `reference`, `correct()`, `wrong()` and `beta()`.
///
/// Satisfied by: `objective::effectiveness`, `objective::faithfulness`.
/// Beyond the syntax: `gradient` adds `d_value()` times the gradient of `value` with respect to `h` to `d_h`.
template <typename T>
concept logit_term = detail::term_of_rows<T> and not concerns_hooks<T>;

/// A function of a row of activations, `h` before a hook and `out` after it. The loss takes a sequence's mean over the
/// rows on which a policy acts, of all sites and layers.
///
/// Satisfied by: `objective::norm_preservation`.
/// Beyond the syntax: `gradient` adds `d_value()` times the gradient of `value` to `d_h` and `d_out`.
template <typename T>
concept hook_term = detail::term_of_rows<T> and concerns_hooks<T>;

/// Whether a term is about the prompts whose continuation is to stay as it is (`prompt_pair::retained`), of which it is
/// the mean; all other terms are means over the other prompts. The term declares `static constexpr bool of_retained`.
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
concept parameter_term = enable_objective_term<T> and not detail::has_value_of_row<T> and requires(const T term) {
  { term.norm } -> std::convertible_to<parameter_norm>;
};

template <typename T>
concept objective_term = logit_term<T> or hook_term<T> or parameter_term<T>;

}  // namespace trimtab
