// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/stored_matrix.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/model/config.hpp>

#include <concepts>
#include <functional>
#include <string>

/// A transformer's weights in host memory, in the layout that both families share: every linear map as [in, out],
/// query, key and value side by side as [D, 3D] = [q | k | v], each with its heads in order. File readers convert the
/// families' own layouts to this one, so the model code does not depend on the family.

namespace trimtab {

/// A matrix that a model's backend takes from its file, or else reads.
template <typename T>
struct unread_matrix {
  stored_matrix file = {};                       ///< its `read` is empty for a type that no backend keeps, such as F64
  std::function<host_matrix<T>()> convert = {};  ///< reads it

  bool empty() const { return not convert; }
};

/// y = x W + b with W [in, out] and b [1, out]. Here and below, `Matrix` is how large matrices are held.
template <typename T, typename Matrix = host_matrix<T>>
struct linear_weights {
  Matrix weight = {};
  host_matrix<T> bias = {};
};

/// Gain and bias of a LayerNorm, each [1, D].
template <typename T>
struct layer_norm_weights {
  host_matrix<T> gain = {};
  host_matrix<T> bias = {};
};

template <typename T, typename Matrix = host_matrix<T>>
struct block_weights {
  layer_norm_weights<T> norm_1 = {};        ///< before the attention
  linear_weights<T, Matrix> qkv = {};       ///< [D, 3D]
  linear_weights<T, Matrix> attn_out = {};  ///< [D, D]
  layer_norm_weights<T> norm_2 = {};        ///< before the MLP
  linear_weights<T, Matrix> mlp_in = {};    ///< [D, F]
  linear_weights<T, Matrix> mlp_out = {};   ///< [F, D]
};

/// Everything outside the blocks.
template <typename T, typename Matrix = host_matrix<T>>
struct outer_weights {
  Matrix token_embedding = {};             ///< [V, D]
  host_matrix<T> position_embedding = {};  ///< [context, D]; empty for rotary positions
  layer_norm_weights<T> norm_final = {};
  Matrix unembedding = {};  ///< [V, D]; empty when tied to the token embedding
};

/// Where the weights came from.
struct weights_origin {
  /// The hash of the stored bytes as version 0.1 computed it; reads all weights. Empty without a model folder.
  std::function<std::string()> stored_hash = {};
};

/// Gives a model its weights block by block, so that a large model never lies in host memory twice.
///
/// Satisfied by: `io::model_folder`, `random_weights` of the tests.
/// A source returns shapes that agree with its `config()`; it throws `error` if it cannot read them. Its functions are
/// called one after another, though not always on the same thread.
template <typename S, typename T>
concept weight_source = requires(S& source, index_t layer) {
  { source.config() } -> std::convertible_to<model_config>;
  { source.template block<T>(layer) } -> std::same_as<block_weights<T>>;
  { source.template outer<T>() } -> std::same_as<outer_weights<T>>;
};

/// A source whose large matrices can stay in their files until the backend takes them, in the layout that `block` and
/// `outer` have, as maps [in, out]: an embedding [V, D] is the map [D, V]. It is told
/// of each block that was taken.
///
/// Satisfied by: `io::model_folder`.
template <typename S, typename T>
concept unread_weight_source = weight_source<S, T> and requires(S& source, index_t layer) {
  { source.template unread_block<T>(layer) } -> std::same_as<block_weights<T, unread_matrix<T>>>;
  { source.template unread_outer<T>() } -> std::same_as<outer_weights<T, unread_matrix<T>>>;
  source.took_block(layer);
};

}  // namespace trimtab
