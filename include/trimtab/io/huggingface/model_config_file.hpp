// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/json/json.hpp>
#include <trimtab/model/config.hpp>

#include <filesystem>
#include <initializer_list>
#include <string>

/// Hugging Face's `config.json` as a `model_config`. Sizes are required; other entries default to those of `GPT2Config`
/// and `GPTNeoXConfig` of the transformers library. An option that would change the computation in an unsupported way
/// is refused, not ignored.

namespace trimtab::io {

/// What a model folder's `config.json` says: the model, and how its weights are stored.
struct model_config_file {
  model_config config = {};
  bool tied_embeddings = false;  ///< the unembedding is the token embedding
  bool attention_bias = true;    ///< the attention's linear maps have biases (GPT-NeoX only: may be false)
};

namespace detail {

inline activation read_activation(const json_object& file, const std::string& key, const std::string& fallback) {
  const auto name = file.text(key, fallback);
  // gelu_fast is the tanh formula with sqrt(2 / pi) written to ten digits.
  if (name == "gelu_new" or name == "gelu_pytorch_tanh" or name == "gelu_fast") return activation::gelu_tanh;
  if (name == "gelu") return activation::gelu_erf;
  file.refuse(key, "one of gelu, gelu_new, gelu_pytorch_tanh, gelu_fast");
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

inline model_config_file read_gpt2_config(const json_object& file) {
  if (not file.flag("scale_attn_weights", true)) file.refuse("scale_attn_weights", "true, the only supported value");
  for (const auto key : {"scale_attn_by_inverse_layer_idx", "add_cross_attention"})
    if (file.flag(key, false)) file.refuse(key, "false, the only supported value");

  model_config config;
  config.architecture = "gpt2";
  config.layers = file.count("n_layer");
  config.width = file.count("n_embd");
  config.heads = file.count("n_head");
  check_heads(file, config, "n_head");
  config.hidden = not file.has("n_inner") or file.is_null("n_inner") ? 4 * config.width : file.count("n_inner");
  config.context = file.count(file.has("n_positions") or not file.has("n_ctx") ? "n_positions" : "n_ctx");
  config.vocabulary = file.count("vocab_size");
  config.layer_norm_epsilon = read_epsilon(file, "layer_norm_epsilon");
  config.nonlinearity = read_activation(file, "activation_function", "gelu_new");
  return {config, file.flag("tie_word_embeddings", true), true};
}

/// Sets the number of rotary channels per head and the base of their frequencies. Newer files have both in
/// `rope_parameters`; only plain rotary positions are supported, neither `rope_scaling` nor other types.
inline void read_rotary(const json_object& file, model_config& config) {
  const auto refuse_scaling = [](const json_object& rope) {
    for (const auto key : {"rope_type", "type"})
      if (rope.text(key, "default") != "default") rope.refuse(key, "\"default\", the only supported value");
  };
  if (file.has("rope_scaling") and not file.is_null("rope_scaling")) refuse_scaling(file.object("rope_scaling"));
  const bool newer = file.has("rope_parameters") and not file.is_null("rope_parameters");
  const auto rope = newer ? file.object("rope_parameters") : file;
  if (newer) refuse_scaling(rope);

  // A number's object, and the first of its possible keys that exists.
  struct named_number {
    const json_object& owner;
    std::string key;
  };
  const auto find = [&](std::initializer_list<const char*> keys) {
    for (const auto* owner : {&rope, &file})
      for (const auto key : keys)
        if (owner->has(key)) return named_number{*owner, key};
    return named_number{file, *keys.begin()};
  };
  const auto fraction = find({"rotary_pct", "partial_rotary_factor"});
  const auto share = fraction.owner.number(fraction.key, 0.25);
  if (not(share > 0 and share <= 1)) fraction.owner.refuse(fraction.key, "a number above 0 and at most 1");
  config.rotary_channels = static_cast<index_t>(static_cast<double>(config.head_width()) * share);
  if (config.rotary_channels < 2 or config.rotary_channels % 2 != 0)
    fraction.owner.refuse(fraction.key, "a share that makes an even number of a head's " +
                                            std::to_string(config.head_width()) + " channels rotary, not " +
                                            std::to_string(config.rotary_channels));

  const auto base = find({"rotary_emb_base", "rope_theta"});
  config.rotary_base = base.owner.number(base.key, 10000);
  if (not(config.rotary_base >= 1)) base.owner.refuse(base.key, "a number that is at least 1");

  // The tables of sines and cosines are as long as the context, and no weight confirms its size.
  constexpr index_t most = index_t{1} << 22;
  if (config.context > most / config.rotary_channels)
    file.refuse("max_position_embeddings", "at most " + std::to_string(most / config.rotary_channels) + " with " +
                                               std::to_string(config.rotary_channels) + " rotary channels");
}

inline model_config_file read_gpt_neox_config(const json_object& file) {
  model_config config;
  config.architecture = "gpt_neox";
  config.layers = file.count("num_hidden_layers");
  config.width = file.count("hidden_size");
  config.heads = file.count("num_attention_heads");
  check_heads(file, config, "num_attention_heads");
  config.hidden = file.count("intermediate_size");
  config.context = file.count("max_position_embeddings");
  config.vocabulary = file.count("vocab_size");
  config.layer_norm_epsilon = read_epsilon(file, "layer_norm_eps");
  config.nonlinearity = read_activation(file, "hidden_act", "gelu");
  config.parallel_residual = file.flag("use_parallel_residual", true);
  read_rotary(file, config);
  return {config, file.flag("tie_word_embeddings", false), file.flag("attention_bias", true)};
}

}  // namespace detail

/// Reads `folder`/config.json. Throws `error(io)`, `error(bad_file)` or `error(bad_config)`.
inline model_config_file read_model_config_file(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  const auto file = json_object(read_json_file(path), path.string());
  const auto type = file.text("model_type");
  if (type == "gpt2") return detail::read_gpt2_config(file);
  if (type == "gpt_neox") return detail::read_gpt_neox_config(file);
  file.refuse("model_type", "\"gpt2\" or \"gpt_neox\", the supported families");
}

inline model_config read_model_config(const std::filesystem::path& folder) {
  return read_model_config_file(folder).config;
}

}  // namespace trimtab::io
