// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/intervention_file.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <limits>

using namespace trimtab;
using namespace trimtab::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Two layers, three positions.
intervention_file example() {
  return {.policy = "activ-scalar",
          .positions = positions::absolute(3),
          .tensors = {{"attn_out.alpha", {{2, 3}, {0, 0, 0, 0.25, -1, 3}}},
                      {"mlp_out.alpha", {{2, 3}, {1, 2, 3, 4, 5, 6}}}},
          .layers = {{"attn_out", {1}}},
          .model = model_facts{"gpt2", 2, 8, 50, "0123456789abcdef"},
          .made = {{"task", "ioi"}, {"version", std::string(version)}}};
}

const std::map<std::string, std::string> plain = {
    {"format", "trimtab-intervention-1"}, {"policy", "activ-scalar"}, {"position_key", "absolute"}};

io::stored_tensor numbers(std::vector<index_t> shape, float value = 1) {
  index_t size = 1;
  for (index_t n : shape) size *= n;
  host_matrix<float> m(1, size);
  std::ranges::fill(m.values, value);
  return io::store(m, std::move(shape));
}

/// The sentence with which a file of this metadata and these tensors is refused.
std::string refused(const std::map<std::string, std::string>& changes,
                    const std::map<std::string, io::stored_tensor>& tensors) {
  const auto folder = temporary_folder();
  auto metadata = plain;
  for (const auto& [key, value] : changes) metadata[key] = value;
  io::write_safetensors(folder.path() / "i", tensors, metadata);
  return refusal(error_kind::bad_file, [&] { io::read_intervention(folder.path() / "i"); });
}

}  // namespace

TEST_CASE("An intervention file reads back as it was written, bit by bit") {
  const auto folder = temporary_folder();
  const auto path = folder.path() / "i.safetensors";
  auto file = example();
  io::write_intervention(path, file);
  CHECK(io::read_intervention(path) == file);
  CHECK(io::safetensors_file(path).tensors().at("attn_out.alpha").type == io::dtype::f32);

  file.tensors["mlp_out.alpha"].values[2] = 0.1;  // no float
  file.positions = positions::role({"subject", "s2", "end"});
  io::write_intervention(path, file);
  CHECK(io::read_intervention(path) == file);
  CHECK(io::safetensors_file(path).tensors().at("attn_out.alpha").type == io::dtype::f64);
}

TEST_CASE("A file from elsewhere needs format, policy and position key only") {
  const auto folder = temporary_folder();
  io::write_safetensors(folder.path() / "i", {{"attn_out.alpha", numbers({2, 3})}}, plain);
  const auto file = io::read_intervention(folder.path() / "i");
  CHECK(file.positions == positions::absolute(3));
  CHECK(file.layers_of("attn_out") == std::vector<index_t>{0, 1});
  CHECK(file.layers_of("mlp_out").empty());
  CHECK_FALSE(file.model);
}

TEST_CASE("What is not known of the model stays unknown when a file is written anew") {
  const auto folder = temporary_folder();
  auto file = example();
  file.model = model_facts{.architecture = "gpt2", .layers = 2};
  io::write_intervention(folder.path() / "i", file);
  CHECK(io::read_intervention(folder.path() / "i") == file);
}

TEST_CASE("A malformed intervention file is refused with the reason") {
  const std::map<std::string, io::stored_tensor> good = {{"attn_out.alpha", numbers({2, 3})}};
  CHECK_THAT(refused({{"format", "other"}}, good), ContainsSubstring("format trimtab-intervention-1"));
  CHECK_THAT(refused({{"policy", ""}}, good), ContainsSubstring("lacks \"policy\""));
  CHECK_THAT(refused({{"position_key", "relative"}}, good),
             ContainsSubstring("expected absolute, from_end, role or shared"));
  CHECK_THAT(refused({{"position_key", "shared"}}, good), ContainsSubstring("3 positions"));
  CHECK_THAT(refused({{"position_key", "role"}}, good), ContainsSubstring("lacks \"roles\""));
  CHECK_THAT(refused({{"position_key", "role"}, {"roles", "[\"a\"]"}}, good), ContainsSubstring("array of 3 names"));
  CHECK_THAT(refused({{"positions", "4"}}, good), ContainsSubstring("its tensors have 3"));
  CHECK_THAT(refused({{"model", "gpt2"}}, good), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refused({{"layers", "{\"attn_out\": [2]}"}}, good), ContainsSubstring("layers from 0 to 1"));
  CHECK_THAT(refused({{"layers", "{\"attn_out\": [0]}"}}, good), ContainsSubstring("does not list"));
  CHECK_THAT(refused({}, {}), ContainsSubstring("no tensors"));
  CHECK_THAT(refused({}, {{"attn_in.alpha", numbers({2, 3})}}), ContainsSubstring("the sites are resid_pre"));
  CHECK_THAT(refused({}, {{"attn_out.vector", numbers({2, 3, 4})}}),
             ContainsSubstring("does not belong to the policy 'activ-scalar'"));
  CHECK_THAT(refused({{"policy", "dyn-scalar\u0085\x1b[2J"}}, good),
             ContainsSubstring("policy 'dyn-scalar\uFFFD\uFFFD[2J'"));
  CHECK_THAT(refused({}, {{"attn_out.alpha", numbers({2, 3, 1})}}), ContainsSubstring("expected [L, P]"));
  CHECK_THAT(refused({}, {{"attn_out.alpha", numbers({2, 3})}, {"mlp_out.alpha", numbers({3, 3})}}),
             ContainsSubstring("layers"));
  CHECK_THAT(refused({}, {{"attn_out.alpha", numbers({2, 3})}, {"mlp_out.alpha", numbers({2, 4})}}),
             ContainsSubstring("positions"));
  CHECK_THAT(refused({}, {{"attn_out.alpha", numbers({2, 0})}}), ContainsSubstring("holds no numbers"));
  CHECK_THAT(refused({}, {{"attn_out.alpha", numbers({2, 3}, std::numeric_limits<float>::quiet_NaN())}}),
             ContainsSubstring("not finite"));
}

TEST_CASE("Numbers that are not finite are not saved") {
  const auto folder = temporary_folder();
  auto file = example();
  file.tensors["mlp_out.alpha"].values[0] = std::numeric_limits<double>::infinity();
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { io::write_intervention(folder.path() / "i", file); }),
             ContainsSubstring("'mlp_out.alpha'"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "i"));
}
