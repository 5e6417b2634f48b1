// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/hook_file.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/small_intervention.hpp"
#include "support/temporary_folder.hpp"

namespace trimtab::test::hook_file_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// Several policies at several sites, one of them in some layers only.
intervention_file example() {
  auto file = example_intervention("affine", {{"attn_z.alpha", {3, 2, 2}}, {"attn_z.vector", {3, 2, 2, 4}}},
                                   positions::from_end(2));
  const auto gate =
      example_intervention("dyn-scalar", {{"mlp_post.weight", {3, 5}}, {"mlp_post.bias", {3}}}, positions::shared());
  file.interventions.push_back(gate.interventions.front());
  auto& some = file.interventions.front();
  some.layers = {0, 2};
  for (auto& p : some.parameters)
    std::fill_n(p.numbers.values.begin() + std::ssize(p.numbers.values) / 3, std::ssize(p.numbers.values) / 3, 0.0);
  file.model = {
      .architecture = "gpt2", .residual = "sequential", .layers = 3, .width = 8, .vocabulary = 9, .hash = "abc"};
  file.made = {{"task", "ioi"}};
  file.in_double = true;
  return file;
}

}  // namespace

TEST_CASE("An intervention survives a file of hooks, whose metadata say all that a reader needs") {
  const temporary_folder folder;
  const auto file = example();
  const auto bytes = io::hook_bytes(file);
  const auto path = folder.file("h.safetensors", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  const io::safetensors_file stored(path);
  std::vector<std::string> names;
  for (const auto& [name, entry] : stored.tensors()) names.push_back(name);
  CHECK(names == std::vector<std::string>{"blocks.0.attn.hook_z.alpha", "blocks.0.attn.hook_z.vector",
                                          "blocks.0.mlp.hook_post.bias", "blocks.0.mlp.hook_post.weight",
                                          "blocks.1.mlp.hook_post.bias", "blocks.1.mlp.hook_post.weight",
                                          "blocks.2.attn.hook_z.alpha", "blocks.2.attn.hook_z.vector",
                                          "blocks.2.mlp.hook_post.bias", "blocks.2.mlp.hook_post.weight"});
  CHECK(stored.shape("blocks.2.attn.hook_z.vector") == std::vector<index_t>{2, 2, 4});
  CHECK(stored.shape("blocks.0.mlp.hook_post.bias").empty());
  const auto said = io::json::parse(stored.metadata().at("interventions"));
  CHECK(said[0].at("hook") == "blocks.{layer}.attn.hook_z");
  CHECK(said[0].at("formula") == "out = (1 + beta * alpha) * h + beta * vector");
  CHECK(said[0].at("position_key") == "from_end");
  CHECK(said[1].at("formula") == "out = (1 + beta * (weight . h + bias)) * h");
  CHECK(stored.metadata().at("strength") == "1");
  CHECK(io::json::parse(stored.metadata().at("model")).at("hash") == "abc");

  const auto back = io::read_hooks(path, 3);
  CHECK(back.interventions == [&] {
    auto wanted = file.interventions;
    for (auto& i : wanted)
      if (not i.settings) i.settings = back.interventions.front().settings;
    return wanted;
  }());
  CHECK(back.model == file.model);
  CHECK(back.made == file.made);
}

TEST_CASE("Files of hooks with other tensors or layers are refused by name") {
  const temporary_folder folder;
  const auto refused = [&](auto change, index_t layers = 3) {
    const auto bytes = io::hook_bytes(example());
    const auto path = folder.file("h.safetensors", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    std::map<std::string, io::stored_tensor> tensors;
    std::map<std::string, std::string> metadata;
    {
      const io::safetensors_file file(path);
      for (const auto& [name, entry] : file.tensors()) tensors[name] = {entry.type, entry.shape, file.bytes(name)};
      metadata = {file.metadata().begin(), file.metadata().end()};
    }
    change(tensors, metadata);
    io::write_safetensors(path, tensors, metadata);
    return refusal(error_kind::bad_file, [&] { io::read_hooks(path, layers); });
  };
  const auto rename = [](const std::string& from, const std::string& to) {
    return [=](auto& tensors, auto&) { tensors[to] = tensors.at(from), tensors.erase(from); };
  };
  const std::string one = "blocks.0.mlp.hook_post.bias";
  const auto nothing = [](auto&, auto&) {};
  CHECK_THAT(refused([](auto&, auto& m) { m["format"] = "x"; }), ContainsSubstring("trimtab-hooks-1"));
  CHECK_THAT(refused(nothing, 2), ContainsSubstring("LAYER below 2"));
  for (const std::string name :
       {"mlp.hook_post.bias", "blocks.x.mlp.hook_post.bias", "blocks.-1.mlp.hook_post.bias",
        "blocks.0.hook_nothing.bias", "blocks.0.mlp.hook_postbias", "blocks.99999999999999999999.mlp.hook_post.bias"})
    CHECK_THAT(refused(rename(one, name)), ContainsSubstring("expected blocks.LAYER.HOOK.PARAMETER"));
  CHECK_THAT(refused(rename(one, "blocks.0.mlp.hook_post.other")), ContainsSubstring("other"));
  CHECK_THAT(refused([&](auto& t, auto&) { t[one].shape = {1}; }), ContainsSubstring("unlike that of another layer"));
  CHECK_THAT(
      refused([&](auto& t, auto&) { t.erase("blocks.0.attn.hook_z.alpha"), t.erase("blocks.2.attn.hook_z.alpha"); }),
      ContainsSubstring("lacks the tensor"));
  CHECK_THAT(refused([](auto&, auto& m) { m.erase("interventions"); }), ContainsSubstring("interventions"));
}

}  // namespace trimtab::test::hook_file_tests
