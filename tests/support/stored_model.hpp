// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/huggingface/model_config_file.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/model/weights.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

/// Writes a model as a Hugging Face folder, in each of the styles that such folders have: with or without the prefix of
/// the family in the names, in shards, in 16 bits, with the buffers of older versions. It is the inverse of
/// io/huggingface/model_layout.hpp, written independently, element by element, from the families' own code.

namespace trimtab::test {

struct folder_style {
  bool prefix = true;
  int shards = 1;
  io::dtype type = io::dtype::f32;
  bool buffers = false;        ///< causal masks and rotary frequencies beside the weights
  bool tied_copy = false;      ///< stores the unembedding although it is tied
  bool attention_bias = true;  ///< false: GPT-NeoX stored without the biases of its attention, which must be zero
};

/// The nearest binary16, for numbers within its range.
inline std::uint16_t to_float16_bits(float x) {
  int exponent = 0;
  std::frexp(x, &exponent);
  exponent = x == 0 ? -14 : std::max(exponent - 1, -14);
  const auto steps = std::lrint(std::ldexp(std::fabs(x), 10 - exponent));
  return static_cast<std::uint16_t>((std::signbit(x) ? 0x8000 : 0) + ((exponent + 14) << 10) + steps);
}
inline std::uint16_t to_bfloat16_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline io::stored_tensor store_as(io::dtype type, const host_matrix<float>& matrix, std::vector<index_t> shape) {
  if (type == io::dtype::f64) {
    host_matrix<double> wide(matrix.rows, matrix.cols);
    std::ranges::copy(matrix.values, wide.values.begin());
    return io::store(wide, std::move(shape));
  }
  auto tensor = io::store(matrix, std::move(shape));
  if (type == io::dtype::f32) return tensor;
  tensor.type = type;
  tensor.bytes.resize(matrix.values.size() * 2);
  for (std::size_t i = 0; i < matrix.values.size(); ++i) {
    const auto x = matrix.values[i];
    const auto bits = type == io::dtype::f16 ? to_float16_bits(x) : to_bfloat16_bits(x);
    std::memcpy(tensor.bytes.data() + 2 * i, &bits, 2);
  }
  return tensor;
}

/// `config.json`, as the transformers library writes it.
inline io::json stored_config(const model_config& config, bool tied_embeddings, const folder_style& style = {}) {
  if (config.architecture == "gpt2")
    return {{"model_type", "gpt2"},
            {"n_layer", config.layers},
            {"n_embd", config.width},
            {"n_head", config.heads},
            {"n_inner", config.hidden},
            {"n_positions", config.context},
            {"vocab_size", config.vocabulary},
            {"layer_norm_epsilon", config.layer_norm_epsilon},
            {"activation_function", io::name_of(config.nonlinearity)},
            {"scale_attn_weights", config.scale_attention},
            {"scale_attn_by_inverse_layer_idx", config.scale_attention_by_layer},
            {"tie_word_embeddings", tied_embeddings}};
  return {{"model_type", "gpt_neox"},
          {"num_hidden_layers", config.layers},
          {"hidden_size", config.width},
          {"num_attention_heads", config.heads},
          {"intermediate_size", config.hidden},
          {"max_position_embeddings", config.context},
          {"vocab_size", config.vocabulary},
          {"rotary_pct", static_cast<double>(config.rotary_channels) / static_cast<double>(config.head_width())},
          {"rotary_emb_base", config.rotary_base},
          {"use_parallel_residual", config.parallel_residual},
          {"layer_norm_eps", config.layer_norm_epsilon},
          {"hidden_act", io::name_of(config.nonlinearity)},
          {"attention_bias", style.attention_bias},
          {"tie_word_embeddings", tied_embeddings}};
}

/// The tensors of a folder by name.
template <weight_source<float> Source>
std::map<std::string, io::stored_tensor> stored_weights(const Source& source, const folder_style& style = {}) {
  const auto config = source.config();
  const bool neox = config.architecture == "gpt_neox";
  const auto head_width = config.head_width();
  std::map<std::string, io::stored_tensor> tensors;
  const auto put = [&](const std::string& name, const host_matrix<float>& matrix, bool vector = false) {
    const auto shape = vector ? std::vector{matrix.cols} : std::vector{matrix.rows, matrix.cols};
    const bool has_prefix = style.prefix and name != "lm_head.weight" and name != "embed_out.weight";
    tensors[(has_prefix ? neox ? "gpt_neox." : "transformer." : "") + name] = store_as(style.type, matrix, shape);
  };
  const auto put_norm = [&](const std::string& name, const layer_norm_weights<float>& norm) {
    put(name + ".weight", norm.gain, true);
    put(name + ".bias", norm.bias, true);
  };
  const auto put_linear = [&](const std::string& name, const linear_weights<float>& map, bool has_bias = true) {
    if (has_bias) put(name + ".bias", map.bias, true);
    if (not neox) return put(name + ".weight", map.weight);
    auto stored = host_matrix<float>(map.weight.cols, map.weight.rows);
    for (index_t out = 0; out < stored.rows; ++out)
      for (index_t in = 0; in < stored.cols; ++in) stored(out, in) = map.weight(in, out);
    put(name + ".weight", stored);
  };
  /// [q | k | v] -> per head its query, key and value, as `view(heads, 3 * head_size)` and `chunk(3)` expect them.
  const auto interleaved = [&](const host_matrix<float>& matrix) {
    auto result = matrix;
    for (index_t i = 0; i < matrix.rows; ++i)
      for (index_t head = 0; head < config.heads; ++head)
        for (index_t part = 0; part < 3; ++part)
          for (index_t channel = 0; channel < head_width; ++channel)
            result(i, head * 3 * head_width + part * head_width + channel) =
                matrix(i, part * config.width + head * head_width + channel);
    return result;
  };

  const auto outer = source.template outer<float>();
  const auto& unembedding = outer.unembedding.empty() ? outer.token_embedding : outer.unembedding;
  const bool has_unembedding = style.tied_copy or not outer.unembedding.empty();
  put(neox ? "embed_in.weight" : "wte.weight", outer.token_embedding);
  if (not neox) put("wpe.weight", outer.position_embedding);
  if (has_unembedding) put(neox ? "embed_out.weight" : "lm_head.weight", unembedding);
  put_norm(neox ? "final_layer_norm" : "ln_f", outer.norm_final);
  for (index_t layer = 0; layer < config.layers; ++layer) {
    const auto block = source.template block<float>(layer);
    const auto name = (neox ? "layers." : "h.") + std::to_string(layer) + ".";
    const auto mask = host_matrix<float>(config.context, config.context);
    put_norm(name + (neox ? "input_layernorm" : "ln_1"), block.norm_1);
    put_norm(name + (neox ? "post_attention_layernorm" : "ln_2"), block.norm_2);
    put_linear(name + (neox ? "mlp.dense_h_to_4h" : "mlp.c_fc"), block.mlp_in);
    put_linear(name + (neox ? "mlp.dense_4h_to_h" : "mlp.c_proj"), block.mlp_out);
    put_linear(name + (neox ? "attention.dense" : "attn.c_proj"), block.attn_out, style.attention_bias);
    if (neox) {
      const auto qkv = linear_weights<float>{interleaved(block.qkv.weight), interleaved(block.qkv.bias)};
      put_linear(name + "attention.query_key_value", qkv, style.attention_bias);
      if (style.buffers) put(name + "attention.rotary_emb.inv_freq", host_matrix<float>(1, 2), true);
    } else {
      put_linear(name + "attn.c_attn", block.qkv);
    }
    if (style.buffers)
      for (const auto buffer : {".bias", ".masked_bias"}) put(name + (neox ? "attention" : "attn") + buffer, mask);
  }
  return tensors;
}

/// Writes `config.json` and these tensors into an existing folder, in one file or in shards with their index.
inline void write_model_folder(const std::filesystem::path& folder, const io::json& config,
                               const std::map<std::string, io::stored_tensor>& tensors, int shards = 1) {
  io::write_file_atomically(folder / "config.json", config.dump(2));
  if (shards == 1) return io::write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  std::vector<std::map<std::string, io::stored_tensor>> parts(static_cast<std::size_t>(shards));
  io::json weight_map = io::json::object();
  const auto shard_name = [](std::size_t part) { return "model-" + std::to_string(part + 1) + ".safetensors"; };
  std::size_t next = 0;
  for (const auto& [name, tensor] : tensors) {
    parts[next][name] = tensor;
    weight_map[name] = shard_name(next);
    next = (next + 1) % parts.size();
  }
  for (std::size_t part = 0; part < parts.size(); ++part)
    io::write_safetensors(folder / shard_name(part), parts[part], {{"format", "pt"}});
  io::write_file_atomically(folder / "model.safetensors.index.json", io::json{{"weight_map", weight_map}}.dump());
}

/// Writes the model as a folder. `source.tied_embeddings()` is what `random_weights` knows.
template <weight_source<float> Source>
void write_model_folder(const std::filesystem::path& folder, const Source& source, const folder_style& style = {}) {
  write_model_folder(folder, stored_config(source.config(), source.tied_embeddings(), style),
                     stored_weights(source, style), style.shards);
}

}  // namespace trimtab::test
