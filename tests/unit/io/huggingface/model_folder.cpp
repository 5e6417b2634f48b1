// SPDX-License-Identifier: Apache-2.0

#include <trimtab/check/dual.hpp>
#include <trimtab/io/huggingface/model_folder.hpp>

#include "support/assets.hpp"
#include "support/catch.hpp"
#include "support/random_weights.hpp"
#include "support/refusal.hpp"
#include "support/stored_model.hpp"
#include "support/temporary_folder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace trimtab::test::model_folder_tests {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

// Odd sizes, all different, so that no two axes can be confused; larger than one 32 x 32 square of the transposition.
const model_config small_gpt2 = {.architecture = "gpt2",
                                 .layers = 2,
                                 .width = 36,
                                 .heads = 3,
                                 .hidden = 70,
                                 .context = 7,
                                 .vocabulary = 19,
                                 .nonlinearity = activation::relu,
                                 .scale_attention = false,
                                 .scale_attention_by_layer = true};
const model_config small_neox = {.architecture = "gpt_neox",
                                 .layers = 2,
                                 .width = 36,
                                 .heads = 3,
                                 .hidden = 70,
                                 .context = 7,
                                 .vocabulary = 19,
                                 .rotary_channels = 4,
                                 .nonlinearity = activation::gelu_erf,
                                 .parallel_residual = true};

/// The largest difference between two matrices, infinite where their shapes differ.
template <typename T, typename U>
double difference(const host_matrix<T>& a, const host_matrix<U>& b) {
  if (a.rows != b.rows or a.cols != b.cols) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i)
    largest = std::max(largest, std::fabs(static_cast<double>(a.values[i]) - static_cast<double>(b.values[i])));
  return largest;
}
template <typename T, typename U>
double difference(const linear_weights<T>& a, const linear_weights<U>& b) {
  return std::max(difference(a.weight, b.weight), difference(a.bias, b.bias));
}
template <typename T, typename U>
double difference(const layer_norm_weights<T>& a, const layer_norm_weights<U>& b) {
  return std::max(difference(a.gain, b.gain), difference(a.bias, b.bias));
}
template <typename T, typename U>
double difference(const block_weights<T>& a, const block_weights<U>& b) {
  return std::max({difference(a.norm_1, b.norm_1), difference(a.qkv, b.qkv), difference(a.attn_out, b.attn_out),
                   difference(a.norm_2, b.norm_2), difference(a.mlp_in, b.mlp_in), difference(a.mlp_out, b.mlp_out)});
}
template <typename T, typename U>
double difference(const outer_weights<T>& a, const outer_weights<U>& b) {
  return std::max({difference(a.token_embedding, b.token_embedding),
                   difference(a.position_embedding, b.position_embedding), difference(a.norm_final, b.norm_final),
                   difference(a.unembedding, b.unembedding)});
}

/// The largest difference between two sources of weights, read as `T` and as `U`; their configurations must be equal.
template <typename T, typename U>
double difference_as(const auto& a, const auto& b) {
  CHECK(a.config() == b.config());
  auto largest = difference(a.template outer<T>(), b.template outer<U>());
  for (index_t layer = 0; layer < b.config().layers; ++layer)
    largest = std::max(largest, difference(a.template block<T>(layer), b.template block<U>(layer)));
  return largest;
}

}  // namespace

TEST_CASE("Models of both families come back from every style of folder") {
  const auto config = GENERATE(small_gpt2, small_neox);
  const bool tied = GENERATE(true, false);
  const auto weights = random_weights(config, 5, tied);
  std::string hash;
  for (const auto& style : {folder_style{}, folder_style{.prefix = false}, folder_style{.shards = 3},
                            folder_style{.prefix = false, .shards = 2, .buffers = true}, folder_style{.buffers = true},
                            folder_style{.tied_copy = tied}}) {
    const auto folder = temporary_folder();
    write_model_folder(folder.path(), weights, style);
    const auto stored = io::model_folder(folder.path());
    CHECK(stored.path() == folder.path());
    CHECK(stored.outer<float>().unembedding.empty() == tied);
    CHECK(difference_as<float, float>(stored, weights) == 0);
    CHECK(difference_as<double, double>(stored, weights) == 0);
    CHECK(difference_as<dual, double>(stored, weights) == 0);
    if (hash.empty()) hash = stored.stored_hash();
    CHECK(stored.stored_hash() == hash);
  }
  CHECK(hash.size() == 16);
  const auto folder = temporary_folder();
  write_model_folder(folder.path(), random_weights(config, 6, tied));
  CHECK(io::model_folder(folder.path()).stored_hash() != hash);
}

TEST_CASE("Weights in 16 bits are read as they are") {
  const auto config = GENERATE(small_gpt2, small_neox);
  const auto weights = random_weights(config);
  for (const auto& [type, precision] : {std::pair(io::dtype::f16, 0x1p-11), std::pair(io::dtype::bf16, 0x1p-8)}) {
    const auto folder = temporary_folder();
    write_model_folder(folder.path(), weights, {.type = type});
    const auto stored = io::model_folder(folder.path());
    const auto error = difference_as<float, double>(stored, weights);
    CHECK(error > 0);
    CHECK(error < 4 * precision);  // no weight is beyond 4
  }
}

TEST_CASE("query_key_value of GPT-NeoX is taken apart head by head") {
  const auto folder = temporary_folder();
  auto tensors = stored_weights(random_weights(small_neox));
  auto weight = host_matrix<float>(108, 36);
  auto bias = host_matrix<float>(1, 108);
  for (index_t i = 0; i < 108; ++i) {
    bias(0, i) = static_cast<float>(i);
    for (index_t j = 0; j < 36; ++j) weight(i, j) = static_cast<float>(1000 * i + j);
  }
  const auto name = std::string("gpt_neox.layers.1.attention.query_key_value.");
  tensors[name + "weight"] = io::store(weight);
  tensors[name + "bias"] = io::store(bias, {108});
  write_model_folder(folder.path(), stored_config(small_neox, false), tensors);
  const auto qkv = io::model_folder(folder.path()).block<float>(1).qkv;
  // Rows of the file, for heads of width 12: 0-11 the query of head 0, 12-23 its key, 24-35 its value, 36-47 the query
  // of head 1, ...; columns here: 0-35 the queries of all heads, 36-71 the keys, 72-107 the values.
  CHECK(qkv.bias(0, 0) == 0);
  CHECK(qkv.bias(0, 12) == 36);
  CHECK(qkv.bias(0, 35) == 83);
  CHECK(qkv.bias(0, 36) == 12);
  CHECK(qkv.bias(0, 72) == 24);
  CHECK(qkv.bias(0, 107) == 107);
  CHECK(qkv.weight(5, 12) == 36005);
  CHECK(qkv.weight(35, 37) == 13035);
  CHECK(qkv.weight(33, 84) == 60033);
}

TEST_CASE("GPT-NeoX without attention biases has zeros there") {
  const auto folder = temporary_folder();
  write_model_folder(folder.path(), random_weights(small_neox), {.attention_bias = false});
  const auto block = io::model_folder(folder.path()).block<double>(0);
  CHECK(difference(block.qkv.bias, host_matrix<double>(1, 108)) == 0);
  CHECK(difference(block.attn_out.bias, host_matrix<double>(1, 36)) == 0);
  CHECK(difference(block.qkv.weight, random_weights(small_neox).block<double>(0).qkv.weight) == 0);
}

TEST_CASE("A folder that holds other weights than its config.json describes is refused by name") {
  const auto said = [](const model_config& described, const auto& change) {
    const auto folder = temporary_folder();
    auto tensors = stored_weights(random_weights(described.architecture == "gpt2" ? small_gpt2 : small_neox));
    change(tensors);
    write_model_folder(folder.path(), stored_config(described, described.architecture == "gpt2"), tensors);
    return refusal(error_kind::bad_file, [&] { io::model_folder{folder.path()}; });
  };
  const auto with = [](model_config config, auto member, index_t value) {
    config.*member = value;
    return config;
  };
  const auto nothing = [](auto&) {};
  const auto without = [](const std::string& name) {
    return [name](auto& tensors) { REQUIRE(tensors.erase(name) == 1); };
  };
  const auto adding = [](const std::string& name) {
    return [name](auto& tensors) { tensors[name] = io::store(host_matrix<float>(1, 36), {36}); };
  };
  const auto shaped = [](const std::string& name, const std::vector<index_t>& shape) {
    return [=](auto& tensors) { REQUIRE(std::exchange(tensors.at(name).shape, shape) != shape); };
  };

  CHECK_THAT(said(small_gpt2, without("transformer.h.1.attn.c_attn.bias")),
             ContainsSubstring(
                 "are not those of the model that its config.json describes: 'h.1.attn.c_attn.bias' is missing"));
  CHECK_THAT(said(small_gpt2, without("transformer.ln_f.weight")), ContainsSubstring("'ln_f.weight' is missing"));
  CHECK_THAT(said(small_neox, without("embed_out.weight")), ContainsSubstring("'embed_out.weight' is missing"));
  CHECK_THAT(said(small_gpt2, adding("transformer.h.0.adapter")),
             ContainsSubstring("'transformer.h.0.adapter' is unexpected"));
  CHECK_THAT(said(small_gpt2, adding("transformer.h.2.ln_1.weight")),
             ContainsSubstring("'transformer.h.2.ln_1.weight' is unexpected"));
  CHECK_THAT(said(small_gpt2, adding("transformer.h.00.ln_1.weight")),
             ContainsSubstring("h.00.ln_1.weight' is unexpected"));
  for (const auto name :
       {"transformer.h.0.attn.lora_A", "h.9.x", "transformer.wte.lora_A", "wpe.scale", "ln_f.x.bias", "lm_head.bias"})
    CHECK_THAT(said(small_gpt2, adding(name)), ContainsSubstring("'" + std::string(name) + "' is unexpected"));
  for (const auto name : {"gpt_neox.layers.1.attention.foo", "layers.2.input_layernorm.weight", "embed_in.bias",
                          "gpt_neox.final_layer_norm.scale", "embed_out.bias"})
    CHECK_THAT(said(small_neox, adding(name)), ContainsSubstring("'" + std::string(name) + "' is unexpected"));
  CHECK_THAT(said(small_gpt2, adding("wte.weight")),
             ContainsSubstring("holds 'wte.weight', but so does") or
                 ContainsSubstring("holds 'transformer.wte.weight', but so does"));
  CHECK_THAT(said(small_gpt2, shaped("transformer.h.1.mlp.c_fc.weight", {70, 36})),
             ContainsSubstring("'h.1.mlp.c_fc.weight' has the shape [70, 36] instead of [36, 70]"));
  CHECK_THAT(said(small_neox, shaped("gpt_neox.layers.1.mlp.dense_h_to_4h.weight", {36, 70})),
             ContainsSubstring("has the shape [36, 70] instead of [70, 36]"));
  CHECK_THAT(said(small_gpt2, shaped("transformer.h.1.ln_1.bias", {1, 36})),
             ContainsSubstring("'h.1.ln_1.bias' has the shape [1, 36] instead of [36]"));
  for (const auto& [shape, shown] : {std::pair(std::vector<index_t>{}, "[]"), {{0}, "[0]"}})
    CHECK_THAT(said(small_gpt2,
                    [&](auto& tensors) {
                      tensors["transformer.ln_f.bias"] = io::store(host_matrix<float>(shape.empty(), 1), shape);
                    }),
               ContainsSubstring("'ln_f.bias' has the shape " + std::string(shown) + " instead of [36]"));
  CHECK_THAT(said(with(small_gpt2, &model_config::vocabulary, 20), nothing),
             ContainsSubstring("'wte.weight' has the shape [19, 36] instead of [20, 36]"));
  CHECK_THAT(said(with(small_gpt2, &model_config::context, 8), nothing),
             ContainsSubstring("'wpe.weight' has the shape"));
  CHECK_THAT(said(with(small_gpt2, &model_config::hidden, 71), nothing),
             ContainsSubstring("c_fc.weight' has the shape [36, 70] instead of [36, 71], ") and
                 ContainsSubstring(", and more"));
  CHECK_THAT(said(with(small_gpt2, &model_config::layers, 1), nothing),
             ContainsSubstring("'transformer.h.1.attn.c_attn.bias' is unexpected") and ContainsSubstring(", and more"));
  // Sizes far larger than the file's cost neither memory nor time.
  CHECK_THAT(said(with(small_gpt2, &model_config::layers, 2147483647), nothing),
             ContainsSubstring("'h.2.ln_1.weight' is missing, ") and ContainsSubstring(", and more"));
  auto vast = small_neox;
  vast.width = 36 * 59652323;
  vast.hidden = vast.vocabulary = 2147483647;
  const auto folder = temporary_folder();
  write_model_folder(folder.path(), stored_config(vast, false, {.attention_bias = false}),
                     stored_weights(random_weights(small_neox), {.attention_bias = false}));
  CHECK_THAT(refusal(error_kind::bad_file, [&] { io::model_folder{folder.path()}; }), ContainsSubstring("instead of"));
}

TEST_CASE("Tensors of no part of the model are ignored with a warning, whatever they are") {
  const auto config = GENERATE(small_gpt2, small_neox);
  const auto weights = random_weights(config, 5);
  const auto folder = temporary_folder();
  auto tensors = stored_weights(weights);
  const auto stored_as = stored_config(config, weights.tied_embeddings());
  write_model_folder(folder.path(), stored_as, tensors);
  CHECK(io::model_folder(folder.path()).warnings().empty());
  const auto hash = io::model_folder(folder.path()).stored_hash();

  const auto row = io::store(host_matrix<float>(1, 36), {36});
  const bool neox = config.architecture == "gpt_neox";
  tensors["score.weight"] = row;
  tensors["v_head.h.0.bias"] = row;
  tensors["step"] = {io::dtype::i64, {}, std::vector<std::byte>(8)};
  tensors["empty"] = {io::dtype::f8_e5m2, {3, 0, 2}, {}};
  tensors["transformer.foo.weight"] = tensors["gpt_neox.foo.weight"] = row;
  tensors[neox ? "h.0.ln_1.weight" : "layers.0.attention.foo"] = row;
  tensors[neox ? "wte.weight" : "embed_in.weight"] = row;
  for (const int shards : {1, 3}) {
    write_model_folder(folder.path(), stored_as, tensors, shards);
    const auto stored = io::model_folder(folder.path());
    REQUIRE(stored.warnings().size() == 1);
    const auto& warning = stored.warnings().front();
    CHECK_THAT(warning, StartsWith("'" + folder.path().string() +
                                   "' holds tensors that are no part of the model and are ignored: '"));
    for (const auto name :
         {"score.weight", "v_head.h.0.bias", "step", "empty", "transformer.foo.weight", "gpt_neox.foo.weight",
          neox ? "h.0.ln_1.weight" : "layers.0.attention.foo", neox ? "wte.weight" : "embed_in.weight"})
      CHECK_THAT(warning, ContainsSubstring("'" + std::string(name) + "'"));
    CHECK(difference_as<float, float>(stored, weights) == 0);
    CHECK(stored.stored_hash() == hash);
    std::filesystem::remove(folder.path() / "model.safetensors");
  }
}

TEST_CASE("A warning about very many tensors names the first of them") {
  const auto folder = temporary_folder();
  auto tensors = stored_weights(random_weights(small_gpt2));
  for (int i = 100; i < 125; ++i) tensors["x." + std::to_string(i)] = io::store(host_matrix<float>(0, 0));
  write_model_folder(folder.path(), stored_config(small_gpt2, true), tensors);
  const auto warning = io::model_folder(folder.path()).warnings().at(0);
  CHECK_THAT(warning, ContainsSubstring("'x.100', 'x.101', ") and EndsWith("'x.119', and 5 more"));
}

TEST_CASE("Of two tied embeddings a folder may hold either") {
  const auto config = GENERATE(small_gpt2, small_neox);
  const auto weights = random_weights(config, 5, true);
  const auto folder = temporary_folder(), usual = temporary_folder();
  write_model_folder(usual.path(), weights);
  auto tensors = stored_weights(weights);
  const bool neox = config.architecture == "gpt_neox";
  const std::string embedding = neox ? "gpt_neox.embed_in.weight" : "transformer.wte.weight";
  const std::string unembedding = neox ? "embed_out.weight" : "lm_head.weight";
  auto moved = tensors.extract(embedding);
  moved.key() = unembedding;
  tensors.insert(std::move(moved));
  for (const int shards : {1, 2}) {
    write_model_folder(folder.path(), stored_config(config, true), tensors, shards);
    const auto stored = io::model_folder(folder.path());
    CHECK(difference_as<float, float>(stored, weights) == 0);
    CHECK(stored.stored_hash() == io::model_folder(usual.path()).stored_hash());
    CHECK(stored.warnings().empty());
    std::filesystem::remove(folder.path() / "model.safetensors");
  }
  write_model_folder(folder.path(), stored_config(config, false), tensors);
  CHECK_THAT(refusal(error_kind::bad_file, [&] { io::model_folder{folder.path()}; }),
             ContainsSubstring("'" + std::string(neox ? "embed_in" : "wte") + ".weight' is missing"));
}

TEST_CASE("An unembedding that contradicts a tie is refused") {
  const auto folder = temporary_folder();
  const auto tensors = stored_weights(random_weights(small_gpt2, 1, false));
  write_model_folder(folder.path(), stored_config(small_gpt2, true), tensors);
  CHECK_THAT(refusal(error_kind::bad_file, [&] { io::model_folder{folder.path()}; }),
             ContainsSubstring("an 'lm_head.weight' that differs from 'wte.weight'") and
                 ContainsSubstring("set tie_word_embeddings to false"));
}

TEST_CASE("Weights that are not finite are refused when they are read, unless they are allowed") {
  const auto folder = temporary_folder();
  auto tensors = stored_weights(random_weights(small_gpt2));
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(tensors["transformer.h.1.ln_2.bias"].bytes.data() + 4 * 5, &nan, sizeof nan);
  write_model_folder(folder.path(), stored_config(small_gpt2, true), tensors);
  const auto stored = io::model_folder(folder.path());
  CHECK(stored.block<float>(0).norm_1.gain.cols == 36);
  CHECK_THAT(refusal(error_kind::bad_file, [&] { stored.block<float>(1); }),
             ContainsSubstring("tensor 'transformer.h.1.ln_2.bias' of '") and ContainsSubstring("not finite at [5]"));
  const auto allowed = io::model_folder(folder.path(), {.allow_non_finite = true});
  CHECK(std::isnan(allowed.block<float>(1).norm_2.bias(0, 5)));
}

TEST_CASE("Weights of a dtype that is not for real numbers are refused") {
  const auto folder = temporary_folder();
  auto tensors = stored_weights(random_weights(small_gpt2));
  auto& bias = tensors["transformer.h.1.ln_2.bias"];
  bias.type = io::dtype::f8_e5m2;
  bias.bytes.resize(36);
  write_model_folder(folder.path(), stored_config(small_gpt2, true), tensors);
  CHECK_THAT(refusal(error_kind::bad_file, [&] { io::model_folder{folder.path()}; }),
             ContainsSubstring("'h.1.ln_2.bias' has the dtype F8_E5M2 instead of F64, F32, F16 or BF16"));
  bias.type = io::dtype::u8;
  write_model_folder(folder.path(), stored_config(small_gpt2, true), tensors);
  CHECK_THAT(refusal(error_kind::bad_file, [&] { io::model_folder{folder.path()}; }),
             ContainsSubstring("'h.1.ln_2.bias' has the dtype U8 instead of"));
}

TEST_CASE("A real GPT-2 folder has the values that Python reads from it") {
  const auto path = asset("nano-sort");
  if (not path) {
    WARN(missing_asset("nano-sort"));
    return;
  }
  const auto stored = io::model_folder(*path);
  CHECK(
      stored.config() ==
      model_config{
          .architecture = "gpt2", .layers = 3, .width = 48, .heads = 3, .hidden = 192, .context = 11, .vocabulary = 3});
  const auto outer = stored.outer<double>();
  const auto block = stored.block<double>(2);
  CHECK(outer.token_embedding(2, 7) == 0.023893902078270912);
  CHECK(outer.position_embedding(10, 47) == -0.12745524942874908);
  CHECK(outer.unembedding(1, 3) == -0.18417300283908844);
  CHECK(outer.norm_final.gain(0, 5) == 1.1587737798690796);
  CHECK(block.norm_1.bias(0, 9) == 0.0182285588234663);
  CHECK(block.norm_2.gain(0, 9) == 0.9971169829368591);
  CHECK(block.qkv.weight(3, 140) == -0.014306629076600075);
  CHECK(block.qkv.bias(0, 100) == -0.00805662851780653);
  CHECK(block.attn_out.weight(40, 2) == -0.00904789287596941);
  CHECK(block.mlp_in.weight(47, 191) == -0.009792047552764416);
  CHECK(block.mlp_out.weight(191, 0) == -0.017453402280807495);
  CHECK(block.mlp_out.bias(0, 1) == 0.000683886930346489);
  CHECK(stored.stored_hash() == "3290095877ccc0c0");

  // The published activations of the first layer: qkv of its normalised input, position 4 of prompt 1, all heads.
  const auto golden = io::safetensors_file(*path / "activations.safetensors");
  const auto input = golden.read<double>("blocks.0.ln1");
  const auto qkv = stored.block<double>(0).qkv;
  const auto row = 1 * 11 + 4;
  for (index_t part = 0; part < 3; ++part) {
    const auto expected = golden.read<double>(std::string("blocks.0.") + "qkv"[part]);  // [99, 16]
    for (index_t j = 0; j < 48; ++j) {
      auto sum = qkv.bias(0, part * 48 + j);
      for (index_t i = 0; i < 48; ++i) sum += input(row, i) * qkv.weight(i, part * 48 + j);
      CHECK(std::fabs(sum - expected(3 * row + j / 16, j % 16)) < 1e-5);
    }
  }
}

}  // namespace trimtab::test::model_folder_tests
