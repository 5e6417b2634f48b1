// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/backend.hpp>
#include <trimtab/model/config.hpp>

#include <cstddef>
#include <vector>

/// The keys and values of texts that grow, in every layer. A pass over a batch with a cache computes only the batch's
/// rows: their keys and values replace what the cache holds at their positions, and they attend to all before them.

namespace trimtab {

template <tensor_backend B>
class key_value_cache {
 public:
  /// For as many texts at a time as there are slots.
  key_value_cache(const B& backend, const model_config& config, index_t slots) {
    for (index_t l = 0; l < config.layers; ++l)
      layers_.push_back(backend.make_cache(slots, config.heads, config.head_width(), config.context));
  }

  key_value_cache(const key_value_cache&) = delete;  // batches refer to it
  key_value_cache& operator=(const key_value_cache&) = delete;

  /// Makes room for `tokens` tokens in a slot, and keeps what is there.
  void reserve(index_t slot, index_t tokens) {
    for (typename B::cache& layer : layers_) layer.reserve(slot, tokens);
  }

  typename B::cache& layer(index_t l) { return layers_[static_cast<std::size_t>(l)]; }

 private:
  std::vector<typename B::cache> layers_ = {};
};

}  // namespace trimtab
