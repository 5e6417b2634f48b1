// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/weights.hpp>

#include <algorithm>

/// Weights that are written by hand. The residual stream is made of features, each the difference of two channels, so that
/// its mean is 0: feature f is the channels 2 f and 2 f + 1. Norms that have gains of 2^40 and an epsilon of 2^80 are the
/// identity on such a stream, to the last bit.

namespace circuits {

using namespace trimtab;

constexpr double identity_gain = 0x1p40, identity_epsilon = 0x1p80;

template <typename T>
layer_norm_weights<T> norm_with(index_t width, double gain) {
  layer_norm_weights<T> w{host_matrix<T>(1, width), host_matrix<T>(1, width)};
  std::ranges::fill(w.gain.values, static_cast<T>(gain));
  return w;
}

/// A linear map that gives zero.
template <typename T>
linear_weights<T> zero_map(index_t in, index_t out) {
  return {host_matrix<T>(in, out), host_matrix<T>(1, out)};
}

/// Output `to` of a map gets a feature.
template <typename T>
void read_feature(host_matrix<T>& weight, index_t feature, index_t to, double times = 1) {
  weight(2 * feature, to) = static_cast<T>(times / 2);
  weight(2 * feature + 1, to) = static_cast<T>(-times / 2);
}

/// Input `from` of a map writes a feature; of an embedding, row `from` has it, and of an unembedding, it reads it.
template <typename T>
void write_feature(host_matrix<T>& weight, index_t from, index_t feature, double times) {
  weight(from, 2 * feature) = static_cast<T>(times);
  weight(from, 2 * feature + 1) = static_cast<T>(-times);
}

/// A block that changes nothing.
template <typename T>
block_weights<T> idle_block(index_t width, index_t hidden, double gain) {
  return {.norm_1 = norm_with<T>(width, gain),
          .qkv = zero_map<T>(width, 3 * width),
          .attn_out = zero_map<T>(width, width),
          .norm_2 = norm_with<T>(width, gain),
          .mlp_in = zero_map<T>(width, hidden),
          .mlp_out = zero_map<T>(hidden, width)};
}

}  // namespace circuits
