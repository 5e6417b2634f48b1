// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>
#include <trimtab/row/math.hpp>

#include <string>

/// The hyperparameters of a pre-norm decoder-only transformer: the content of Hugging Face's `config.json` under this
/// library's names. io/ reads and checks the file.

namespace trimtab {

/// The nonlinearity of an MLP: the row function of this name (row/gelu.hpp, row/relu.hpp).
enum class activation {
  gelu_tanh,  ///< `gelu_new`, GPT-2's
  gelu_fast,
  gelu_erf,  ///< `gelu`, Pythia's
  quick_gelu,
  silu,
  relu,
};

struct model_config {
  std::string architecture = {};  ///< "gpt2" or "gpt_neox"
  index_t layers = 0;             ///< L
  index_t width = 0;              ///< D, channels of the residual stream
  index_t heads = 0;              ///< attention heads; they share the width evenly
  index_t hidden = 0;             ///< F, neurons of one MLP
  index_t context = 0;            ///< the longest prompt
  index_t vocabulary = 0;         ///< V, rows of the token embedding, padding included
  index_t rotary_channels = 0;    ///< leading channels of each head that are rotated; 0 for learned positions
  double rotary_base = 10000;     ///< theta of the rotary frequencies
  double layer_norm_epsilon = 1e-5;
  activation nonlinearity = activation::gelu_tanh;
  bool parallel_residual = false;         ///< attention and MLP read the same stream and are added together
  bool scale_attention = true;            ///< attention scores are divided by √(head width)
  bool scale_attention_by_layer = false;  ///< those of layer l are divided by l + 1

  index_t head_width() const { return width / heads; }

  /// What multiplies the products of queries and keys of a layer, with each step rounded to T.
  template <typename T>
  T attention_scale(index_t layer) const {
    using math::sqrt;
    const auto number = [](index_t n) { return static_cast<T>(static_cast<double>(n)); };
    const T scale = scale_attention ? 1 / sqrt(number(head_width())) : T(1);
    return scale_attention_by_layer ? scale / number(layer + 1) : scale;
  }

  friend bool operator==(const model_config&, const model_config&) = default;
};

}  // namespace trimtab
