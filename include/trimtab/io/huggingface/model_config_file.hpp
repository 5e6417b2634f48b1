// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/json/json.hpp>
#include <trimtab/model/config.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

/// Hugging Face's `config.json` as a `model_config`. Sizes are required; other entries default to those of `GPT2Config`
/// and `GPTNeoXConfig` of the transformers library. An option that would change the computation in an unsupported way
/// is refused, not ignored.

namespace trimtab::io {

/// What a model folder's `config.json` says: the model, and how its weights are stored.
struct model_config_file {
  model_config config = {};
  bool tied_embeddings = false;  ///< the unembedding is the token embedding
  bool attention_bias = true;    ///< the attention's linear maps have biases (GPT-NeoX only: may be false)
  json_entries entries = {};     ///< what of the file counts
};

namespace detail {

/// The names that transformers has for the nonlinearities, the usual one of each first.
inline constexpr std::pair<std::string_view, activation> activations[] = {
    {"gelu", activation::gelu_erf},
    {"gelu_python", activation::gelu_erf},
    {"gelu_new", activation::gelu_tanh},
    {"gelu_pytorch_tanh", activation::gelu_tanh},
    {"gelu_python_tanh", activation::gelu_tanh},
    {"gelu_accurate", activation::gelu_tanh},
    {"gelu_fast", activation::gelu_fast},
    {"quick_gelu", activation::quick_gelu},
    {"silu", activation::silu},
    {"swish", activation::silu},
    {"relu", activation::relu},
};

inline activation read_activation(const json_object& file, const std::string& key, const std::string& fallback) {
  const auto name = file.text(key, fallback);
  for (const auto& [known, function] : activations)
    if (name == known) return function;
  file.refuse(key, "one of " + text::joined(activations, ", ", [](const auto& a) { return a.first; }));
}

inline double read_epsilon(const json_object& file, const std::string& key) {
  const auto epsilon = file.number(key, 1e-5);
  if (not(epsilon >= 0 and epsilon <= 1)) file.refuse(key, "a number from 0 to 1");
  return epsilon;
}

inline void check_heads(const json_object& file, const model_config& config, const std::string& heads_key) {
  if (config.width % config.heads != 0)
    file.refuse(heads_key, "a divisor of the width " + std::to_string(config.width));
}

inline bool is_given(const json_object& file, const std::string& key) {
  return file.has(key) and not file.is_null(key);
}

/// Refuses what would change the computation of any family: classes of another one, whose names do not begin with
/// `classes`, attention to later tokens, and heads, layers or numbers that are not as the rest of the file says.
inline void check_computation(const json_object& file, const std::string& classes) {
  const auto belongs = [&](const json& name) {
    if (not name.is_string()) return false;
    auto text = name.get<std::string_view>();
    for (const std::string_view framework : {"TF", "Flax"})
      if (text.starts_with(framework)) text.remove_prefix(framework.size());
    return text.starts_with(classes);
  };
  if (is_given(file, "architectures")) {
    const auto& names = file.value().at("architectures");
    if (not names.is_array() or not std::ranges::all_of(names, belongs))
      file.refuse("architectures", "a list of classes whose names begin with " + classes + ", as \"model_type\" says");
  }
  if (not file.flag("is_causal", true)) file.refuse("is_causal", "true, the only supported value");
  for (const auto key : {"pruned_heads", "per_layer_config", "quantization_config"})
    if (is_given(file, key) and not file.value().at(key).empty())
      file.refuse(key, "absent, because it is not supported");
}

/// A size of GPT-2 under its own name or the one that transformers has for all families. Where both are given they must
/// agree, though transformers would follow the second.
inline index_t read_size(const json_object& file, const std::string& key, const std::string& general_key) {
  if (not file.has(general_key)) return file.count(key);
  const auto size = file.count(general_key);
  if (file.has(key) and file.count(key) != size)
    file.refuse(general_key, std::to_string(file.count(key)) + ", as \"" + key + "\" says");
  return size;
}

inline model_config_file read_gpt2_config(const json_object& file) {
  check_computation(file, "GPT2");
  if (file.flag("add_cross_attention", false)) file.refuse("add_cross_attention", "false, the only supported value");
  static_cast<void>(file.flag("reorder_and_upcast_attn", false));  // the same attention with scores in float32

  model_config config;
  config.architecture = "gpt2";
  config.layers = read_size(file, "n_layer", "num_hidden_layers");
  config.width = read_size(file, "n_embd", "hidden_size");
  config.heads = read_size(file, "n_head", "num_attention_heads");
  check_heads(file, config, file.has("n_head") ? "n_head" : "num_attention_heads");
  config.hidden = is_given(file, "n_inner") ? file.count("n_inner") : 4 * config.width;
  const bool older = file.has("n_ctx") and not file.has("n_positions") and not file.has("max_position_embeddings");
  config.context = older ? file.count("n_ctx") : read_size(file, "n_positions", "max_position_embeddings");
  config.vocabulary = file.count("vocab_size");
  config.layer_norm_epsilon = read_epsilon(file, "layer_norm_epsilon");
  config.nonlinearity = read_activation(file, "activation_function", "gelu_new");
  config.scale_attention = file.flag("scale_attn_weights", true);
  config.scale_attention_by_layer = file.flag("scale_attn_by_inverse_layer_idx", false);
  return {config, file.flag("tie_word_embeddings", true), true, {}};
}

/// Sets the number of rotary channels per head and the base of their frequencies. Newer files have both in
/// `rope_parameters`, or in `rope_scaling`, which transformers prefers; only plain rotary positions are supported.
inline void read_rotary(const json_object& file, model_config& config) {
  std::optional<json_object> rope;
  for (const auto place : {"rope_parameters", "rope_scaling"}) {
    if (not is_given(file, place)) continue;
    const auto given = file.object(place);
    for (const auto key : {"rope_type", "type"})
      if (given.text(key, "default") != "default") given.refuse(key, "\"default\", the only supported value");
    if (not given.value().empty()) rope = given;
  }

  // Each number has one name in the file and another one in the object that newer files have.
  struct named_number {
    const json_object& owner;
    std::string key;
    double value;
  };
  const auto read = [&](const std::string& key, const std::string& newer_key, double fallback) {
    const bool is_newer = rope and rope->has(newer_key);
    auto found = is_newer ? named_number{*rope, newer_key, rope->number(newer_key)}
                          : named_number{file, key, file.number(key, fallback)};
    if (file.number(newer_key, found.value) != found.value)
      file.refuse(newer_key, json(found.value).dump() +
                                 " or absent, because transformers does not read it outside of "
                                 "\"rope_parameters\"");
    return found;
  };
  const auto fraction = read("rotary_pct", "partial_rotary_factor", 0.25);
  const auto share = fraction.value;
  if (not(share > 0 and share <= 1)) fraction.owner.refuse(fraction.key, "a number above 0 and at most 1");
  config.rotary_channels = static_cast<index_t>(static_cast<double>(config.head_width()) * share);
  if (config.rotary_channels < 2 or config.rotary_channels % 2 != 0)
    fraction.owner.refuse(fraction.key, "a share that makes an even number of a head's " +
                                            std::to_string(config.head_width()) + " channels rotary, not " +
                                            std::to_string(config.rotary_channels));

  const auto base = read("rotary_emb_base", "rope_theta", 10000);
  config.rotary_base = base.value;
  if (not(config.rotary_base >= 1)) base.owner.refuse(base.key, "a number that is at least 1");

  // The tables of sines and cosines are as long as the context, and no weight confirms its size.
  constexpr index_t most = index_t{1} << 22;
  if (config.context > most / config.rotary_channels)
    file.refuse("max_position_embeddings", "at most " + std::to_string(most / config.rotary_channels) + " with " +
                                               std::to_string(config.rotary_channels) + " rotary channels");
}

inline model_config_file read_gpt_neox_config(const json_object& file) {
  check_computation(file, "GPTNeoX");
  model_config config;
  config.architecture = "gpt_neox";
  config.layers = file.count("num_hidden_layers");
  config.width = file.count("hidden_size");
  config.heads = file.count("num_attention_heads");
  check_heads(file, config, "num_attention_heads");
  if (is_given(file, "head_dim") and file.count("head_dim") != config.head_width())
    file.refuse("head_dim", std::to_string(config.head_width()) + ", the width by the number of heads");
  config.hidden = file.count("intermediate_size");
  config.context = file.count("max_position_embeddings");
  config.vocabulary = file.count("vocab_size");
  config.layer_norm_epsilon = read_epsilon(file, "layer_norm_eps");
  config.nonlinearity = read_activation(file, "hidden_act", "gelu");
  config.parallel_residual = file.flag("use_parallel_residual", true);
  read_rotary(file, config);
  return {config, file.flag("tie_word_embeddings", false), file.flag("attention_bias", true), {}};
}

}  // namespace detail

/// The usual name of a nonlinearity in `config.json`.
inline std::string_view name_of(activation function) {
  return std::ranges::find(detail::activations, function, [](const auto& a) { return a.second; })->first;
}

/// Reads `folder`/config.json. Throws `error(io)`, `error(bad_file)` or `error(bad_config)`.
inline model_config_file read_model_config_file(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  const auto file = json_object(read_json_file(path), path.string());
  const auto type = file.text("model_type");
  if (type != "gpt2" and type != "gpt_neox")
    file.refuse("model_type", "\"gpt2\" or \"gpt_neox\", the supported families");
  auto read = type == "gpt2" ? detail::read_gpt2_config(file) : detail::read_gpt_neox_config(file);
  read.entries = file.entries();
  return read;
}

inline model_config read_model_config(const std::filesystem::path& folder) {
  return read_model_config_file(folder).config;
}

}  // namespace trimtab::io
