// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/site.hpp>
#include <trimtab/model/config.hpp>
#include <trimtab/model/hooks.hpp>
#include <trimtab/model/plan.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <vector>

/// The memory of a pass, planned before it runs. `plan_pass` allocates it from a workspace, or only counts it with a
/// `memory_counter`: the same code tells in advance how much a pass will need.

namespace trimtab {

/// How many rows a pass computes, how many keys it has (past tokens included), and how many rows are scored.
struct pass_rows {
  index_t rows = 0;
  index_t keys = 0;
  index_t queries = 0;
};

/// What the forward pass of a block saves for the backward pass; anything cheaper than a matrix product is recomputed.
/// The pass computes `n` rows, and `m` of them past the attention: in the last layer only the scored ones.
template <typename T>
struct saved_activations {
  matrix_view<T> stream = {};         ///< [n, D] what norm_1 reads: the block's input, steered
  matrix_view<T> steered_input = {};  ///< [n, D] its memory where `resid_pre` is hooked
  matrix_view<T> qkv = {};            ///< [keys, 3D] with rotary positions already applied
  matrix_view<T> attn_out = {};       ///< [m, D] steered; scratch unless it is saved
  matrix_view<T> middle = {};         ///< [m, D] what norm_2 reads
  matrix_view<T> pre = {};            ///< [m, F] the MLP before its nonlinearity
  matrix_view<T> mlp_out = {};        ///< [m, D] steered; scratch unless it is saved
  matrix_view<T> output = {};         ///< [m, D] the block's output, steered

  std::array<matrix_view<T>, site::count> arrived = {};  ///< by site index: `h` before the hook, if not in place
};

/// Scratch memory that all blocks share in the forward pass, [n, ...] each.
template <typename T>
struct forward_scratch {
  matrix_view<T> norm = {}, attn_z = {}, attn_out = {}, mlp_post = {}, mlp_out = {};
  matrix_view<T> qkv = {};  ///< of the rows alone, where some tokens are past
  /// `h` before the current hook, where it is not saved. Where hooks run row by row, two sites of the same width share
  /// it: the second one's row is written over the first one's after that was read.
  matrix_view<T> arrived = {};
};

/// The same in the backward pass. Gradients before and after a hook are separate; `d_stream` alternates between layers,
/// because one block's input is the previous block's output.
template <typename T>
struct backward_scratch {
  std::array<matrix_view<T>, 2> d_stream = {};
  matrix_view<T> d_steered_stream = {}, d_output = {}, d_mlp_out = {}, d_middle = {}, d_steered_middle = {},
                 d_attn_out = {}, d_attn_z = {}, d_steered_attn_z = {}, d_norm = {}, d_qkv = {}, d_mlp_post = {},
                 d_steered_mlp_post = {};
};

template <typename T>
struct pass_memory {
  std::vector<saved_activations<T>> layers = {};
  forward_scratch<T> forward = {};
  backward_scratch<T> backward = {};
};

/// A stand-in for a workspace that only counts the numbers requested.
template <typename T>
class memory_counter {
 public:
  matrix_view<T> take(index_t rows, index_t cols) {
    numbers_ += rows * cols;
    return {&somewhere_, rows, cols};
  }
  index_t numbers() const { return numbers_; }
  index_t bytes() const { return numbers_ * static_cast<index_t>(sizeof(T)); }

 private:
  index_t numbers_ = 0;
  T somewhere_ = {};
};

/// Without a backward pass all layers share memory, except for two alternating outputs. Hooks then work in place where
/// they can; the others share one `arrived`: it stays in the cache, and separate memory would cost more time than the
/// interventions.
template <typename T, typename Memory>
pass_memory<T> plan_pass(Memory& memory, const model_config& config, const pass_rows& shape, layer_interval layers,
                         const hooked_sites& hooked, pass_use use) {
  const index_t n = shape.rows, width = config.width, hidden = config.hidden;
  const bool parallel = config.parallel_residual, save = use == pass_use::forward_and_backward;
  pass_memory<T> all;
  forward_scratch<T>& up = all.forward;
  up.norm = memory.take(n, width);
  up.attn_z = memory.take(n, width);
  up.attn_out = memory.take(n, width);
  up.mlp_post = memory.take(n, hidden);
  up.mlp_out = memory.take(n, width);
  if (shape.rows < shape.keys) up.qkv = memory.take(n, 3 * width);

  for (index_t l = layers.first; l < layers.last; ++l) {
    const bool is_last = l == config.layers - 1, fresh = save or all.layers.empty();
    const index_t m = is_last ? shape.queries : n;
    saved_activations<T> s = fresh ? saved_activations<T>{} : all.layers.back();
    const auto take = [&](matrix_view<T>& v, index_t rows, index_t cols) {
      if (v.data == nullptr) v = memory.take(n, cols);
      v.rows = rows;
    };
    if (s.qkv.data == nullptr) s.qkv = memory.take(shape.keys, 3 * width);
    if (not parallel or is_last) take(s.middle, m, width);
    take(s.pre, m, hidden);
    s.output = not fresh and all.layers.size() > 1 ? all.layers[all.layers.size() - 2].output : matrix_view<T>{};
    take(s.output, m, width);
    // In the layer of the lowest hook, one branch may never be recomputed, so both branches need memory of their own.
    const bool branches = parallel and save and l == hooked.lowest_layer();
    s.attn_out = branches ? memory.take(m, width) : matrix_view<T>{up.attn_out.data, m, width};
    s.mlp_out = branches ? memory.take(m, width) : matrix_view<T>{up.mlp_out.data, m, width};
    if (hooked.active<site::resid_pre>(l)) take(s.steered_input, n, width);
    site::all::each([&]<typename Site>(Site) {
      if (std::same_as<Site, site::resid_pre> or not hooked.active<Site>(l)) return;  // the stream is saved anyway
      const index_t cols = Site::rows == site_rows::hidden ? hidden : width;
      matrix_view<T>& h = s.arrived[site_index<Site>];
      if (save) return take(h, m, cols);
      h = {};
      if (hooked.in_place<Site>(l)) return;
      if (up.arrived.data == nullptr) up.arrived = memory.take(n, std::max(hidden, width));
      h = {up.arrived.data, m, cols};
    });
    all.layers.push_back(s);
  }
  if (not save) return all;

  backward_scratch<T>& down = all.backward;
  for (matrix_view<T>* v :
       {&down.d_stream[0], &down.d_stream[1], &down.d_steered_stream, &down.d_output, &down.d_mlp_out, &down.d_middle,
        &down.d_steered_middle, &down.d_attn_out, &down.d_attn_z, &down.d_steered_attn_z, &down.d_norm})
    *v = memory.take(n, width);
  down.d_qkv = memory.take(shape.keys, 3 * width);
  down.d_mlp_post = memory.take(n, hidden);
  down.d_steered_mlp_post = memory.take(n, hidden);
  return all;
}

/// How many bytes a pass will take.
template <typename T>
index_t bytes_of_pass(const model_config& config, const pass_rows& shape, layer_interval layers,
                      const hooked_sites& hooked, pass_use use) {
  memory_counter<T> counter;
  plan_pass<T>(counter, config, shape, layers, hooked, use);
  return counter.bytes();
}

}  // namespace trimtab
