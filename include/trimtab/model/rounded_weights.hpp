// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/stored.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/model/weights.hpp>

#include <concepts>
#include <string>

/// Weights rounded to a narrower type before a model takes them: matrices and embeddings, which are nearly all of a
/// model. Gains, biases and learned positions stay as they are.

namespace trimtab {

namespace detail {

template <typename Stored, typename T>
void round_each(host_matrix<T>& m) {
  for (T& number : m.values) {
    const auto exact = static_cast<double>(number);
    const auto rounded = static_cast<float>(stored::nearest<Stored>(exact));
    if (stored::is_finite(exact) and not stored::is_finite(rounded))
      throw error(error_kind::bad_argument,
                  "the weight " + std::to_string(exact) + " is too large for " +
                      (std::same_as<Stored, stored::float16> ? "float16; use bfloat16"
                       : std::same_as<Stored, float>         ? "float32; keep the weights as they are stored"
                                                             : "bfloat16; use float32"));
    number = T(static_cast<double>(rounded));
  }
}

template <typename T>
void round_to(weight_type type, host_matrix<T>& m) {
  if (type == weight_type::float16) return round_each<stored::float16>(m);
  if (type == weight_type::bfloat16) return round_each<stored::bfloat16>(m);
  if (type == weight_type::float32 and not std::same_as<T, float>) return round_each<float>(m);
}

}  // namespace detail

/// Throws `bad_argument` for a weight beyond the range of `type`.
template <typename T>
block_weights<T> rounded(block_weights<T> weights, weight_type type) {
  for (linear_weights<T>* map : {&weights.qkv, &weights.attn_out, &weights.mlp_in, &weights.mlp_out})
    detail::round_to(type, map->weight);
  return weights;
}
template <typename T>
outer_weights<T> rounded(outer_weights<T> weights, weight_type type) {
  detail::round_to(type, weights.token_embedding);
  detail::round_to(type, weights.unembedding);
  return weights;
}

}  // namespace trimtab
