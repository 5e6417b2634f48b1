// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/hooks.hpp>

/// What a pass computes, decided before it runs. Parameters affect only activations above the lowest hook: every step
/// recomputes these and gives them gradients; everything else is computed once and kept.

namespace trimtab {

/// Which layers a pass runs: first, ..., last - 1.
struct layer_interval {
  index_t first;
  index_t last;
};

/// Whether a pass saves what a backward pass, or a repetition with other parameters, needs.
enum class pass_use { forward_only, forward_and_backward };

/// Which activations of a block, after their hooks, parameters affect. Each depends on those before it; in a parallel
/// block `middle` is the stream itself, and the halves do not affect each other.
struct moving_parts {
  bool stream, attn_z, attn_out, middle, mlp_post, mlp_out;

  static constexpr moving_parts all() { return {true, true, true, true, true, true}; }
};

template <bool Parallel, typename Hooks>
moving_parts moving_in(const Hooks& hooks, index_t layer) {
  moving_parts m{};
  m.stream = layer > hooks.lowest_layer() or is_active<site::resid_pre>(hooks, layer);
  m.attn_z = m.stream or is_active<site::attn_z>(hooks, layer);
  m.attn_out = m.attn_z or is_active<site::attn_out>(hooks, layer);
  m.middle = Parallel ? m.stream : m.attn_out or is_active<site::resid_mid>(hooks, layer);
  m.mlp_post = m.middle or is_active<site::mlp_post>(hooks, layer);
  m.mlp_out = m.mlp_post or is_active<site::mlp_out>(hooks, layer);
  return m;
}

}  // namespace trimtab
