// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/explain/groups.hpp>
#include <trimtab/model/pass.hpp>
#include <trimtab/steer/sequence.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

/// What attention heads of the untouched model look at: p_ij = softmax over j ≤ i of scale · q_i·k_j, computed in
/// double from the queries and keys of a run, with rotary positions applied.

namespace trimtab::explain {

struct head_of_layer {
  index_t layer = 0, head = 0;

  friend bool operator==(const head_of_layer&, const head_of_layer&) = default;
};

/// "5.1"
inline std::string text_of(const head_of_layer& h) { return std::to_string(h.layer) + "." + std::to_string(h.head); }

namespace detail {

/// The pattern of a head whose channels begin at `column`, on the tokens of one prompt, whose rows [q | k | v] begin at
/// `first`.
template <typename T>
host_matrix<double> pattern_of(const host_matrix<T>& qkv, index_t first, index_t tokens, index_t column, index_t width,
                               double scale) {
  host_matrix<double> pattern(tokens, tokens);
  const index_t keys = qkv.cols / 3 + column;
  for (index_t i = 0; i < tokens; ++i) {
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    for (index_t j = 0; j <= i; ++j) {
      for (index_t c = 0; c < width; ++c)
        pattern(i, j) +=
            static_cast<double>(qkv(first + i, column + c)) * static_cast<double>(qkv(first + j, keys + c));
      pattern(i, j) *= scale;
      most = std::max(most, pattern(i, j));
    }
    for (index_t j = 0; j <= i; ++j) sum += pattern(i, j) = std::exp(pattern(i, j) - most);
    for (index_t j = 0; j <= i; ++j) pattern(i, j) /= sum;
  }
  return pattern;
}

inline void require_heads(const model_config& config, std::span<const head_of_layer> heads) {
  if (heads.empty()) throw error(error_kind::bad_argument, "no heads are given whose attention is asked for");
  for (const head_of_layer& h : heads) {
    if (h.layer < 0 or h.layer >= config.layers)
      throw error(error_kind::bad_argument, "head " + text_of(h) + " is of layer " + std::to_string(h.layer) +
                                                ", but the model's layers are 0 to " +
                                                std::to_string(config.layers - 1));
    if (h.head < 0 or h.head >= config.heads)
      throw error(error_kind::bad_argument, "the model has no head " + text_of(h) + "; each layer has heads 0 to " +
                                                std::to_string(config.heads - 1));
  }
}

}  // namespace detail

/// [prompts][heads] a matrix [tokens, tokens]: how much of each token (row) a head reads from each (column). Rows sum
/// to 1; tokens after the row's own have 0. `memory` bounds what is needed besides, in bytes, as `options::memory`
/// does. Throws `bad_argument` for a head that the model lacks, `bad_text` for a prompt that it cannot read, `memory`.
template <tensor_backend B, model_architecture A>
std::vector<std::vector<host_matrix<double>>> attention_patterns(const transformer<B, A>& model,
                                                                 std::span<const prompt_pair> prompts,
                                                                 std::span<const head_of_layer> heads,
                                                                 index_t memory = 0) {
  using Model = transformer<B, A>;
  using T = typename B::scalar;
  const model_config& config = model.config();
  detail::require_heads(config, heads);
  const layer_interval layers{0, std::ranges::max(heads, {}, &head_of_layer::layer).layer + 1};
  std::vector<std::vector<host_matrix<double>>> all(prompts.size(), std::vector<host_matrix<double>>(heads.size()));
  const auto bytes = [&](index_t tokens, index_t some) {
    return bytes_of_pass<T>(config, {tokens, tokens, some}, layers, {no_hooks{}, config.layers},
                            pass_use::forward_only) +
           4 * tokens * config.width * static_cast<index_t>(sizeof(T));
  };
  with_memory_for("read what heads attend to", [&] {
    detail::each_group(prompts, memory, bytes, [&](std::size_t first, std::span<const prompt_pair> some) {
      const batch<B> rows(model.backend(), config, ids_of(some));
      workspace<B> taken(model.backend());
      const matrix_view<T> embedded = taken.take(rows.rows(), config.width);
      model.embed(rows, embedded);
      pass<Model> run(model, rows, layers);
      run.forward(embedded, [&](index_t layer, matrix_view<T> qkv) {
        if (std::ranges::find(heads, layer, &head_of_layer::layer) == heads.end()) return;
        const host_matrix<T> host = model.backend().download(qkv.as_const());
        index_t row = 0;
        for (std::size_t n = 0; n < some.size(); row += std::ssize(some[n++].ids))
          for (std::size_t k = 0; k < heads.size(); ++k)
            if (heads[k].layer == layer)
              all[first + n][k] =
                  detail::pattern_of(host, row, std::ssize(some[n].ids), heads[k].head * config.head_width(),
                                     config.head_width(), static_cast<double>(config.attention_scale<T>(layer)));
      });
    });
  });
  return all;
}

}  // namespace trimtab::explain
