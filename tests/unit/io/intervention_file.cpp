// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/intervention_file.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <limits>

namespace trimtab::test::intervention_file_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using enum tensor_axis;

/// Two interventions: a scalar in one of two layers, and a policy of a user's own with a matrix.
intervention_file example() {
  intervention_file f;
  f.interventions.push_back(
      {.site = "attn_out",
       .policy = "activ-scalar",
       .settings = std::vector<named_setting>{},
       .positions = positions::absolute(3),
       .layers = {1},
       .parameters = {{"alpha", "attn_out.alpha", {layer, position}, {{2, 3}, {0, 0, 0, 0.25, -1, 3}}}}});
  f.interventions.push_back(
      {.site = "attn_z",
       .policy = "custom",
       .settings = std::vector<named_setting>{{"threshold", "0.5"}},
       .positions = positions::role({"subject", "end"}),
       .layers = {0, 1},
       .parameters = {
           {"w", "attn_z.w", {layer, position, head, row, channel}, {{2, 2, 2, 3, 4}, std::vector<double>(96, 0.5)}}}});
  f.model = model_facts{"gpt2", "sequential", 2, 8, 50, "0123456789abcdef"};
  f.made = {{"task", "ioi"}, {"seed", "7"}};
  return f;
}

io::stored_tensor numbers(std::vector<index_t> shape, float value = 1) {
  index_t size = 1;
  for (index_t n : shape) size *= n;
  host_matrix<float> m(1, size);
  std::ranges::fill(m.values, value);
  return io::store(m, std::move(shape));
}

using tensors = std::map<std::string, io::stored_tensor>;
using metadata = std::map<std::string, std::string>;

const metadata version_1 = {
    {"format", "trimtab-intervention-1"}, {"policy", "activ-scalar"}, {"position_key", "absolute"}};

intervention_file read(const metadata& with, const tensors& of) {
  const auto folder = temporary_folder();
  io::write_safetensors(folder.path() / "i", of, with);
  return io::read_intervention(folder.path() / "i");
}
std::string refused(metadata with, const metadata& changes, const tensors& of) {
  for (const auto& [key, value] : changes) with[key] = value;
  return refusal(error_kind::bad_file, [&] { read(with, of); });
}

/// The sentence with which a version 2 file of one intervention is refused after a change of its JSON.
template <typename Change>
std::string refused_2(Change change, const tensors& of = {{"attn_out.alpha", numbers({2, 3})}}) {
  io::json one = {{"site", "attn_out"},
                  {"policy", "activ-scalar"},
                  {"layers", {0, 1}},
                  {"position_key", "absolute"},
                  {"positions", 3},
                  {"parameters", {{{"name", "alpha"}, {"tensor", "attn_out.alpha"}, {"axes", {"layer", "position"}}}}}};
  io::json list = io::json::array({one});
  change(list, list[0]);
  return refused({{"format", "trimtab-intervention-2"}}, {{"interventions", list.dump()}}, of);
}

}  // namespace

TEST_CASE("An intervention file reads back as it was written, bit by bit") {
  const auto folder = temporary_folder();
  const auto path = folder.path() / "i.safetensors";
  auto file = example();
  io::write_intervention(path, file);
  CHECK(io::read_intervention(path) == file);
  CHECK(io::safetensors_file(path).tensors().at("attn_out.alpha").type == io::dtype::f32);
  CHECK_FALSE(io::safetensors_file(path).metadata().contains("policy"));  // there are two policies

  file.interventions[0].parameters[0].numbers.values[4] = 0.1;  // not exact in float
  io::write_intervention(path, file);
  CHECK(io::read_intervention(path) == file);
  CHECK(io::safetensors_file(path).tensors().at("attn_z.w").type == io::dtype::f64);
}

TEST_CASE("Numbers of a fit in double stay double, whatever they are") {
  const auto folder = temporary_folder();
  auto file = example();
  file.in_double = true;
  io::write_intervention(folder.path() / "i", file);
  CHECK(io::safetensors_file(folder.path() / "i").tensors().at("attn_z.w").type == io::dtype::f64);
}

TEST_CASE("Where interventions agree, the keys of version 1 are repeated") {
  const auto folder = temporary_folder();
  auto file = example();
  file.interventions.resize(1);
  io::write_intervention(folder.path() / "i", file);
  const auto found = io::safetensors_file(folder.path() / "i");
  CHECK(found.metadata().at("policy") == "activ-scalar");
  CHECK(found.metadata().at("position_key") == "absolute");
  CHECK(found.metadata().at("positions") == "3");
}

TEST_CASE("Missing facts of the model stay missing when a file is rewritten") {
  const auto folder = temporary_folder();
  auto file = example();
  file.model = model_facts{.architecture = "gpt2", .layers = 2};
  io::write_intervention(folder.path() / "i", file);
  CHECK(io::read_intervention(folder.path() / "i") == file);
}

TEST_CASE("A malformed file of version 2 is refused with the reason") {
  CHECK_THAT(refused({{"format", "trimtab-intervention-2"}}, {}, {{"attn_out.alpha", numbers({2, 3})}}),
             ContainsSubstring("lacks \"interventions\""));
  CHECK_THAT(refused_2([](auto& list, auto&) { list = io::json::array(); }), ContainsSubstring("at least one object"));
  CHECK_THAT(refused_2([](auto& list, auto&) { list = "x"; }), ContainsSubstring("at least one object"));
  CHECK_THAT(refused_2([](auto& list, auto&) { list[0] = 7; }), ContainsSubstring("should hold a JSON object"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["site"] = "attn_uot"; }),
             ContainsSubstring("did you mean 'attn_out'"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one.erase("policy"); }), ContainsSubstring("lacks \"policy\""));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["policy"] = ""; }), ContainsSubstring("name of a policy"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["settings"] = {{"a", 1}}; }), ContainsSubstring("a string"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["position_key"] = "relative"; }),
             ContainsSubstring("expected absolute, from_end, role or shared"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["positions"] = 4; }), ContainsSubstring("its metadata says 4"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["position_key"] = "shared"; }), ContainsSubstring("one for all"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["position_key"] = "role"; }), ContainsSubstring("\"roles\""));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["layers"] = {2}; }), ContainsSubstring("layers from 0 to 1"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["layers"] = {0}; }), ContainsSubstring("does not list"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one.erase("layers"); }), ContainsSubstring("layers from 0 to 1"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["parameters"] = io::json::array(); }),
             ContainsSubstring("at least one object"));
  const auto parameter = [](auto change) { return [change](auto&, auto& one) { change(one["parameters"][0]); }; };
  CHECK_THAT(refused_2(parameter([](auto& p) { p["tensor"] = "attn_out.beta"; })),
             ContainsSubstring("lacks the tensor 'attn_out.beta'"));
  CHECK_THAT(refused_2([](auto&, auto& one) { one["parameters"].push_back(one["parameters"][0]); }),
             ContainsSubstring("for two parameters"));
  for (const io::json& axes : {io::json(7), io::json::array(), io::json({"position", "layer"}),
                               io::json({"layer", "x"}), io::json({"position"}), io::json({"layer", "layer"})})
    CHECK_THAT(refused_2(parameter([&](auto& p) { p["axes"] = axes; })), ContainsSubstring("\"axes\" should be"));
  CHECK_THAT(refused_2(parameter([](auto& p) {
               p["axes"] = {"layer", "position", "channel"};
             })),
             ContainsSubstring("of shape [2, 3]; expected [L, P, D]"));
  CHECK_THAT(refused_2(parameter([](auto& p) {
                         p["axes"] = {"layer", "position", "head"};
                       }),
                       {{"attn_out.alpha", numbers({2, 3, 2})}}),
             ContainsSubstring("with an axis of heads"));
  CHECK_THAT(refused_2([](auto&, auto&) {}, {{"attn_out.alpha", numbers({2, 3})}, {"mlp_out.alpha", numbers({2, 3})}}),
             ContainsSubstring("which none of its interventions names"));
  CHECK_THAT(
      refused_2([](auto&, auto&) {}, {{"attn_out.alpha", numbers({2, 3}, std::numeric_limits<float>::infinity())}}),
      ContainsSubstring("not finite"));
  CHECK_THAT(refused_2([](auto&, auto&) {}, {{"attn_out.alpha", numbers({2, 0})}}),
             ContainsSubstring("holds no numbers"));
}

TEST_CASE("A file of version 1 from elsewhere needs format, policy and position key only") {
  const auto file = read(version_1, {{"mlp_out.alpha", numbers({2, 3})}, {"attn_out.alpha", numbers({2, 3})}});
  CHECK(file.version == 1);
  REQUIRE(file.interventions.size() == 2);
  CHECK(file.interventions[0].site == "attn_out");  // in the order in which they act
  CHECK(file.interventions[0].positions == positions::absolute(3));
  CHECK(file.interventions[0].layers == std::vector<index_t>{0, 1});
  CHECK_FALSE(file.interventions[0].settings);
  CHECK(file.interventions[1].parameters[0].tensor == "mlp_out.alpha");
  CHECK_FALSE(file.model);
}

TEST_CASE("Axes of a version 1 file come from its policy, or from its shapes") {
  const auto axes = [](const std::string& policy, const std::string& key, const std::string& tensor,
                       std::vector<index_t> shape) {
    auto with = version_1;
    with["policy"] = policy, with["position_key"] = key;
    return read(with, {{tensor, numbers(std::move(shape))}}).interventions[0].parameters[0].axes;
  };
  using list = std::vector<tensor_axis>;
  CHECK(axes("activ-scalar", "shared", "attn_out.alpha", {2, 1}) == list{layer, position});
  CHECK(axes("steer-vec", "absolute", "attn_z.vector", {2, 3, 2, 4}) == list{layer, position, head, channel});
  CHECK(axes("dyn-scalar", "shared", "attn_out.weight", {2, 8}) == list{layer, channel});
  CHECK(axes("dyn-scalar-tanh", "shared", "attn_out.bias", {2}) == list{layer});
  CHECK(axes("dyn-scalar", "from_end", "attn_out.weight", {2, 3, 8}) == list{layer, position, channel});
  CHECK(axes("custom", "absolute", "attn_out.alpha", {2, 3, 8}) == list{layer, position, channel});
  CHECK(axes("custom", "absolute", "attn_out.weight", {2, 3}) == list{layer, position});
  CHECK(axes("sequence", "shared", "attn_out.1.weight", {2, 8}) == list{layer, channel});
  CHECK(axes("sequence", "shared", "attn_out.0.alpha", {2, 1}) == list{layer, position});
}

TEST_CASE("A malformed file of version 1 is refused with the reason") {
  const tensors good = {{"attn_out.alpha", numbers({2, 3})}};
  const auto refused_1 = [](const metadata& changes, const tensors& of) { return refused(version_1, changes, of); };
  CHECK_THAT(refused_1({{"format", "other"}}, good), ContainsSubstring("format trimtab-intervention-2"));
  CHECK_THAT(refused_1({{"policy", ""}}, good), ContainsSubstring("lacks \"policy\""));
  CHECK_THAT(refused_1({{"position_key", "relative"}}, good),
             ContainsSubstring("expected absolute, from_end, role or shared"));
  CHECK_THAT(refused_1({{"position_key", "shared"}}, good), ContainsSubstring("3 positions"));
  CHECK_THAT(refused_1({{"position_key", "role"}}, good), ContainsSubstring("lacks \"roles\""));
  CHECK_THAT(refused_1({{"position_key", "role"}, {"roles", "[\"a\"]"}}, good), ContainsSubstring("array of 3 names"));
  CHECK_THAT(refused_1({{"positions", "4"}}, good), ContainsSubstring("its tensors have 3"));
  CHECK_THAT(refused_1({{"model", "gpt2"}}, good), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refused_1({{"layers", "{\"attn_out\": [2]}"}}, good), ContainsSubstring("layers from 0 to 1"));
  CHECK_THAT(refused_1({{"layers", "{\"attn_out\": [0]}"}}, good), ContainsSubstring("does not list"));
  CHECK_THAT(refused_1({}, {}), ContainsSubstring("no tensors"));
  CHECK_THAT(refused_1({}, {{"attn_in.alpha", numbers({2, 3})}}), ContainsSubstring("the sites are resid_pre"));
  CHECK_THAT(refused_1({}, {{"attn_out.vector", numbers({2, 3, 4})}}),
             ContainsSubstring("does not belong to the policy 'activ-scalar'"));
  CHECK_THAT(refused_1({{"policy", "dyn-scalar-rms"}}, good), ContainsSubstring("policy 'dyn-scalar-rms'"));
  CHECK_THAT(refused_1({}, {{"attn_out.alpha", numbers({2, 3, 1})}}), ContainsSubstring("expected [L, P]"));
  CHECK_THAT(refused_1({}, {{"attn_out.alpha", numbers({2, 3})}, {"mlp_out.alpha", numbers({3, 3})}}),
             ContainsSubstring("layers"));
  CHECK_THAT(refused_1({}, {{"attn_out.alpha", numbers({2, 3})}, {"mlp_out.alpha", numbers({2, 4})}}),
             ContainsSubstring("positions"));
  CHECK_THAT(refused_1({}, {{"attn_out.alpha", numbers({2, 0})}}), ContainsSubstring("holds no numbers"));
  CHECK_THAT(refused_1({}, {{"attn_out.alpha", numbers({2, 3}, std::numeric_limits<float>::quiet_NaN())}}),
             ContainsSubstring("not finite"));
}

TEST_CASE("Numbers that are not finite are not saved") {
  const auto folder = temporary_folder();
  auto file = example();
  file.interventions[0].parameters[0].numbers.values[0] = std::numeric_limits<double>::infinity();
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { io::write_intervention(folder.path() / "i", file); }),
             ContainsSubstring("'attn_out.alpha'"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "i"));
}

}  // namespace trimtab::test::intervention_file_tests
