// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/random.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/model/config.hpp>
#include <trimtab/model/weights.hpp>

#include <cmath>
#include <cstdint>
#include <utility>

/// Deterministic random weights for tests, for any configuration. They are chosen so that an error in any term changes
/// the result: attention is neither uniform nor one-hot, every block changes the residual stream noticeably, gains
/// differ from 1 and biases from 0, and logits are of order 1 to 5.

namespace trimtab::test {

/// Standard deviations of the random weights. That of a linear map is divided by the square root of the number of its
/// inputs, so that a map of scale 1 keeps the size of its input.
struct random_scales {
  double embedding = 1.0;
  double query_key_value = 1.2;
  double attn_out = 1.0;
  double mlp_in = 1.0;
  double mlp_out = 1.0;
  double bias = 0.1;
  double gain = 0.2;    ///< around 1
  double logits = 2.0;  ///< of the logits themselves
};

/// A `weight_source` of random weights. The same arguments give the same model, in whatever order its blocks are read.
/// All numbers are rounded to `float`, so that models in different precisions have equal weights.
class random_weights {
 public:
  /// GPT-2 ties its embeddings, GPT-NeoX does not, unless the caller says otherwise with the third argument.
  explicit random_weights(const model_config& config, std::uint64_t seed = 1)
      : random_weights(config, seed, config.architecture == "gpt2") {}
  random_weights(model_config config, std::uint64_t seed, bool tied_embeddings, random_scales scales = {})
      : config_(std::move(config)), seed_(seed), tied_(tied_embeddings), scales_(scales) {}

  const model_config& config() const { return config_; }
  bool tied_embeddings() const { return tied_; }

  template <typename T>
  block_weights<T> block(index_t layer) const {
    const auto width = config_.width;
    auto random = generator(layer + 1);
    block_weights<T> weights;
    weights.norm_1 = layer_norm<T>(random);
    weights.qkv = linear<T>(random, width, 3 * width, scales_.query_key_value);
    weights.attn_out = linear<T>(random, width, width, scales_.attn_out);
    weights.norm_2 = layer_norm<T>(random);
    weights.mlp_in = linear<T>(random, width, config_.hidden, scales_.mlp_in);
    weights.mlp_out = linear<T>(random, config_.hidden, width, scales_.mlp_out);
    return weights;
  }

  template <typename T>
  outer_weights<T> outer() const {
    const auto width = config_.width;
    // The last LayerNorm gives rows of norm sqrt(width), so this gives logits of standard deviation scales_.logits.
    const auto unembedding_scale = scales_.logits / std::sqrt(static_cast<double>(width));
    auto random = generator(0);
    outer_weights<T> weights;
    weights.token_embedding =
        matrix<T>(random, config_.vocabulary, width, tied_ ? unembedding_scale : scales_.embedding);
    if (config_.rotary_channels == 0)
      weights.position_embedding = matrix<T>(random, config_.context, width, scales_.embedding / 2);
    weights.norm_final = layer_norm<T>(random);
    if (not tied_) weights.unembedding = matrix<T>(random, config_.vocabulary, width, unembedding_scale);
    return weights;
  }

 private:
  random_generator generator(index_t part) const {
    return random_generator(seed_ * 0xd1342543de82ef95u + static_cast<std::uint64_t>(part) * 0x2545f4914f6cdd1du);
  }

  template <typename T>
  static host_matrix<T> matrix(random_generator& random, index_t rows, index_t cols, double scale, double mean = 0) {
    auto result = host_matrix<T>(rows, cols);
    for (auto& value : result.values) value = static_cast<T>(static_cast<float>(mean + scale * random.normal()));
    return result;
  }
  template <typename T>
  layer_norm_weights<T> layer_norm(random_generator& random) const {
    auto gain = matrix<T>(random, 1, config_.width, scales_.gain, 1);
    return {std::move(gain), matrix<T>(random, 1, config_.width, scales_.bias)};
  }
  template <typename T>
  linear_weights<T> linear(random_generator& random, index_t in, index_t out, double scale) const {
    auto weight = matrix<T>(random, in, out, scale / std::sqrt(static_cast<double>(in)));
    return {std::move(weight), matrix<T>(random, 1, out, scales_.bias)};
  }

  model_config config_;
  std::uint64_t seed_;
  bool tied_;
  random_scales scales_;
};

static_assert(weight_source<random_weights, float> and weight_source<const random_weights, double>);

}  // namespace trimtab::test
