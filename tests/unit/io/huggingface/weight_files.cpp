// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/huggingface/weight_files.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

using namespace trimtab;
using namespace trimtab::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A folder with the shards a (tensors p.x, y) and b (z), and this index.
void write_shards(const temporary_folder& folder, const std::string& index) {
  const auto tensor = io::store(host_matrix<float>(1, 2));
  io::write_safetensors(folder.path() / "a.safetensors", {{"p.x", tensor}, {"y", tensor}});
  io::write_safetensors(folder.path() / "b.safetensors", {{"z", tensor}});
  folder.file("model.safetensors.index.json", index);
}

}  // namespace

TEST_CASE("Buffers are told from weights by whole parts of their names") {
  for (const auto name : {"h.0.attn.bias", "h.11.attn.masked_bias", "layers.3.attention.bias", "rotary_emb.inv_freq",
                          "layers.3.attention.masked_bias", "layers.3.attention.rotary_emb.inv_freq"})
    CHECK(io::detail::is_buffer(name));
  for (const auto name : {"h.0.attn.c_attn.bias", "h.0.attn.c_proj.bias", "h.0.mlp.c_fc.bias", "ln_f.bias",
                          "layers.3.attention.dense.bias", "layers.3.attention.query_key_value.bias",
                          "h.0.attn.bias.weight", "bias", "xattn.bias"})
    CHECK_FALSE(io::detail::is_buffer(name));
}

TEST_CASE("Shards are one model, and one file is preferred to shards") {
  const auto folder = temporary_folder();
  write_shards(folder, R"({"metadata": {"total_size": 24}, "weight_map":
      {"p.x": "a.safetensors", "y": "a.safetensors", "z": "b.safetensors"}})");
  const auto shards = io::weight_files(folder.path(), "p.");
  CHECK(shards.places().size() == 3);
  CHECK(shards.contains("x"));
  CHECK_FALSE(shards.contains("p.x"));
  CHECK(shards.shape("z") == std::vector<index_t>{1, 2});
  CHECK(shards.bytes("y").size() == 8);
  CHECK(shards.read<double>("x", io::non_finite::refuse).cols == 2);
  io::write_safetensors(folder.path() / "model.safetensors", {{"w", io::store(host_matrix<float>(1, 1))}});
  CHECK(io::weight_files(folder.path(), "p.").contains("w"));
}

TEST_CASE("A folder without weights is refused") {
  const auto folder = temporary_folder();
  folder.file("pytorch_model.bin", "x");
  CHECK_THAT(refusal(error_kind::io, [&] { io::weight_files(folder.path(), "p."); }),
             ContainsSubstring("holds neither model.safetensors nor model.safetensors.index.json"));
  std::filesystem::create_directory(folder.path() / "model.safetensors");
  CHECK_THAT(refusal(error_kind::io, [&] { io::weight_files(folder.path(), "p."); }), ContainsSubstring("is a folder"));
}

TEST_CASE("A shard index that is wrong or names files outside the folder is refused") {
  const auto folder = temporary_folder();
  const auto said = [&](const std::string& index, error_kind kind = error_kind::bad_file) {
    write_shards(folder, index);
    return refusal(kind, [&] { io::weight_files(folder.path(), "p."); });
  };
  const auto mapping = [](const std::string& shard) { return R"({"weight_map": {"p.x": ")" + shard + "\"}}"; };
  const std::vector<std::string> elsewhere = {"../a.safetensors",
                                              "/etc/x.safetensors",
                                              "sub/a.safetensors",
                                              "./a.safetensors",
                                              "sub\\\\a.safetensors",
                                              "..",
                                              "",
                                              ".safetensors",
                                              "a.bin",
                                              "a.safetensors\\u0000.safetensors",
                                              "..\\\\a.safetensors",
                                              "a\\u007f.safetensors",
                                              "a\\u0085.safetensors",
                                              std::string(300, 'a') + ".safetensors"};
  for (const std::string& shard : elsewhere)
    CHECK_THAT(said(mapping(shard)), ContainsSubstring("model.safetensors.index.json' names the shard \"") and
                                         ContainsSubstring("expected the plain name of a .safetensors file"));

  CHECK_THAT(said("{\"weight_map\": "), ContainsSubstring("index.json' is not valid JSON"));
  CHECK_THAT(said("[]"), ContainsSubstring("should hold a JSON object"));
  CHECK_THAT(said("{}"), ContainsSubstring("lacks \"weight_map\""));
  CHECK_THAT(said("{\"weight_map\": []}"), ContainsSubstring("\"weight_map\" should be an object, found []"));
  CHECK_THAT(said("{\"weight_map\": {\"p.x\": 1}}"), ContainsSubstring("\"p.x\" should be a string, found 1"));
  CHECK_THAT(said(mapping("c.safetensors"), error_kind::io), ContainsSubstring("c.safetensors': No such file"));
  CHECK_THAT(said(mapping("a.safetensors")),
             ContainsSubstring("a.safetensors' holds 'y', which '") and ContainsSubstring("index.json' does not list"));
  CHECK_THAT(said(R"({"weight_map": {"p.x": "a.safetensors", "y": "a.safetensors", "z": "a.safetensors"}})"),
             ContainsSubstring("puts 'z' into 'a.safetensors', which does not hold it"));
  CHECK_THAT(said(R"({"weight_map": {"p.x": "a.safetensors", "y": "b.safetensors", "z": "b.safetensors"}})"),
             ContainsSubstring("puts 'y' into 'b.safetensors', which does not hold it"));
  CHECK_THAT(
      said(
          R"({"weight_map": {"p.x": "a.safetensors", "x": "a.safetensors", "y": "a.safetensors", "z": "b.safetensors"}})"),
      ContainsSubstring("puts 'x' into 'a.safetensors', which does not hold it"));

  // The same tensor in two shards, and under two spellings.
  io::write_safetensors(folder.path() / "c.safetensors", {{"x", io::store(host_matrix<float>(1, 2))}});
  CHECK_THAT(
      said(R"({"weight_map": {"p.x": "a.safetensors", "y": "a.safetensors", "x": "c.safetensors"}})"),
      ContainsSubstring("c.safetensors' holds 'x', but so does '") and ContainsSubstring("a.safetensors' as 'p.x'"));
  io::write_safetensors(folder.path() / "c.safetensors", {{"y", io::store(host_matrix<float>(1, 2))}});
  CHECK_THAT(said(R"({"weight_map": {"p.x": "a.safetensors", "y": "c.safetensors"}})"),
             ContainsSubstring("c.safetensors' holds 'y', but so does '"));
}
