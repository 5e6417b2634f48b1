// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/huggingface/weight_files.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace trimtab::test::weight_files_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

constexpr auto parts = std::to_array<std::string_view>({"x", "y", "z", "w", "u"});
const io::weight_names names = {"p.", "h.", parts, "u"};

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

TEST_CASE("A tensor is of the model by the part that its name begins with") {
  for (const auto name : {"x", "x.weight", "h.0.attn", "h.11.", "h.00.ln", "h.999999999999999999999.ln"})
    CHECK(names.is_of_model(name));
  for (const auto name : {"", "a", "h", "h.", "h.0", "h..attn", "h.a.attn", "h.0a.attn", "h.-1.attn", "p.x", "score.x"})
    CHECK_FALSE(names.is_of_model(name));
  CHECK(names.without_prefix("p.x") == "x");
  CHECK(names.without_prefix("p.p.x") == "p.x");
  CHECK(names.without_prefix("px") == "px");
}

TEST_CASE("Tensors of no part of the model are listed apart, whatever their shape, and may have any name twice") {
  const auto folder = temporary_folder();
  const auto number = io::store(host_matrix<float>(1, 1), {});
  const auto nothing = io::store(host_matrix<float>(0, 3));
  io::write_safetensors(folder.path() / "a.safetensors",
                        {{"p.x", number}, {"p.score", number}, {"score", nothing}, {"p.attn.bias", number}});
  io::write_safetensors(folder.path() / "b.safetensors", {{"h.0.z", nothing}, {"score", number}});
  folder.file("model.safetensors.index.json", R"({"weight_map": {"p.x": "a.safetensors", "h.0.z": "b.safetensors"}})");
  const auto weights = io::weight_files(folder.path(), names);
  CHECK(weights.others() == std::vector<std::string>{"p.score", "score", "score"});
  CHECK(weights.places().size() == 2);
  CHECK(weights.shape("x").empty());
  CHECK(weights.read<float>("x", io::non_finite::refuse).values == std::vector<float>{0});
  CHECK(weights.shape("h.0.z") == std::vector<index_t>{0, 3});
  CHECK(weights.read<float>("h.0.z", io::non_finite::refuse).values.empty());
}

TEST_CASE("An index may list what no shard holds, unless it is a weight that every model has") {
  const auto folder = temporary_folder();
  io::write_safetensors(folder.path() / "a.safetensors", {{"p.x", io::store(host_matrix<float>(1, 2))}});
  const auto with = [&](const std::string& name) {
    folder.file("model.safetensors.index.json",
                R"({"weight_map": {"p.x": "a.safetensors", ")" + name + R"(": "a.safetensors"}})");
    return io::weight_files(folder.path(), names).places().size();
  };
  for (const auto name : {"u", "p.u", "p.h.0.attn.bias", "h.3.attn.masked_bias", "score.weight"})
    CHECK(with(name) == 1);
  for (const auto name : {"y", "p.y", "h.0.attn.weight"})
    CHECK_THAT(refusal(error_kind::bad_file, [&] { with(name); }),
               ContainsSubstring("puts '" + std::string(name) + "' into 'a.safetensors', which does not hold it"));
}

TEST_CASE("A weight can take another name") {
  const auto folder = temporary_folder();
  io::write_safetensors(folder.path() / "model.safetensors", {{"p.x", io::store(host_matrix<float>(1, 2))}});
  auto weights = io::weight_files(folder.path(), names);
  weights.rename("x", "y");
  CHECK_FALSE(weights.contains("x"));
  CHECK(weights.read<float>("y", io::non_finite::refuse).cols == 2);
}

TEST_CASE("Shards are one model, and one file is preferred to shards") {
  const auto folder = temporary_folder();
  write_shards(folder, R"({"metadata": {"total_size": 24}, "weight_map":
      {"p.x": "a.safetensors", "y": "a.safetensors", "z": "b.safetensors"}})");
  const auto shards = io::weight_files(folder.path(), names);
  CHECK(shards.places().size() == 3);
  CHECK(shards.contains("x"));
  CHECK_FALSE(shards.contains("p.x"));
  CHECK(shards.shape("z") == std::vector<index_t>{1, 2});
  CHECK(shards.bytes("y").size() == 8);
  CHECK(shards.read<double>("x", io::non_finite::refuse).cols == 2);
  io::write_safetensors(folder.path() / "model.safetensors", {{"w", io::store(host_matrix<float>(1, 1))}});
  CHECK(io::weight_files(folder.path(), names).contains("w"));
}

TEST_CASE("A folder without weights is refused, and of PyTorch's it is said how to convert them") {
  const auto folder = temporary_folder();
  const auto said = [&] { return refusal(error_kind::io, [&] { io::weight_files(folder.path(), names); }); };
  const std::string neither = "holds neither model.safetensors nor model.safetensors.index.json";
  CHECK_THAT(said(), ContainsSubstring(neither + "; weights in other formats must be converted first"));
  for (const auto name : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    const auto file = folder.file(name, "x");
    CHECK_THAT(said(),
               ContainsSubstring(neither + ", only weights in PyTorch's format") and
                   ContainsSubstring("AutoModelForCausalLM.from_pretrained('" + folder.path().string() +
                                     "').save_pretrained('" + folder.path().string() + "', safe_serialization=True)"));
    std::filesystem::remove(file);
  }
  std::filesystem::create_directory(folder.path() / "model.safetensors");
  CHECK_THAT(refusal(error_kind::io, [&] { io::weight_files(folder.path(), names); }),
             ContainsSubstring("is a folder"));
}

TEST_CASE("A shard index that is wrong or names files outside the folder is refused") {
  const auto folder = temporary_folder();
  const auto said = [&](const std::string& index, error_kind kind = error_kind::bad_file) {
    write_shards(folder, index);
    return refusal(kind, [&] { io::weight_files(folder.path(), names); });
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

}  // namespace trimtab::test::weight_files_tests
