// SPDX-License-Identifier: Apache-2.0

#include "bad_input.hpp"

namespace trimtab::test::bad_config_tests {

namespace {

/// A change of config.json ("-key" removes a key), and the words that the error must contain.
struct change_row {
  io::json change;
  std::string sentence;
};

void check_changes(const model_for_cli& model, const std::vector<change_row>& table) {
  const std::vector<std::string> logits = {"logits", "--model", model.path(), "--ids", "1,2"};
  check_accepted(logits);
  const auto file = model.name("config.json");
  const auto good = io::json::parse(content_of(file));
  for (const auto& row : table) {
    auto changed = good;
    for (const auto& [key, value] : row.change.items())
      if (key.starts_with('-'))
        REQUIRE(changed.erase(key.substr(1)) == 1);
      else
        changed[key] = value;
    const file_with bad(file, changed.dump());
    check_refused(logits, {model.path(), row.sentence});
  }
}

}  // namespace

TEST_CASE("Bad configurations of GPT-2") {
  const model_for_cli model;
  const std::vector<change_row> table = {
      {{{"-model_type", 0}}, "config.json' lacks \"model_type\", which should be a string"},
      {{{"model_type", "llama"}},
       "\"model_type\" should be \"gpt2\" or \"gpt_neox\", the supported families, found \"llama\""},
      {{{"model_type", 2}}, "\"model_type\" should be a string, found 2"},
      {{{"-n_layer", 0}}, "lacks \"n_layer\", which should be a positive whole number"},
      {{{"-n_embd", 0}}, "lacks \"n_embd\", which should be a positive whole number"},
      {{{"-n_head", 0}}, "lacks \"n_head\", which should be a positive whole number"},
      {{{"-n_positions", 0}}, "lacks \"n_positions\", which should be a positive whole number"},
      {{{"-vocab_size", 0}}, "lacks \"vocab_size\", which should be a positive whole number"},
      {{{"n_layer", 0}}, "\"n_layer\" should be a positive whole number, found 0"},
      {{{"n_layer", -1}}, "\"n_layer\" should be a positive whole number, found -1"},
      {{{"n_layer", 1.5}}, "\"n_layer\" should be a positive whole number, found 1.5"},
      {{{"n_layer", 2.0}}, "\"n_layer\" should be a positive whole number, found 2.0"},
      {{{"n_layer", "2"}}, "\"n_layer\" should be a positive whole number, found \"2\""},
      {{{"n_layer", nullptr}}, "\"n_layer\" should be a positive whole number, found null"},
      {{{"n_layer", {2}}}, "\"n_layer\" should be a positive whole number, found [2]"},
      {{{"n_layer", true}}, "\"n_layer\" should be a positive whole number, found true"},
      {{{"n_layer", 2147483648}}, "\"n_layer\" should be a whole number below 2^31, found 2147483648"},
      {{{"n_layer", 18446744073709551615u}}, "\"n_layer\" should be a whole number below 2^31"},
      {{{"n_layer", 1e300}}, "\"n_layer\" should be a positive whole number, found 1e+300"},
      {{{"n_layer", 2147483647}}, "'h.2.ln_1.weight' is missing"},
      {{{"n_layer", 1}}, "'transformer.h.1.attn.c_attn.bias' is unexpected"},
      {{{"n_embd", 4294967296}}, "\"n_embd\" should be a whole number below 2^31, found 4294967296"},
      {{{"n_embd", 2147483646}}, "instead of [300, 2147483646]"},
      {{{"n_head", 3}}, "\"n_head\" should be a divisor of the width 16, found 3"},
      {{{"n_head", 32}}, "\"n_head\" should be a divisor of the width 16, found 32"},
      {{{"n_inner", 0}}, "\"n_inner\" should be a positive whole number, found 0"},
      {{{"n_inner", nullptr}}, "'h.0.mlp.c_fc.weight' has the shape [16, 24] instead of [16, 64]"},
      {{{"n_inner", 25}}, "'h.0.mlp.c_fc.weight' has the shape [16, 24] instead of [16, 25]"},
      {{{"n_positions", 13}}, "'wpe.weight' has the shape [12, 16] instead of [13, 16]"},
      {{{"vocab_size", 301}}, "'wte.weight' has the shape [300, 16] instead of [301, 16]"},
      {{{"layer_norm_epsilon", -1e-5}}, "\"layer_norm_epsilon\" should be a number from 0 to 1, found -1e-05"},
      {{{"layer_norm_epsilon", 1e39}}, "\"layer_norm_epsilon\" should be a number from 0 to 1, found 1e+39"},
      {{{"layer_norm_epsilon", "1e-5"}}, "\"layer_norm_epsilon\" should be a number, found \"1e-5\""},
      {{{"activation_function", "mish"}},
       "\"activation_function\" should be one of gelu, gelu_python, gelu_new, gelu_pytorch_tanh, gelu_python_tanh, "
       "gelu_accurate, gelu_fast, quick_gelu, silu, swish, relu, found \"mish\""},
      {{{"scale_attn_weights", nullptr}}, "\"scale_attn_weights\" should be true or false, found null"},
      {{{"scale_attn_by_inverse_layer_idx", 1}},
       "\"scale_attn_by_inverse_layer_idx\" should be true or false, found 1"},
      {{{"reorder_and_upcast_attn", "no"}}, "\"reorder_and_upcast_attn\" should be true or false, found \"no\""},
      {{{"hidden_size", 32}}, "\"hidden_size\" should be 16, as \"n_embd\" says, found 32"},
      {{{"num_hidden_layers", 3}}, "\"num_hidden_layers\" should be 2, as \"n_layer\" says, found 3"},
      {{{"num_attention_heads", "2"}}, "\"num_attention_heads\" should be a positive whole number, found \"2\""},
      {{{"max_position_embeddings", 13}},
       "\"max_position_embeddings\" should be 12, as \"n_positions\" says, found 13"},
      {{{"architectures", {"GPTNeoXForCausalLM"}}},
       "\"architectures\" should be a list of classes whose names begin with GPT2, as \"model_type\" says, found "
       "[\"GPTNeoXForCausalLM\"]"},
      {{{"architectures", "GPT2LMHeadModel"}}, "whose names begin with GPT2"},
      {{{"architectures", {1}}}, "whose names begin with GPT2"},
      {{{"is_causal", false}}, "\"is_causal\" should be true, the only supported value, found false"},
      {{{"pruned_heads", {{"1", {0}}}}}, "\"pruned_heads\" should be absent, because it is not supported, found "},
      {{{"per_layer_config", {{"1", {{"n_inner", 8}}}}}}, "\"per_layer_config\" should be absent"},
      {{{"quantization_config", {{"quant_method", "gptq"}}}}, "\"quantization_config\" should be absent"},
      {{{"add_cross_attention", true}}, "\"add_cross_attention\" should be false"},
      {{{"tie_word_embeddings", 1}}, "\"tie_word_embeddings\" should be true or false, found 1"},
      {{{"tie_word_embeddings", false}}, "'lm_head.weight' is missing"},
  };
  check_changes(model, table);
}

TEST_CASE("Bad configurations of GPT-NeoX") {
  const model_for_cli model(true);
  const std::vector<change_row> table = {
      {{{"-num_hidden_layers", 0}}, "lacks \"num_hidden_layers\""},
      {{{"-intermediate_size", 0}}, "lacks \"intermediate_size\""},
      {{{"-max_position_embeddings", 0}}, "lacks \"max_position_embeddings\""},
      {{{"num_attention_heads", 5}}, "\"num_attention_heads\" should be a divisor of the width 16, found 5"},
      {{{"hidden_act", "tanh"}}, "\"hidden_act\" should be one of gelu, "},
      {{{"layer_norm_eps", -1}}, "\"layer_norm_eps\" should be a number from 0 to 1, found -1"},
      {{{"rotary_pct", 0}}, "\"rotary_pct\" should be a number above 0 and at most 1, found 0"},
      {{{"rotary_pct", 1.5}}, "\"rotary_pct\" should be a number above 0 and at most 1, found 1.5"},
      {{{"rotary_pct", 0.4}},
       "\"rotary_pct\" should be a share that makes an even number of a head's 8 channels rotary, not 3"},
      {{{"rotary_pct", 0.01}}, "an even number of a head's 8 channels rotary, not 0"},
      {{{"rotary_pct", nullptr}}, "\"rotary_pct\" should be a number, found null"},
      {{{"rotary_emb_base", 0}}, "\"rotary_emb_base\" should be a number that is at least 1, found 0"},
      {{{"rotary_emb_base", 1e-300}}, "\"rotary_emb_base\" should be a number that is at least 1, found 1e-300"},
      {{{"rope_scaling", {{"type", "linear"}, {"factor", 2}}}},
       "\"type\" should be \"default\", the only supported value"},
      {{{"head_dim", 4}}, "\"head_dim\" should be 8, the width by the number of heads, found 4"},
      {{{"architectures", {"GPTNeoXForCausalLM", "GPT2Model"}}}, "whose names begin with GPTNeoX, as"},
      {{{"rope_scaling", 2}}, "\"rope_scaling\" should be an object, found 2"},
      {{{"rope_parameters", {{"rope_type", "yarn"}}}}, "\"rope_type\" should be \"default\""},
      {{{"use_parallel_residual", nullptr}}, "\"use_parallel_residual\" should be true or false, found null"},
      {{{"attention_bias", "no"}}, "\"attention_bias\" should be true or false, found \"no\""},
      {{{"attention_bias", false}}, "is unexpected"},
      {{{"tie_word_embeddings", true}}, "an 'embed_out.weight' that differs from 'embed_in.weight'"},
      {{{"max_position_embeddings", 2147483647}}, "\"max_position_embeddings\" should be at most 1048576 with 4"},
      {{{"vocab_size", 299}}, "'embed_in.weight' has the shape [300, 16] instead of [299, 16]"},
  };
  check_changes(model, table);
}

TEST_CASE("Files that are no configuration") {
  const model_for_cli model;
  const auto file = std::filesystem::path(model.name("config.json"));
  const std::pair<std::string, std::string> table[] = {
      {"", "is not valid JSON: parse error at line 1, column 1"},
      {"{", "is not valid JSON: parse error at line 1, column 2"},
      {"[]", "should hold a JSON object, found []"},
      {"null", "should hold a JSON object, found null"},
      {"{\"n_layer\": 1,\n \"n_layer\": 1}", "is not valid JSON: the key \"n_layer\" occurs twice in one object"},
      {"{\"model_type\": \"gpt2\",}", "is not valid JSON: parse error at line 1, column 23"},
      {"{\"model_type\": NaN}", "is not valid JSON: parse error at line 1, column 16"},
      {"{'model_type': 'gpt2'}", "is not valid JSON: parse error at line 1, column 2"},
      {"{\"model_type\": \"\xc3\x28\"}", "ill-formed UTF-8"},
      {std::string("{\0}", 3), "byte 1 is NUL"},
      {"\xff\xfe{\0}", "is not valid JSON"},
      {std::string(1'000'000, '['), "it is nested deeper than 64 levels"},
  };
  for (const auto& [content, sentence] : table) {
    const file_with bad(file, content);
    check_refused({"logits", "--model", model.path(), "--ids", "1"}, {"config.json'", sentence});
  }
  std::filesystem::remove(file);
  check_refused({"inspect", model.path()}, {"config.json': No such file"});
  std::filesystem::create_directory(file);
  check_refused({"inspect", model.path()}, {"config.json' is a folder where a file was expected"});
}

}  // namespace trimtab::test::bad_config_tests
