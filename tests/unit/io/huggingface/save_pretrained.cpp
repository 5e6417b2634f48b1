// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/huggingface/save_pretrained.hpp>

#include "support/assets.hpp"
#include "support/catch.hpp"
#include "support/random_weights.hpp"
#include "support/refusal.hpp"
#include "support/small_models.hpp"
#include "support/stored_model.hpp"
#include "support/temporary_folder.hpp"

namespace trimtab::test::save_pretrained_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

std::string content_of(const std::filesystem::path& file) { return io::input_file(file).text(); }

/// The tensors of the weights' files of a folder, by name, with their types, shapes and bytes.
auto tensors_of(const std::filesystem::path& folder) {
  std::map<std::string, std::tuple<io::dtype, std::vector<index_t>, std::vector<std::byte>>> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") {
      const io::safetensors_file file(entry.path());
      CHECK(file.metadata().at("format") == "pt");
      for (const auto& [name, tensor] : file.tensors())
        CHECK(all.emplace(name, std::tuple(tensor.type, tensor.shape, file.bytes(name))).second);
    }
  return all;
}

template <typename Kind>
random_weights weights_of() {
  return random_weights(Kind::config(), 5);
}

}  // namespace

TEMPLATE_TEST_CASE("A folder is written as it was read, in every style", "", small_gpt2, small_neox_parallel) {
  const auto style = GENERATE(folder_style{}, folder_style{.prefix = false}, folder_style{.type = io::dtype::f16},
                              folder_style{.shards = 3, .type = io::dtype::bf16}, folder_style{.type = io::dtype::f64});
  const temporary_folder before, around;
  write_model_folder(before.path(), weights_of<TestType>(), style);
  before.file("tokenizer.json", "{}");
  before.file("merges.txt", "x");
  before.file("notes.txt", "not copied");
  const auto after = around.path() / "after";
  const io::model_folder source(before.path());
  io::save_pretrained(after, source, source);
  CHECK(tensors_of(before.path()) == tensors_of(after));
  CHECK(content_of(after / "config.json") == content_of(before.path() / "config.json"));
  CHECK(content_of(after / "tokenizer.json") == "{}");
  CHECK(content_of(after / "merges.txt") == "x");
  CHECK_FALSE(std::filesystem::exists(after / "notes.txt"));
  CHECK(hash_of_weights<double>(io::model_folder(after)) == hash_of_weights<double>(source));
  CHECK(tensors_of(after).size() == 4 + 3 * 12);
}

TEST_CASE("GPT-NeoX without biases of its attention, and GPT-2 with only its unembedding, are written so") {
  const temporary_folder neox, gpt2, around;
  const auto bare = edited_weights(weights_of<small_neox_parallel>(), [](index_t, auto& w) {
    for (auto* map : {&w.qkv, &w.attn_out}) std::ranges::fill(map->bias.values, 0);
  });
  const folder_style style{.attention_bias = false};
  write_model_folder(neox.path(), stored_config(bare.config(), false, style), stored_weights(bare, style));
  auto tensors = stored_weights(weights_of<small_gpt2>(), {.tied_copy = true});
  tensors.erase("transformer.wte.weight");
  write_model_folder(gpt2.path(), stored_config(small_gpt2::config(), true), tensors);
  for (const auto* before : {&neox, &gpt2}) {
    const auto after = around.path() / before->path().filename();
    const io::model_folder source(before->path());
    io::save_pretrained(after, source, source);
    CHECK(tensors_of(before->path()) == tensors_of(after));
  }
}

TEST_CASE("More bytes than a file may hold go into several, which an index lists") {
  const temporary_folder before, around;
  write_model_folder(before.path(), weights_of<small_gpt2>());
  const io::model_folder source(before.path());
  std::size_t largest = 0;
  for (const auto& [name, tensor] : tensors_of(before.path())) largest = std::max(largest, std::get<2>(tensor).size());
  for (const std::size_t limit :
       {std::size_t{1}, std::size_t{1000}, largest, std::size_t{4000}, std::size_t{1} << 30}) {
    const auto after = around.path() / std::to_string(limit);
    io::save_pretrained(after, source, source, {.shard_bytes = limit});
    CHECK(tensors_of(before.path()) == tensors_of(after));
    CHECK(hash_of_weights<float>(io::model_folder(after)) == hash_of_weights<float>(source));
    if (limit == std::size_t{1} << 30) {
      CHECK(std::filesystem::exists(after / "model.safetensors"));
      CHECK_FALSE(std::filesystem::exists(after / "model.safetensors.index.json"));
      continue;
    }
    std::size_t total = 0, files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(after))
      if (entry.path().extension() == ".safetensors") {
        ++files;
        std::size_t size = 0;
        const io::safetensors_file file(entry.path());
        for (const auto& [name, tensor] : file.tensors()) size += tensor.end - tensor.begin;
        CHECK((size <= limit or file.tensors().size() == 1));
        total += size;
      }
    const auto index = io::read_json_file(after / "model.safetensors.index.json");
    CHECK(index.at("metadata").at("total_size") == total);
    CHECK(index.at("weight_map").size() == tensors_of(after).size());
    char last[64];
    std::snprintf(last, sizeof last, "model-%05zu-of-%05zu.safetensors", files, files);
    CHECK(std::filesystem::exists(after / last));
  }
}

TEST_CASE("All weights can be written in one type, which the configuration then names") {
  const temporary_folder before, around;
  write_model_folder(before.path(), weights_of<small_gpt2>());
  auto config = stored_config(small_gpt2::config(), true);
  config["torch_dtype"] = "float32";
  before.file("config.json", config.dump());
  const io::model_folder source(before.path());
  const std::map<io::dtype, std::string> names{{io::dtype::f64, "float64"},
                                               {io::dtype::f32, "float32"},
                                               {io::dtype::f16, "float16"},
                                               {io::dtype::bf16, "bfloat16"}};
  for (const auto& [type, name] : names) {
    const auto after = around.path() / name;
    io::save_pretrained(after, source, source, {.type = type});
    for (const auto& [tensor, stored] : tensors_of(after)) CHECK(std::get<0>(stored) == type);
    config["torch_dtype"] = name;
    CHECK(io::read_json_file(after / "config.json") == config);
    const auto expected = store_as(type, source.outer<float>().token_embedding, {23, 10}).bytes;
    CHECK(std::get<2>(tensors_of(after).at("transformer.wte.weight")) == expected);
  }
}

TEST_CASE("A weight that a type cannot hold is refused, and nothing is left") {
  const temporary_folder before, around;
  write_model_folder(before.path(), weights_of<small_gpt2>());
  const io::model_folder source(before.path());
  const auto large = edited_weights(weights_of<small_gpt2>(), [](index_t layer, auto& w) {
    if (layer == 1) w.mlp_in.weight(3, 2) = 70000;
  });
  const auto after = around.path() / "after";
  CHECK(
      refusal(error_kind::bad_argument, [&] { io::save_pretrained(after, source, large, {.type = io::dtype::f16}); }) ==
      "'transformer.h.1.mlp.c_fc.weight' has a weight of 70000.0, which F16 cannot hold; write a wider type "
      "(--dtype F32)");
  CHECK(std::filesystem::is_empty(around.path()));
  io::save_pretrained(after, source, large, {.type = io::dtype::bf16});
}

}  // namespace trimtab::test::save_pretrained_tests
