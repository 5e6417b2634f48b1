// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/operand.hpp>
#include <trimtab/core/policy.hpp>
#include <trimtab/core/ragged.hpp>
#include <trimtab/core/records.hpp>
#include <trimtab/core/stored.hpp>
#include <trimtab/core/stored_matrix.hpp>

#include <concepts>
#include <optional>
#include <vector>

/// What a backend provides: memory, products with frozen matrices, attention, and running row functions over rows.
/// Everything else is a row function and is written once. Copies of a backend share one device.

namespace trimtab {

/// Device memory, and transfers between it and the host.
///
/// Satisfied by: `eigen_backend<...>`, `cuda_backend<...>`.
/// `memory` owns scalars, `indices` owns ints; both are movable, and a default `memory` is empty.
/// `memory.view(rows, cols)` is a matrix in it, `indices.data()` points to the ints. `allocate(n)` gives n zeros.
/// `download(a)` returns a host copy of a, `download(a, host)` fills existing host memory; `copy` and `fill` work on
/// the device.
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

/// Products with frozen matrices, and the rows of frozen tables.
///
/// Satisfied by: `eigen_backend<...>`, `cuda_backend<...>`.
/// Matrices are rounded to `weights()` before `prepare` gets them; `as_in_file`: not at all.
/// `prepare(W, b)` takes W [in, out] (or, with `transposed`, [out, in]) and b [1, out] or empty from host memory, once.
/// `multiply(linear, x, y)` sets y [n, out] = x [n, in] W + b, `multiply_backward(linear, dy, dx)` sets dx = dy Wᵀ.
/// `make_table(W, linear)` takes W [count, width] from host memory; where `linear` is not null it is
/// `prepare(W, {}, true)` and the table may share its numbers. `make_table({}, &linear)` makes the table from `linear`
/// alone. `look_up(table, ids, x)` sets row i of x [n, width] to row ids[i] of W.
template <typename B>
concept linear_backend = storage_backend<B> and std::move_constructible<typename B::linear> and
    std::move_constructible<typename B::table> and
    requires(const B& b, const typename B::linear& linear, const typename B::table& table, const int* ids,
             matrix_view<typename B::scalar> m, matrix_view<const typename B::scalar> c) {
  { b.weights() } -> std::same_as<weight_type>;
  { b.prepare(c, c) } -> std::same_as<typename B::linear>;
  { b.prepare(c, c, true) } -> std::same_as<typename B::linear>;
  b.multiply(linear, c, m);
  b.multiply_backward(linear, c, m);
  { b.make_table(c, &linear) } -> std::same_as<typename B::table>;
  b.look_up(table, ids, m);
};

/// A backend that keeps matrices as they are stored.
///
/// Satisfied by: `eigen_backend<...>`.
/// `prepare(stored, b)` is `prepare` of the matrix that lies in a file; nothing where it has to be read and converted
/// first.
/// `copy_rows(linear, first, rows)` sets `rows` [n, out] to the rows of W from `first` on, and
/// `bias()` is b, or zeros.
template <typename B>
concept storing_backend = linear_backend<B> and
    requires(const B& b, const typename B::linear& linear, const stored_matrix& stored,
             matrix_view<typename B::scalar> m, matrix_view<const typename B::scalar> c, index_t n) {
  { b.prepare(stored, c) } -> std::same_as<std::optional<typename B::linear>>;
  b.copy_rows(linear, n, m);
  { linear.inputs() } -> std::same_as<index_t>;
  { linear.outputs() } -> std::same_as<index_t>;
  { linear.bias() } -> std::same_as<const typename B::scalar*>;
};

/// Causal softmax attention over a ragged batch, and over texts that grow.
///
/// Satisfied by: `eigen_backend<...>`, `cuda_backend<...>`.
/// `attention(shape, heads, scale, qkv, z)` sets z [queries, D] from qkv [rows, 3D], with the scores scale · q·k;
/// `attention_backward(shape, heads, scale, qkv, d_z, d_qkv)` sets all of d_qkv [rows, 3D].
/// `make_cache(slots, heads, width, context)` holds the keys and values of one layer, for heads of this width and texts
/// of at most `context` tokens; `reserve(slot, tokens)` makes room for a text and keeps what is there.
/// `attention(shape, heads, scale, qkv, cache, z)` stores the rows' keys and values in the cache and sets z from all
/// that it holds up to each query.
template <typename B>
concept attention_backend = storage_backend<B> and std::move_constructible<typename B::cache> and
    requires(const B& b, const ragged_shape& shape, index_t heads, typename B::scalar scale, typename B::cache& cache,
             matrix_view<typename B::scalar> m, matrix_view<const typename B::scalar> c, index_t n) {
  b.attention(shape, heads, scale, c, m);
  b.attention_backward(shape, heads, scale, c, c, m);
  { b.make_cache(n, heads, n, n) } -> std::same_as<typename B::cache>;
  cache.reserve(n, n);
  b.attention(shape, heads, scale, c, cache, m);
};

namespace detail {

/// Arguments for the requirements of `row_backend`.
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
/// `forward(f, n, width, operands...)` runs f.forward on rows 0, ..., n - 1, and `backward` likewise.
/// `values(term, n, width, to, operands...)` sets to[i] = term.value(row i), and `gradients` runs term.gradient.
/// `intervene(policy, h, out, θ, rows)` runs the policy on rows with a record and copies the others;
/// `intervene_backward(policy, h, d_out, d_h, θ, dθ, partial, rows)` sets d_h and the gradient of each record that has
/// rows, in the plan's order; `partial` has room for one record per piece. No result depends on the other rows.
template <typename B>
concept row_backend = storage_backend<B> and
    requires(const B& b, matrix_view<typename B::scalar> m, matrix_view<const typename B::scalar> c, index_t n,
             typename B::scalar* to, const typename B::scalar* from, const bound_rows<typename B::scalar>& rows) {
  b.forward(detail::any_row_function{}, n, n, each_row(name::h, c), each_row(name::out, m));
  b.backward(detail::any_row_function{}, n, n, each_row(grad(name::out), c), each_row(grad(name::h), m));
  b.values(detail::any_term{}, n, n, to, each_row(name::h, c));
  b.gradients(detail::any_term{}, n, n, each_row(name::h, c), each_row(grad(name::h), m));
  b.intervene(detail::any_intervention_policy{}, c, m, from, rows);
  b.intervene_backward(detail::any_intervention_policy{}, c, c, m, from, to, to, rows);
};

/// A backend that can run several row functions on one row before it goes on to the next, so that each finds in the
/// cache what the one before it wrote.
///
/// Satisfied by: `eigen_backend<...>`.
/// `row_by_row(n, width, f)` calls f(one_row) for rows 0, ..., n - 1, in any order, perhaps several at once;
/// `one_row.forward` and `one_row.intervene` are the backend's functions for that row alone.
template <typename B>
concept rowwise_backend = row_backend<B> and
    requires(const B& b, const typename B::one_row& row, void (*f)(const typename B::one_row&), index_t n,
             matrix_view<typename B::scalar> m, matrix_view<const typename B::scalar> c, const typename B::scalar* from,
             const bound_rows<typename B::scalar>& rows) {
  b.row_by_row(n, n, f);
  row.forward(detail::any_row_function{}, n, n, each_row(name::h, c), each_row(name::out, m));
  row.intervene(detail::any_intervention_policy{}, c, m, from, rows);
};

namespace detail {

/// What runs functions on one row of a backend; an empty type for a backend that runs all rows at once.
template <typename B>
struct row_runner {
  struct type {};
};
template <rowwise_backend B>
struct row_runner<B> {
  using type = typename B::one_row;
};

}  // namespace detail

/// A backend whose memory is a device's, and whose work is done in the order of a stream.
///
/// Satisfied by: `cuda_backend<...>`.
template <typename B>
concept device_backend = storage_backend<B> and requires(const B& b) {
  { b.stream() } -> std::convertible_to<void*>;
};

/// A complete backend with one scalar type: everything that models, fits and evaluations call.
///
/// Satisfied by: `eigen_backend<float>`, `eigen_backend<double>`, `eigen_backend<dual>`, `cuda_backend<float>`.
template <typename B>
concept tensor_backend = linear_backend<B> and attention_backend<B> and row_backend<B>;

}  // namespace trimtab
