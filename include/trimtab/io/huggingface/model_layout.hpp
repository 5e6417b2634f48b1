// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>
#include <trimtab/io/huggingface/model_config_file.hpp>
#include <trimtab/io/huggingface/weight_files.hpp>
#include <trimtab/model/weights.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

/// How each family names and stores its weights, and how they become the layout of model/weights.hpp.
///
/// A layout asks `tensors` for every weight: `tensors.matrix(name, rows, cols)`, `tensors.row(name, cols)`, and
/// `tensors.zeros(cols)` for a bias that the model lacks. The folder runs it twice, once with tensors that only compare
/// names and shapes and once with tensors that read, so the same list is checked and read.

namespace trimtab::io {

namespace detail {

/// [n, m] -> [m, n]; row i becomes column `column_of(i)`. In squares through a small buffer, because one side is
/// accessed column by column, where lines of a large matrix would evict each other from the cache.
template <typename T, typename ColumnOf>
host_matrix<T> transposed(const host_matrix<T>& matrix, const ColumnOf& column_of) {
  constexpr index_t side = 32;
  std::array<T, static_cast<std::size_t>(side * side)> square = {};
  const auto at = [&](index_t i, index_t j) -> T& {
    return square[static_cast<std::size_t>(i % side * side + j % side)];
  };
  auto result = host_matrix<T>(matrix.cols, matrix.rows);
  for (index_t top = 0; top < matrix.rows; top += side)
    for (index_t left = 0; left < matrix.cols; left += side) {
      const auto bottom = std::min(top + side, matrix.rows);
      const auto right = std::min(left + side, matrix.cols);
      for (index_t i = top; i < bottom; ++i)
        for (index_t j = left; j < right; ++j) at(i, j) = matrix(i, j);
      for (index_t j = left; j < right; ++j)
        for (index_t i = top; i < bottom; ++i) result(j, column_of(i)) = at(i, j);
    }
  return result;
}

template <typename Tensors>
layer_norm_weights<typename Tensors::scalar> layer_norm(Tensors& tensors, const std::string& name, index_t width) {
  return {tensors.row(name + ".weight", width), tensors.row(name + ".bias", width)};
}

}  // namespace detail

/// GPT-2: Conv1D weights, already [in, out], and c_attn = [q | k | v].
struct gpt2_layout {
  static constexpr auto embedding = "wte.weight";
  static constexpr auto unembedding = "lm_head.weight";
  static constexpr auto parts = std::to_array<std::string_view>({"wte.", "wpe.", "ln_f.", "lm_head."});
  static constexpr auto names = weight_names{"transformer.", "h.", parts, unembedding};

  template <typename Tensors, typename T = typename Tensors::scalar>
  static block_weights<T> block(Tensors& tensors, const model_config_file& file, index_t layer) {
    const auto width = file.config.width;
    const auto hidden = file.config.hidden;
    const auto name = "h." + std::to_string(layer) + ".";
    const auto norm = [&](const char* part) { return detail::layer_norm(tensors, name + part, width); };
    const auto linear = [&](const std::string& part, index_t in, index_t out) {
      return linear_weights<T>{tensors.matrix(name + part + ".weight", in, out),
                               tensors.row(name + part + ".bias", out)};
    };
    return {.norm_1 = norm("ln_1"),
            .qkv = linear("attn.c_attn", width, 3 * width),
            .attn_out = linear("attn.c_proj", width, width),
            .norm_2 = norm("ln_2"),
            .mlp_in = linear("mlp.c_fc", width, hidden),
            .mlp_out = linear("mlp.c_proj", hidden, width)};
  }

  template <typename Tensors, typename T = typename Tensors::scalar>
  static outer_weights<T> outer(Tensors& tensors, const model_config_file& file) {
    const auto& config = file.config;
    return {.token_embedding = tensors.matrix(embedding, config.vocabulary, config.width),
            .position_embedding = tensors.matrix("wpe.weight", config.context, config.width),
            .norm_final = detail::layer_norm(tensors, "ln_f", config.width),
            .unembedding =
                file.tied_embeddings ? host_matrix<T>{} : tensors.matrix(unembedding, config.vocabulary, config.width)};
  }
};

/// GPT-NeoX: Linear weights, [out, in], and query_key_value with q, k and v of one head beside each other, head by
/// head: its row (3 h + p) w + c, of part p and channel c in head h of width w, is column p D + h w + c of [q | k | v].
struct gpt_neox_layout {
  static constexpr auto embedding = "embed_in.weight";
  static constexpr auto unembedding = "embed_out.weight";
  static constexpr auto parts = std::to_array<std::string_view>({"embed_in.", "final_layer_norm.", "embed_out."});
  static constexpr auto names = weight_names{"gpt_neox.", "layers.", parts, unembedding};

  template <typename Tensors, typename T = typename Tensors::scalar>
  static block_weights<T> block(Tensors& tensors, const model_config_file& file, index_t layer) {
    const auto width = file.config.width;
    const auto hidden = file.config.hidden;
    const auto name = "layers." + std::to_string(layer) + ".";
    const auto in_order = [](index_t row) { return row; };
    const auto by_part = [width, head_width = file.config.head_width()](index_t row) {
      const auto [head, part, channel] = std::tuple(row / (3 * head_width), row / head_width % 3, row % head_width);
      return part * width + head * head_width + channel;
    };
    const auto norm = [&](const char* part) { return detail::layer_norm(tensors, name + part, width); };
    const auto linear = [&](const std::string& part, index_t in, index_t out, bool has_bias, const auto& column_of) {
      const auto bias = has_bias ? tensors.row(name + part + ".bias", out) : tensors.zeros(out);
      auto ordered = host_matrix<T>(bias.rows, bias.cols);
      for (index_t i = 0; i < bias.cols; ++i) ordered(0, column_of(i)) = bias(0, i);
      return linear_weights<T>{detail::transposed(tensors.matrix(name + part + ".weight", out, in), column_of),
                               std::move(ordered)};
    };
    const bool bias = file.attention_bias;
    return {.norm_1 = norm("input_layernorm"),
            .qkv = linear("attention.query_key_value", width, 3 * width, bias, by_part),
            .attn_out = linear("attention.dense", width, width, bias, in_order),
            .norm_2 = norm("post_attention_layernorm"),
            .mlp_in = linear("mlp.dense_h_to_4h", width, hidden, true, in_order),
            .mlp_out = linear("mlp.dense_4h_to_h", hidden, width, true, in_order)};
  }

  template <typename Tensors, typename T = typename Tensors::scalar>
  static outer_weights<T> outer(Tensors& tensors, const model_config_file& file) {
    const auto& config = file.config;
    return {.token_embedding = tensors.matrix(embedding, config.vocabulary, config.width),
            .position_embedding = {},
            .norm_final = detail::layer_norm(tensors, "final_layer_norm", config.width),
            .unembedding =
                file.tied_embeddings ? host_matrix<T>{} : tensors.matrix(unembedding, config.vocabulary, config.width)};
  }
};

}  // namespace trimtab::io
