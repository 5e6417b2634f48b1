// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/stored_matrix.hpp>
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
#include <vector>

/// How each family names and stores its weights: one list for each, of names, shapes and orders, and of the members of
/// model/weights.hpp that they are. Checking a folder, reading it and writing one go through the same list.

namespace trimtab::io {

/// How the numbers of a weight are ordered in a file.
enum class stored_order {
  in_out,          ///< matrices as [in, out], as in memory
  out_in,          ///< matrices as [out, in]
  out_in_by_head,  ///< the same, and query, key and value of one head beside each other, head by head
};

/// One weight of a family as files have it.
struct stored_weight {
  std::string name = {};
  std::vector<index_t> shape = {};  ///< [rows, cols] or [cols]
  stored_order order = stored_order::in_out;
  bool is_stored = true;  ///< false for a bias that the model lacks, which is zeros in memory
};

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

/// Of GPT-NeoX's query_key_value: its row (3 h + p) w + c, of part p and channel c in head h of width w, is column
/// p D + h w + c of [q | k | v].
struct by_head {
  index_t width, head_width;

  index_t operator()(index_t row) const {
    const auto [head, part, channel] = std::tuple(row / (3 * head_width), row / head_width % 3, row % head_width);
    return part * width + head * head_width + channel;
  }
};

/// Calls visit(stored_weight, member) for weights that belong together; `member(weights)` and `of(weights)` are places
/// in a `block_weights<T>` or `outer_weights<T>` of any T.
template <typename Visit>
struct weight_list {
  Visit& visit;
  stored_order order = stored_order::in_out;

  void matrix(std::string name, index_t rows, index_t cols, auto member) const {
    visit(stored_weight{std::move(name), {rows, cols}}, member);
  }
  void norm(const std::string& name, index_t width, auto of) const {
    visit(
        stored_weight{name + ".weight", {width}}, [of](auto& w) -> auto& { return of(w).gain; });
    visit(
        stored_weight{name + ".bias", {width}}, [of](auto& w) -> auto& { return of(w).bias; });
  }
  void linear(const std::string& name, index_t in, index_t out, bool has_bias, auto of) const {
    const bool is_transposed = order != stored_order::in_out;
    visit(
        stored_weight{name + ".weight", {is_transposed ? out : in, is_transposed ? in : out}, order},
        [of](auto& w) -> auto& { return of(w).weight; });
    visit(
        stored_weight{name + ".bias", {out}, order, has_bias}, [of](auto& w) -> auto& { return of(w).bias; });
  }
};

}  // namespace detail

/// What a file holds as it is in memory.
template <typename T>
host_matrix<T> in_memory(host_matrix<T> stored, const stored_weight& weight, const model_config& config) {
  const detail::by_head column_of{config.width, config.head_width()};
  const auto in_order = [](index_t row) { return row; };
  const bool is_matrix = weight.shape.size() > 1;
  if (weight.order == stored_order::in_out or (weight.order == stored_order::out_in and not is_matrix)) return stored;
  if (weight.order == stored_order::out_in) return detail::transposed(stored, in_order);
  if (is_matrix) return detail::transposed(stored, column_of);
  auto row = host_matrix<T>(1, stored.cols);
  for (index_t i = 0; i < stored.cols; ++i) row(0, column_of(i)) = stored(0, i);
  return row;
}

/// A matrix that stays in the file, as the map that it is in memory. An embedding [V, D] is the map [D, V].
inline stored_matrix as_map(const stored_weight& weight, bool is_embedding, const model_config& config) {
  const index_t rows = weight.shape.front(), cols = weight.shape.back();
  const bool by_output = is_embedding or weight.order != stored_order::in_out;
  stored_matrix matrix{.inputs = by_output ? cols : rows, .outputs = by_output ? rows : cols, .by_output = by_output};
  if (weight.order == stored_order::out_in_by_head) {
    const detail::by_head column_of{config.width, config.head_width()};
    matrix.file_rows.resize(static_cast<std::size_t>(rows));
    for (index_t row = 0; row < rows; ++row) matrix.file_rows[static_cast<std::size_t>(column_of(row))] = row;
  }
  return matrix;
}

/// The inverse: what a file holds of a weight in memory.
template <typename T>
host_matrix<T> as_stored(host_matrix<T> weights, const stored_weight& weight, const model_config& config) {
  if (weight.order == stored_order::out_in_by_head) {
    const detail::by_head column_of{config.width, config.head_width()};
    auto by_head = host_matrix<T>(weights.rows, weights.cols);
    for (index_t i = 0; i < weights.rows; ++i)
      for (index_t j = 0; j < weights.cols; ++j) by_head(i, j) = weights(i, column_of(j));
    weights = std::move(by_head);
  }
  const bool is_transposed = weight.order != stored_order::in_out and weight.shape.size() > 1;
  return is_transposed ? detail::transposed(weights, [](index_t row) { return row; }) : weights;
}

/// GPT-2: Conv1D weights, already [in, out], and c_attn = [q | k | v].
struct gpt2_layout {
  static constexpr auto embedding = "wte.weight";
  static constexpr auto unembedding = "lm_head.weight";
  static constexpr auto parts = std::to_array<std::string_view>({"wte.", "wpe.", "ln_f.", "lm_head."});
  static constexpr auto names = weight_names{"transformer.", "h.", parts, unembedding};

  /// visit(stored_weight, member) for each weight of a block; `member(block)` is its matrix in a `block_weights<T>`.
  template <typename Visit>
  static void each_of_block(const model_config_file& file, index_t layer, Visit visit) {
    const auto width = file.config.width, hidden = file.config.hidden;
    const auto name = "h." + std::to_string(layer) + ".";
    const detail::weight_list<Visit> list{visit};
    list.norm(
        name + "ln_1", width, [](auto& w) -> auto& { return w.norm_1; });
    list.linear(
        name + "attn.c_attn", width, 3 * width, true, [](auto& w) -> auto& { return w.qkv; });
    list.linear(
        name + "attn.c_proj", width, width, true, [](auto& w) -> auto& { return w.attn_out; });
    list.norm(
        name + "ln_2", width, [](auto& w) -> auto& { return w.norm_2; });
    list.linear(
        name + "mlp.c_fc", width, hidden, true, [](auto& w) -> auto& { return w.mlp_in; });
    list.linear(
        name + "mlp.c_proj", hidden, width, true, [](auto& w) -> auto& { return w.mlp_out; });
  }

  /// The same for what is outside the blocks, in an `outer_weights<T>`.
  template <typename Visit>
  static void each_of_outer(const model_config_file& file, Visit visit) {
    const auto& config = file.config;
    const detail::weight_list<Visit> list{visit};
    list.matrix(
        embedding, config.vocabulary, config.width, [](auto& w) -> auto& { return w.token_embedding; });
    list.matrix(
        "wpe.weight", config.context, config.width, [](auto& w) -> auto& { return w.position_embedding; });
    list.norm(
        "ln_f", config.width, [](auto& w) -> auto& { return w.norm_final; });
    if (not file.tied_embeddings)
      list.matrix(
          unembedding, config.vocabulary, config.width, [](auto& w) -> auto& { return w.unembedding; });
  }
};

/// GPT-NeoX: Linear weights, [out, in], and query_key_value head by head.
struct gpt_neox_layout {
  static constexpr auto embedding = "embed_in.weight";
  static constexpr auto unembedding = "embed_out.weight";
  static constexpr auto parts = std::to_array<std::string_view>({"embed_in.", "final_layer_norm.", "embed_out."});
  static constexpr auto names = weight_names{"gpt_neox.", "layers.", parts, unembedding};

  template <typename Visit>
  static void each_of_block(const model_config_file& file, index_t layer, Visit visit) {
    const auto width = file.config.width, hidden = file.config.hidden;
    const auto name = "layers." + std::to_string(layer) + ".";
    const bool bias = file.attention_bias;
    const detail::weight_list<Visit> list{visit, stored_order::out_in}, by_head{visit, stored_order::out_in_by_head};
    list.norm(
        name + "input_layernorm", width, [](auto& w) -> auto& { return w.norm_1; });
    by_head.linear(
        name + "attention.query_key_value", width, 3 * width, bias, [](auto& w) -> auto& { return w.qkv; });
    list.linear(
        name + "attention.dense", width, width, bias, [](auto& w) -> auto& { return w.attn_out; });
    list.norm(
        name + "post_attention_layernorm", width, [](auto& w) -> auto& { return w.norm_2; });
    list.linear(
        name + "mlp.dense_h_to_4h", width, hidden, true, [](auto& w) -> auto& { return w.mlp_in; });
    list.linear(
        name + "mlp.dense_4h_to_h", hidden, width, true, [](auto& w) -> auto& { return w.mlp_out; });
  }

  template <typename Visit>
  static void each_of_outer(const model_config_file& file, Visit visit) {
    const auto& config = file.config;
    const detail::weight_list<Visit> list{visit};
    list.matrix(
        embedding, config.vocabulary, config.width, [](auto& w) -> auto& { return w.token_embedding; });
    list.norm(
        "final_layer_norm", config.width, [](auto& w) -> auto& { return w.norm_final; });
    if (not file.tied_embeddings)
      list.matrix(
          unembedding, config.vocabulary, config.width, [](auto& w) -> auto& { return w.unembedding; });
  }
};

}  // namespace trimtab::io
