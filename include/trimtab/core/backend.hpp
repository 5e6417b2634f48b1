// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/operand.hpp>
#include <trimtab/core/policy.hpp>
#include <trimtab/core/ragged.hpp>
#include <trimtab/core/records.hpp>

#include <concepts>
#include <vector>

/// What the library asks of a machine: memory, frozen linear maps, attention, and "run this row function over these
/// rows". Everything else is a row function and is written once.

namespace trimtab {

/// Arithmetic on one machine with one scalar type.
///
/// Satisfied by: `eigen_backend<float>`, `eigen_backend<double>`, `eigen_backend<complex_step>`, `cuda_backend<float>`.
/// Beyond the syntax:
/// - `prepare(W, b)` takes W [in, out] (or, with `transposed`, [out, in]) and b [1, out] or empty from host memory,
///   once;
/// - `download(a)` is a's numbers in host memory, `download(a, host)` puts them where there is memory already;
/// - `multiply(linear, x, y)` sets y [n, out] = x [n, in] W + b; `multiply_adjoint(linear, dy, dx)` sets dx = dy Wᵀ;
/// - `attention(shape, heads, qkv, z)` is causal softmax attention from qkv [rows, 3D] to z [queries, D], and its
///   adjoint
///   sets the whole of d_qkv;
/// - `forward(f, n, width, operands...)` runs f.forward on rows 0 .. n-1; `backward` likewise; `values` and `gradients`
///   do the
///   same for a term of the objective;
/// - `intervene(policy, h, out, β, θ, records)` runs a policy where `records` has one and copies elsewhere; its adjoint
///   adds the
///   gradient of each record in a fixed order. So no result depends on the number of threads or on batch mates.
template <typename B>
concept tensor_backend = requires(const B& b, const typename B::linear& linear, matrix_view<typename B::scalar> m,
                                  matrix_view<const typename B::scalar> c, ragged_shape shape, index_t n) {
  typename B::scalar;
  typename B::memory;
  typename B::indices;
  { b.allocate(n) } -> std::same_as<typename B::memory>;
  { b.upload(c) } -> std::same_as<typename B::memory>;
  { b.upload(std::vector<int>{}) } -> std::same_as<typename B::indices>;
  { b.download(c) } -> std::same_as<host_matrix<typename B::scalar>>;
  b.download(c, m);
  { b.prepare(c, c, true) } -> std::same_as<typename B::linear>;
  b.multiply(linear, c, m);
  b.multiply_adjoint(linear, c, m);
  b.attention(shape, n, c, m);
  b.attention_adjoint(shape, n, c, c, m);
};

}  // namespace trimtab
