// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/huggingface/model_config_file.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

namespace trimtab::test::model_config_file_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

const io::json gpt2_file = {{"model_type", "gpt2"}, {"n_layer", 12}, {"n_embd", 768},      {"n_head", 12},
                            {"n_positions", 1024},  {"n_ctx", 1024}, {"vocab_size", 50257}};
const io::json pythia_file = {
    {"model_type", "gpt_neox"},  {"num_hidden_layers", 6},          {"hidden_size", 512}, {"num_attention_heads", 8},
    {"intermediate_size", 2048}, {"max_position_embeddings", 2048}, {"vocab_size", 50304}};

/// `base` with these entries changed; an entry "-key" with the value null removes the key.
io::json changed(io::json base, const io::json& changes) {
  for (const auto& [key, value] : changes.items())
    if (key.starts_with('-')) {
      base.erase(key.substr(1));
    } else {
      base[key] = value;
    }
  return base;
}

io::model_config_file read(const io::json& config) {
  const auto folder = temporary_folder();
  folder.file("config.json", config.dump());
  return io::read_model_config_file(folder.path());
}

}  // namespace

TEST_CASE("GPT-2's config.json, with the defaults of the transformers library") {
  const auto file = read(gpt2_file);
  CHECK(file.config == model_config{.architecture = "gpt2",
                                    .layers = 12,
                                    .width = 768,
                                    .heads = 12,
                                    .hidden = 3072,
                                    .context = 1024,
                                    .vocabulary = 50257,
                                    .rotary_channels = 0,
                                    .rotary_base = 10000,
                                    .layer_norm_epsilon = 1e-5,
                                    .nonlinearity = activation::gelu_tanh,
                                    .parallel_residual = false,
                                    .scale_attention = true,
                                    .scale_attention_by_layer = false});
  CHECK(file.tied_embeddings);
  CHECK(read(changed(gpt2_file, {{"n_inner", nullptr}})).config.hidden == 3072);
  CHECK(read(changed(gpt2_file, {{"n_inner", 100}})).config.hidden == 100);
  CHECK(read(changed(gpt2_file, {{"-n_positions", 0}, {"n_ctx", 11}})).config.context == 11);
  CHECK(read(changed(gpt2_file, {{"n_positions", 12}, {"n_ctx", 11}})).config.context == 12);
  CHECK(read(changed(gpt2_file, {{"layer_norm_epsilon", 0}})).config.layer_norm_epsilon == 0);
  CHECK_FALSE(read(changed(gpt2_file, {{"scale_attn_weights", false}})).config.scale_attention);
  CHECK(read(changed(gpt2_file, {{"scale_attn_by_inverse_layer_idx", true}})).config.scale_attention_by_layer);
  for (const bool upcast : {true, false})
    CHECK(read(changed(gpt2_file, {{"reorder_and_upcast_attn", upcast}})).config == file.config);
  CHECK_FALSE(read(changed(gpt2_file, {{"tie_word_embeddings", false}})).tied_embeddings);
}

TEST_CASE("The nonlinearity has the names that the transformers library knows") {
  const std::pair<std::string, activation> table[] = {
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
  for (const auto& [name, function] : table) {
    CAPTURE(name);
    CHECK(read(changed(gpt2_file, {{"activation_function", name}})).config.nonlinearity == function);
    CHECK(read(changed(pythia_file, {{"hidden_act", name}})).config.nonlinearity == function);
  }
  CHECK(io::name_of(activation::gelu_tanh) == "gelu_new");
  CHECK(io::name_of(activation::silu) == "silu");
}

TEST_CASE("GPT-2's sizes may have the names that the transformers library has for all families") {
  const io::json general = {
      {"-n_layer", 0}, {"num_hidden_layers", 12},   {"-n_embd", 0},      {"hidden_size", 768},
      {"-n_head", 0},  {"num_attention_heads", 12}, {"-n_positions", 0}, {"max_position_embeddings", 1024}};
  const auto config = read(gpt2_file).config;
  CHECK(read(changed(gpt2_file, general)).config == config);
  auto both = changed(gpt2_file, general);
  both.update(gpt2_file);
  CHECK(read(both).config == config);
}

TEST_CASE("Classes of the model's own family are accepted") {
  const auto config = read(gpt2_file).config;
  for (const io::json& classes :
       {io::json(nullptr), io::json::array(), io::json{"GPT2Model"},
        io::json{"GPT2LMHeadModel", "GPT2DoubleHeadsModel"}, io::json{"GPT2ForSequenceClassification"},
        io::json{"GPT2LMAndValueHeadModel"}, io::json{"TFGPT2LMHeadModel"}, io::json{"FlaxGPT2LMHeadModel"}})
    CHECK(read(changed(gpt2_file, {{"architectures", classes}})).config == config);
  for (const auto name : {"GPTNeoXModel", "GPTNeoXForCausalLM", "GPTNeoXForTokenClassification"})
    CHECK(read(changed(pythia_file, {{"architectures", {name}}})).config == read(pythia_file).config);
}

TEST_CASE("Entries that say what is so anyway are accepted") {
  const io::json harmless[] = {{{"is_causal", true}},
                               {{"pruned_heads", io::json::object()}},
                               {{"per_layer_config", nullptr}},
                               {{"quantization_config", nullptr}}};
  for (const auto& entry : harmless) {
    CHECK(read(changed(gpt2_file, entry)).config == read(gpt2_file).config);
    CHECK(read(changed(pythia_file, entry)).config == read(pythia_file).config);
  }
  for (const io::json& width : {io::json(64), io::json(nullptr)})
    CHECK(read(changed(pythia_file, {{"head_dim", width}})).config == read(pythia_file).config);
}

TEST_CASE("Pythia's config.json, with the defaults of the transformers library") {
  const auto file = read(pythia_file);
  CHECK(file.config == model_config{.architecture = "gpt_neox",
                                    .layers = 6,
                                    .width = 512,
                                    .heads = 8,
                                    .hidden = 2048,
                                    .context = 2048,
                                    .vocabulary = 50304,
                                    .rotary_channels = 16,
                                    .rotary_base = 10000,
                                    .layer_norm_epsilon = 1e-5,
                                    .nonlinearity = activation::gelu_erf,
                                    .parallel_residual = true,
                                    .scale_attention = true,
                                    .scale_attention_by_layer = false});
  CHECK_FALSE(file.tied_embeddings);
  CHECK(file.attention_bias);
  CHECK_FALSE(read(changed(pythia_file, {{"use_parallel_residual", false}})).config.parallel_residual);
  CHECK_FALSE(read(changed(pythia_file, {{"attention_bias", false}})).attention_bias);
  CHECK(read(changed(pythia_file, {{"tie_word_embeddings", true}})).tied_embeddings);
  CHECK(read(changed(pythia_file, {{"layer_norm_eps", 1e-12}})).config.layer_norm_epsilon == 1e-12);

  const auto rotary = [](const io::json& changes) {
    const auto config = read(changed(pythia_file, changes)).config;
    return std::pair(config.rotary_channels, config.rotary_base);
  };
  CHECK(rotary({{"rotary_pct", 1.0}, {"rotary_emb_base", 500}}) == std::pair(index_t{64}, 500.0));
  CHECK(rotary({{"rotary_pct", 0.35}}).first == 22);  // int(22.4)
  CHECK(rotary({{"partial_rotary_factor", 0.25}, {"rope_theta", 10000}}) == std::pair(index_t{16}, 10000.0));
  CHECK(rotary({{"rope_scaling", nullptr}}).first == 16);
  CHECK(rotary({{"rope_scaling", {{"rope_type", "default"}}}}).first == 16);
  CHECK(rotary(
            {{"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}, {"rope_theta", 20000}}}}) ==
        std::pair(index_t{32}, 20000.0));
  CHECK(rotary({{"rope_parameters", {{"rope_theta", 3}}}, {"rope_theta", 3}, {"rotary_pct", 1}}) ==
        std::pair(index_t{64}, 3.0));
  CHECK(rotary({{"rope_scaling", {{"rope_theta", 500}}}, {"rope_parameters", {{"rope_theta", 3}}}}).second == 500);
  CHECK(rotary({{"rope_scaling", io::json::object()}, {"rope_parameters", {{"rope_theta", 3}}}}).second == 3);
}

TEST_CASE("A config.json that says something wrong or unknown is refused with file and key") {
  struct {
    io::json config;
    std::string sentence;
  } const table[] = {
      {io::json::array(), "should hold a JSON object, found []"},
      {changed(gpt2_file, {{"-model_type", 0}}), "lacks \"model_type\", which should be a string"},
      {changed(gpt2_file, {{"model_type", "llama"}}),
       "\"model_type\" should be \"gpt2\" or \"gpt_neox\", the supported families, found \"llama\""},
      {changed(gpt2_file, {{"model_type", 2}}), "\"model_type\" should be a string, found 2"},
      {changed(gpt2_file, {{"-n_layer", 0}}), "lacks \"n_layer\", which should be a positive whole number"},
      {changed(gpt2_file, {{"-n_embd", 0}}), "lacks \"n_embd\""},
      {changed(gpt2_file, {{"-n_head", 0}}), "lacks \"n_head\""},
      {changed(gpt2_file, {{"-vocab_size", 0}}), "lacks \"vocab_size\""},
      {changed(gpt2_file, {{"-n_positions", 0}, {"-n_ctx", 0}}), "lacks \"n_positions\""},
      {changed(gpt2_file, {{"n_layer", 0}}), "\"n_layer\" should be a positive whole number, found 0"},
      {changed(gpt2_file, {{"n_layer", -1}}), "\"n_layer\" should be a positive whole number, found -1"},
      {changed(gpt2_file, {{"n_layer", 1.5}}), "\"n_layer\" should be a positive whole number, found 1.5"},
      {changed(gpt2_file, {{"n_layer", "12"}}), "\"n_layer\" should be a positive whole number, found \"12\""},
      {changed(gpt2_file, {{"n_layer", nullptr}}), "\"n_layer\" should be a positive whole number, found null"},
      {changed(gpt2_file, {{"n_embd", 4294967296}}),
       "\"n_embd\" should be a whole number below 2^31, found 4294967296"},
      {changed(gpt2_file, {{"n_head", 7}}), "\"n_head\" should be a divisor of the width 768, found 7"},
      {changed(gpt2_file, {{"n_head", 1536}}), "\"n_head\" should be a divisor of the width 768, found 1536"},
      {changed(gpt2_file, {{"n_inner", 0}}), "\"n_inner\" should be a positive whole number, found 0"},
      {changed(gpt2_file, {{"layer_norm_epsilon", -1e-5}}),
       "\"layer_norm_epsilon\" should be a number from 0 to 1, found -1e-05"},
      {changed(gpt2_file, {{"layer_norm_epsilon", 1e39}}),
       "\"layer_norm_epsilon\" should be a number from 0 to 1, found 1e+39"},
      {changed(gpt2_file, {{"layer_norm_epsilon", "1e-5"}}),
       "\"layer_norm_epsilon\" should be a number, found \"1e-5\""},
      {changed(gpt2_file, {{"activation_function", "mish"}}),
       "\"activation_function\" should be one of gelu, gelu_python, gelu_new, gelu_pytorch_tanh, gelu_python_tanh, "
       "gelu_accurate, gelu_fast, quick_gelu, silu, swish, relu, found \"mish\""},
      {changed(gpt2_file, {{"scale_attn_weights", 1}}), "\"scale_attn_weights\" should be true or false, found 1"},
      {changed(gpt2_file, {{"scale_attn_by_inverse_layer_idx", "no"}}),
       "\"scale_attn_by_inverse_layer_idx\" should be true or false, found \"no\""},
      {changed(gpt2_file, {{"reorder_and_upcast_attn", 0}}),
       "\"reorder_and_upcast_attn\" should be true or false, found 0"},
      {changed(gpt2_file, {{"num_hidden_layers", 6}}),
       "\"num_hidden_layers\" should be 12, as \"n_layer\" says, found 6"},
      {changed(gpt2_file, {{"hidden_size", 1024}}), "\"hidden_size\" should be 768, as \"n_embd\" says, found 1024"},
      {changed(gpt2_file, {{"num_attention_heads", 8}}),
       "\"num_attention_heads\" should be 12, as \"n_head\" says, found 8"},
      {changed(gpt2_file, {{"max_position_embeddings", 512}}),
       "\"max_position_embeddings\" should be 1024, as \"n_positions\" says, found 512"},
      {changed(gpt2_file, {{"-n_head", 0}, {"num_attention_heads", 7}}),
       "\"num_attention_heads\" should be a divisor of the width 768, found 7"},
      {changed(gpt2_file, {{"hidden_size", nullptr}}), "\"hidden_size\" should be a positive whole number, found null"},
      {changed(gpt2_file, {{"architectures", {"GPTNeoXForCausalLM"}}}),
       "\"architectures\" should be a list of classes whose names begin with GPT2, as \"model_type\" says, found "
       "[\"GPTNeoXForCausalLM\"]"},
      {changed(gpt2_file, {{"architectures", {"GPT2LMHeadModel", "LlamaForCausalLM"}}}), "begin with GPT2"},
      {changed(gpt2_file, {{"architectures", {"GPT2LMHeadModel", 2}}}), "begin with GPT2"},
      {changed(gpt2_file, {{"architectures", "GPT2LMHeadModel"}}), "begin with GPT2"},
      {changed(gpt2_file, {{"is_causal", false}}), "\"is_causal\" should be true, the only supported value"},
      {changed(gpt2_file, {{"pruned_heads", {{"0", {1}}}}}),
       "\"pruned_heads\" should be absent, because it is not supported, found {\"0\":[1]}"},
      {changed(pythia_file, {{"per_layer_config", {{"0", {{"hidden_act", "relu"}}}}}}),
       "\"per_layer_config\" should be absent"},
      {changed(pythia_file, {{"quantization_config", {{"quant_method", "gptq"}}}}),
       "\"quantization_config\" should be absent"},
      {changed(pythia_file, {{"architectures", {"GPT2LMHeadModel"}}}), "begin with GPTNeoX"},
      {changed(pythia_file, {{"is_causal", false}}), "\"is_causal\" should be true"},
      {changed(pythia_file, {{"head_dim", 32}}),
       "\"head_dim\" should be 64, the width by the number of heads, found 32"},
      {changed(gpt2_file, {{"add_cross_attention", true}}), "\"add_cross_attention\" should be false"},
      {changed(gpt2_file, {{"tie_word_embeddings", 1}}), "\"tie_word_embeddings\" should be true or false, found 1"},
      {changed(pythia_file, {{"-intermediate_size", 0}}), "lacks \"intermediate_size\""},
      {changed(pythia_file, {{"-max_position_embeddings", 0}}), "lacks \"max_position_embeddings\""},
      {changed(pythia_file, {{"num_attention_heads", 5}}),
       "\"num_attention_heads\" should be a divisor of the width 512, found 5"},
      {changed(pythia_file, {{"hidden_act", "tanh"}}), "\"hidden_act\" should be one of gelu, "},
      {changed(pythia_file, {{"layer_norm_eps", -1}}), "\"layer_norm_eps\" should be a number from 0 to 1, found -1"},
      {changed(pythia_file, {{"rotary_pct", 0}}), "\"rotary_pct\" should be a number above 0 and at most 1, found 0"},
      {changed(pythia_file, {{"rotary_pct", 1.5}}),
       "\"rotary_pct\" should be a number above 0 and at most 1, found 1.5"},
      {changed(pythia_file, {{"rotary_pct", 0.08}}),
       "an even number of a head's 64 channels rotary, not 5, found 0.08"},
      {changed(pythia_file, {{"rotary_pct", 0.001}}), "an even number of a head's 64 channels rotary, not 0"},
      {changed(pythia_file, {{"num_attention_heads", 128}}), "channels rotary, not 1, found nothing"},
      {changed(pythia_file, {{"rotary_emb_base", 0}}),
       "\"rotary_emb_base\" should be a number that is at least 1, found 0"},
      {changed(pythia_file, {{"rope_theta", 7.5}}), "\"rope_theta\" should be 10000.0 or absent, because transformers"},
      {changed(pythia_file, {{"partial_rotary_factor", 0.5}}), "\"partial_rotary_factor\" should be 0.25 or absent"},
      {changed(pythia_file, {{"max_position_embeddings", 2147483647}}),
       "\"max_position_embeddings\" should be at most 262144 with 16 rotary channels, found 2147483647"},
      {changed(pythia_file, {{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}}),
       "\"type\" should be \"default\", the only supported value, found \"linear\""},
      {changed(pythia_file, {{"rope_scaling", 2}}), "\"rope_scaling\" should be an object, found 2"},
      {changed(pythia_file, {{"rope_parameters", {{"rope_type", "yarn"}}}}), "\"rope_type\" should be \"default\""},
      {changed(pythia_file, {{"use_parallel_residual", nullptr}}),
       "\"use_parallel_residual\" should be true or false, found null"},
  };
  for (const auto& row : table) {
    const auto said = refusal(error_kind::bad_config, [&] { read(row.config); });
    CHECK_THAT(said, ContainsSubstring("config.json'"));
    CHECK_THAT(said, ContainsSubstring(row.sentence));
  }
  CHECK_THAT(refusal(error_kind::io, [] { io::read_model_config("/nowhere"); }),
             ContainsSubstring("/nowhere/config.json"));
  const auto folder = temporary_folder();
  folder.file("config.json", "{\"model_type\": ");
  CHECK_THAT(refusal(error_kind::bad_file, [&] { io::read_model_config(folder.path()); }),
             ContainsSubstring("not valid JSON"));
}

}  // namespace trimtab::test::model_config_file_tests
