// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/site.hpp>
#include <trimtab/model/batch.hpp>
#include <trimtab/model/config.hpp>
#include <trimtab/model/workspace.hpp>

#include <array>

/// The memory of a pass. `n` counts the rows that it computes, `keys` also those that the batch was given; `m` rows go
/// past the attention, which in the last layer are the scored ones only.

namespace trimtab {

/// What the forward pass of a block leaves for its adjoint; what can be had again for less than a product is not kept.
template <typename T>
struct layer_tape {
  matrix_view<T> stream = {};         ///< [n, D] what norm_1 reads: the block's input, steered
  matrix_view<T> steered_input = {};  ///< [n, D] memory for it where `resid_pre` is hooked
  matrix_view<T> qkv = {};            ///< [keys, 3D] queries and keys already turned to their positions
  matrix_view<T> attn_out = {};       ///< [m, D] steered; scratch, but where it is kept
  matrix_view<T> middle = {};         ///< [m, D] what norm_2 reads
  matrix_view<T> pre = {};            ///< [m, F] the MLP before its nonlinearity
  matrix_view<T> mlp_out = {};        ///< [m, D] steered; scratch, but where it is kept
  matrix_view<T> output = {};         ///< [m, D] the block's output, steered

  std::array<matrix_view<T>, site::count> arrived = {};  ///< by site stage: `h` as it came to a hooked site
};

/// What one block after another uses on the way up, [n, ...] each.
template <typename T>
struct forward_scratch {
  matrix_view<T> norm, attn_z, attn_out, mlp_post, mlp_out;
  matrix_view<T> qkv;           ///< of the rows alone, where the batch was given some keys
  matrix_view<T> arrived = {};  ///< `h` of the hook that is next, where no adjoint asks for it

  template <tensor_backend B>
  forward_scratch(workspace<B>& memory, const model_config& c, const batch<B>& rows)
      : norm(memory.take(rows.rows(), c.width)),
        attn_z(memory.take(rows.rows(), c.width)),
        attn_out(memory.take(rows.rows(), c.width)),
        mlp_post(memory.take(rows.rows(), c.hidden)),
        mlp_out(memory.take(rows.rows(), c.width)),
        qkv(rows.complete() ? matrix_view<T>{} : memory.take(rows.rows(), 3 * c.width)) {}
};

/// And on the way down. A gradient before and after a hook are two pieces of memory; those of the stream alternate
/// between layers, because one block's input is the next one's output.
template <typename T>
struct backward_scratch {
  std::array<matrix_view<T>, 2> d_stream = {};
  matrix_view<T> d_steered_stream = {}, d_output = {}, d_mlp_out = {}, d_middle = {}, d_steered_middle = {},
                 d_attn_out = {}, d_attn_z = {}, d_steered_attn_z = {}, d_norm = {}, d_qkv = {}, d_mlp_post = {},
                 d_steered_mlp_post = {};

  backward_scratch() = default;

  template <tensor_backend B>
  backward_scratch(workspace<B>& memory, const model_config& c, const batch<B>& rows) {
    const index_t n = rows.rows();
    for (matrix_view<T>* v : {&d_stream[0], &d_stream[1], &d_steered_stream, &d_output, &d_mlp_out, &d_middle,
                              &d_steered_middle, &d_attn_out, &d_attn_z, &d_steered_attn_z, &d_norm})
      *v = memory.take(n, c.width);
    d_qkv = memory.take(rows.keys(), 3 * c.width);
    d_mlp_post = memory.take(n, c.hidden);
    d_steered_mlp_post = memory.take(n, c.hidden);
  }
};

}  // namespace trimtab
