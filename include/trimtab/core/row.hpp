// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/names.hpp>
#include <trimtab/core/prompt_data.hpp>
#include <trimtab/core/view.hpp>

#include <concepts>

/// The row that a policy, a term or a LayerNorm works on: one activation vector (or one row of logits) and its
/// operands. It hides whether a SIMD lane or a GPU thread computes each channel.
///
///     r.each([&](auto j) { ... });          for every channel j, in any order or in parallel
///     r.each(n, [&](auto j) { ... });       for the channels below n
///     r.sum([&](auto j) { return ...; });   a sum over the channels, always in the same order; r.max likewise
///     r.at(j, [&](auto j) { ... });         for channel j alone
///
/// Channels are `r.h(j)`, `r.out(j)`, `r.d_out(j)`, `r.d_h(j)`; everything else goes by its name: `r(weight, j)`,
/// `r(alpha)`, row k of a matrix as `r(matrix, k, j)`, and gradients as `r.d(weight, j)`, `r.d(alpha)`,
/// `r.d(matrix, k, j)`. Adjoints *set* the gradient of `h` and *add to* those of parameters, because many rows share
/// them. (Objective terms share a row of logits, so they *add to* `d_h`.) Inside `each`, write only to channel j;
/// combine channels with `sum`. Inside `sum` and `max`, write nothing. A function that accesses other channels than j
/// there declares `static constexpr bool crosses_channels = true`; a GPU then loads its channels one by one.

namespace trimtab {

namespace detail {

/// Arguments for the requirements of `row`. Types instead of lambdas, because nvcc 13 rejects concepts that contain a
/// lambda.
struct any_action {
  constexpr void operator()(auto) const {}
};
template <typename T>
struct any_value {
  constexpr T operator()(auto) const { return {}; }
};

}  // namespace detail

/// The operations above, on any backend.
///
/// Satisfied by: `eigen::row<...>`, `cuda::row<...>`, `renamed_row<...>`, `row_archetype<float>`.
template <typename R>
concept row = requires(R& r, index_t j) {
  typename R::scalar;
  { r.width() } -> std::convertible_to<index_t>;
  r.each(detail::any_action{});
  r.each(j, detail::any_action{});
  r.at(j, detail::any_action{});
  { r.sum(detail::any_value<typename R::scalar>{}) } -> std::convertible_to<typename R::scalar>;
  { r.max(detail::any_value<typename R::scalar>{}) } -> std::convertible_to<typename R::scalar>;
};

template <row R>
using scalar_of = typename R::scalar;

/// Short spellings such as `r.h(j)`. A row derives from this and provides `operator()(name, j)` and `operator()(name)`;
/// its index type may be any that converts to `index_t`.
template <typename Row>
struct row_vocabulary {
  constexpr decltype(auto) h(auto j) const { return self()(name::h, j); }
  constexpr decltype(auto) out(auto j) const { return self()(name::out, j); }
  constexpr decltype(auto) d_h(auto j) const { return d(name::h, j); }
  constexpr decltype(auto) d_out(auto j) const { return d(name::out, j); }
  constexpr decltype(auto) reference(auto j) const { return self()(name::reference, j); }
  constexpr auto beta() const { return self()(name::beta); }
  constexpr auto correct() const { return self()(name::correct); }
  constexpr auto wrong() const { return self()(name::wrong); }
  /// The weight of this row's value in the loss.
  constexpr auto d_value() const { return d(name::value); }

  template <typename Name>
  constexpr decltype(auto) d(Name, auto j) const {
    return self()(gradient_of<Name>{}, j);
  }
  template <typename Name>
  constexpr decltype(auto) d(Name, index_t k, auto j) const {
    return self()(gradient_of<Name>{}, k, j);
  }
  template <typename Name>
  constexpr decltype(auto) d(Name) const {
    return self()(gradient_of<Name>{});
  }

 private:
  constexpr const Row& self() const { return static_cast<const Row&>(*this); }
};

/// A minimal row, which has every name and computes nothing: concepts check row functions with it.
template <typename T>
struct row_archetype : row_vocabulary<row_archetype<T>> {
  using scalar = T;

  T* anything = nullptr;

  constexpr index_t width() const { return 0; }
  template <typename F>
  constexpr void each(F&& f) const {
    f(index_t{});
  }
  template <typename F>
  constexpr void each(index_t, F&& f) const {
    f(index_t{});
  }
  template <typename F>
  constexpr void at(index_t j, F&& f) const {
    f(j);
  }
  template <typename F>
  constexpr T sum(F&& f) const {
    return f(index_t{});
  }
  template <typename F>
  constexpr T max(F&& f) const {
    return f(index_t{});
  }
  template <typename Name>
  constexpr T& operator()(Name, index_t) const {
    return *anything;
  }
  template <typename Name>
  constexpr T& operator()(Name, index_t, index_t) const {
    return *anything;
  }
  template <typename Name>
  constexpr T& operator()(Name) const {
    return *anything;
  }
  // By a member: nvcc 13 cannot deduce a `fixed_string` from an argument.
  template <typename Name>
  constexpr index_t operator()(Name) const requires Name::is_whole {
    return 0;
  }
  template <typename Name>
  constexpr index_t operator()(Name, index_t) const requires Name::is_whole {
    return 0;
  }
  constexpr index_t operator()(decltype(name::correct)) const { return 0; }
  constexpr index_t operator()(decltype(name::wrong)) const { return 0; }
};

/// A function of a row with its adjoint.
///
/// Satisfied by: `layer_norm`, `gelu_erf`, `policy::activ_scalar`.
/// Beyond the syntax: `backward` is the adjoint of `forward`; neither reads what `out` or `d_h` held before.
/// `h` and `out`, and `d_h` and `d_out`, may be the same memory only where the function says so.
template <typename F, typename T = float>
concept row_function = requires(const F f, row_archetype<T>& r) {
  f.forward(r);
  f.backward(r);
};

/// Whether a row function accesses other channels than the one it is called for.
template <typename F>
constexpr bool crosses_channels_of() {
  if constexpr (requires { F::crosses_channels; })
    return F::crosses_channels;
  else
    return false;
}

/// How many scratch rows a row function needs.
template <typename F>
constexpr int scratch_rows_of() {
  if constexpr (requires { F::scratch_rows; })
    return F::scratch_rows;
  else
    return 0;
}

}  // namespace trimtab
