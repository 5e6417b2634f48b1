// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/model/rounded_weights.hpp>
#include <trimtab/model/weights.hpp>

#include <utility>

/// Hands matrices of weights to a backend: from host memory, or from a file.

namespace trimtab::detail {

template <tensor_backend B>
typename B::linear prepared(const B& backend, const host_matrix<typename B::scalar>& weight,
                            matrix_view<const typename B::scalar> bias, bool transposed = false) {
  return backend.prepare(weight.view(), bias, transposed);
}

/// `transposed` is about what `weight.convert` gives: the file's own order is part of `weight.file`.
template <storing_backend B>
typename B::linear prepared(const B& backend, const unread_matrix<typename B::scalar>& weight,
                            matrix_view<const typename B::scalar> bias, bool transposed = false) {
  if (weight.file.read)
    if (auto as_stored = backend.prepare(weight.file, bias)) return std::move(*as_stored);
  auto numbers = weight.convert();
  round_to(backend.weights(), numbers);
  return backend.prepare(std::as_const(numbers).view(), bias, transposed);
}

/// The table of an embedding; `same` is the unembedding where it is tied, else null.
template <tensor_backend B>
typename B::table prepared_table(const B& backend, const host_matrix<typename B::scalar>& embedding,
                                 const typename B::linear* same) {
  return backend.make_table(embedding.view(), same);
}
template <storing_backend B>
typename B::table prepared_table(const B& backend, const unread_matrix<typename B::scalar>& embedding,
                                 const typename B::linear* same) {
  if (same != nullptr) return backend.make_table({}, same);
  const auto map = prepared(backend, embedding, {}, true);
  return backend.make_table({}, &map);
}

}  // namespace trimtab::detail
