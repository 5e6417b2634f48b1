// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/operand.hpp>
#include <trimtab/core/policy.hpp>
#include <trimtab/core/ragged.hpp>
#include <trimtab/core/records.hpp>

#include <concepts>
#include <vector>

/// What the library asks of a machine: memory, frozen linear maps, attention, and "run this row function over these
/// rows". Everything else is a row function and is written once. A backend is copied freely; its copies are one machine.

namespace trimtab {

/// Memory of a machine, and the way in and out of it.
///
/// Satisfied by: `eigen_backend<...>`, `cuda_backend<...>`.
/// `memory` owns numbers and `indices` whole ones; both may be moved, and a `memory` be empty at first.
/// `memory.view(rows, cols)` is a matrix in it and `indices.data()` its numbers. `allocate(n)` gives n zeros.
/// `download(a)` is a's numbers in host memory, `download(a, host)` puts them where there is memory already; `copy` and
/// `fill` stay on the machine.
template <typename B>
concept storage_backend = std::copy_constructible<B> and std::movable<typename B::memory> and
    std::default_initializable<typename B::memory> and std::move_constructible<typename B::indices> and
    requires(const B& b, typename B::memory& memory, const typename B::memory& constant,
             const typename B::indices& indices, matrix_view<typename B::scalar> m,
             matrix_view<const typename B::scalar> c, index_t n) {
  typename B::scalar;
  { b.allocate(n) } -> std::same_as<typename B::memory>;
  { b.upload(c) } -> std::same_as<typename B::memory>;
  { b.upload(std::vector<int>{}) } -> std::same_as<typename B::indices>;
  { memory.view(n, n) } -> std::same_as<matrix_view<typename B::scalar>>;
  { constant.view(n, n) } -> std::same_as<matrix_view<const typename B::scalar>>;
  { indices.data() } -> std::convertible_to<const int*>;
  { b.download(c) } -> std::same_as<host_matrix<typename B::scalar>>;
  b.download(c, m);
  b.copy(c, m);
  b.fill(m, typename B::scalar{});
};

/// Products with frozen matrices.
///
/// Satisfied by: `eigen_backend<...>`, `cuda_backend<...>`.
/// `prepare(W, b)` takes W [in, out] (or, with `transposed`, [out, in]) and b [1, out] or empty from host memory, once.
/// `multiply(linear, x, y)` sets y [n, out] = x [n, in] W + b, `multiply_backward(linear, dy, dx)` sets dx = dy Wᵀ.
template <typename B>
concept linear_backend = storage_backend<B> and std::move_constructible<typename B::linear> and
    requires(const B& b, const typename B::linear& linear, matrix_view<typename B::scalar> m,
             matrix_view<const typename B::scalar> c) {
  { b.prepare(c, c) } -> std::same_as<typename B::linear>;
  { b.prepare(c, c, true) } -> std::same_as<typename B::linear>;
  b.multiply(linear, c, m);
  b.multiply_backward(linear, c, m);
};

/// Causal softmax attention over a ragged batch.
///
/// Satisfied by: `eigen_backend<...>`, `cuda_backend<...>`.
/// `attention(shape, heads, qkv, z)` goes from qkv [rows, 3D] to z [queries, D]; `attention_backward(shape, heads, qkv,
/// d_z, d_qkv)` sets the whole of d_qkv.
template <typename B>
concept attention_backend = storage_backend<B> and
    requires(const B& b, const ragged_shape& shape, index_t heads, matrix_view<typename B::scalar> m,
             matrix_view<const typename B::scalar> c) {
  b.attention(shape, heads, c, m);
  b.attention_backward(shape, heads, c, c, m);
};

namespace detail {

/// What the concept of rows hands to its verbs.
struct any_row_function {
  constexpr void forward(auto&) const {}
  constexpr void backward(auto&) const {}
};
struct any_term {
  constexpr auto value(auto& r) const { return r.h(index_t{}); }
  constexpr void gradient(auto&) const {}
};
struct any_intervention_policy : any_row_function {
  static constexpr parameter_list<per_row<"a">> parameters{};
};

}  // namespace detail

/// Row functions over rows.
///
/// Satisfied by: `eigen_backend<...>`, `cuda_backend<...>`.
/// `forward(f, n, width, operands...)` runs f.forward on rows 0, ..., n - 1, and `backward` likewise. `values(term, n,
/// width, to, operands...)` sets to[i] = term.value(row i), and `gradients` runs term.gradient. `intervene(policy, h, out,
/// θ, rows)` runs a policy where `rows` has a record and copies elsewhere; `intervene_backward(policy, h, d_out, d_h, θ,
/// dθ, partial, rows)` sets d_h and the gradient of each record that has rows, summed in the plan's order, with memory for
/// one record a piece in `partial`. So no result depends on the number of threads or on batch mates.
template <typename B>
concept row_backend = storage_backend<B> and
    requires(const B& b, matrix_view<typename B::scalar> m, matrix_view<const typename B::scalar> c, index_t n,
             typename B::scalar* to, const typename B::scalar* from, const bound_rows<typename B::scalar>& rows) {
  b.forward(detail::any_row_function{}, n, n, each_row(name::h, c), each_row(name::out, m));
  b.backward(detail::any_row_function{}, n, n, each_row(d(name::out), c), each_row(d(name::h), m));
  b.values(detail::any_term{}, n, n, to, each_row(name::h, c));
  b.gradients(detail::any_term{}, n, n, each_row(name::h, c), each_row(d(name::h), m));
  b.intervene(detail::any_intervention_policy{}, c, m, from, rows);
  b.intervene_backward(detail::any_intervention_policy{}, c, c, m, from, to, to, rows);
};

/// Arithmetic on one machine with one scalar type: all that a model, a fit and an evaluation call.
///
/// Satisfied by: `eigen_backend<float>`, `eigen_backend<double>`, `eigen_backend<dual>`, `cuda_backend<float>`.
template <typename B>
concept tensor_backend = linear_backend<B> and attention_backend<B> and row_backend<B>;

}  // namespace trimtab
