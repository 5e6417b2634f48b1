// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/control_vector.hpp>

#include "support/catch.hpp"
#include "support/gguf_text.hpp"
#include "support/refusal.hpp"
#include "support/small_intervention.hpp"
#include "support/temporary_folder.hpp"

#include <limits>

namespace trimtab::test::control_vector_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

const model_facts model{.architecture = "gpt2", .residual = "sequential", .layers = 4, .width = 8};

intervention_file vectors_at(const std::string& site, position_key key = positions::shared()) {
  auto file = example_intervention("steer-vec", {{site + ".vector", {4, key.count(), 8}}}, key);
  file.model = model;
  return file;
}
/// With zeros in these layers, which remain among those of the intervention.
intervention_file without(intervention_file file, std::initializer_list<index_t> layers) {
  for (saved_intervention& i : file.interventions)
    for (saved_parameter& p : i.parameters) {
      const auto size = std::ssize(p.numbers.values) / 4;
      for (const index_t layer : layers) std::fill_n(p.numbers.values.begin() + layer * size, size, 0.0);
    }
  return file;
}

class written {
 public:
  std::filesystem::path operator()(const intervention_file& file) const {
    const auto bytes = io::control_vector_bytes(file);
    return (*this)(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  std::filesystem::path operator()(const std::string& content) const { return folder_.file("v.gguf", content); }

 private:
  temporary_folder folder_ = {};
};

gguf_text control_vector() { return gguf_text{}.entry("general.architecture", "controlvector"); }

}  // namespace

TEST_CASE("Vectors at resid_post survive a control vector, each at its layer") {
  const written write;
  const auto file = without(vectors_at("resid_post"), {0, 2});
  const auto back = io::read_control_vector(write(file), model);
  REQUIRE(back.interventions.size() == 1);
  const auto& i = back.interventions.front();
  CHECK(i.site == "resid_post");
  CHECK(i.policy == "steer-vec");
  CHECK(i.layers == std::vector<index_t>{1, 3});
  CHECK(i.positions == positions::shared());
  CHECK(back.model == model);
  const auto& before = file.interventions.front().parameters.front().numbers;
  const auto& after = i.parameters.front().numbers;
  CHECK(after.shape == before.shape);
  for (std::size_t j = 0; j < before.values.size(); ++j)
    CHECK(after.values[j] == static_cast<double>(static_cast<float>(before.values[j])));

  const io::gguf_file gguf(write(file));
  CHECK(gguf.tensors().size() == 2);
  CHECK(gguf.tensors().contains("direction.1"));
  CHECK(gguf.tensors().contains("direction.3"));
  CHECK(*gguf.entry<std::string>("controlvector.model_hint") == "gpt2");
  CHECK(*gguf.entry<std::int64_t>("controlvector.layer_count") == 2);
}

TEST_CASE("A vector of llama.cpp's generator is one layer late") {
  const written write;
  const auto path = write(without(vectors_at("resid_post"), {0}));
  const auto block = io::read_control_vector(path, model);
  const auto late = io::read_control_vector(path, model, io::direction_numbers::one_late);
  CHECK(block.interventions.front().layers == std::vector<index_t>{1, 2, 3});
  CHECK(late.interventions.front().layers == std::vector<index_t>{0, 1, 2});
  const auto& of_block = block.interventions.front().parameters.front().numbers.values;
  const auto& of_late = late.interventions.front().parameters.front().numbers.values;
  CHECK(std::equal(of_late.begin(), of_late.begin() + 24, of_block.begin() + 8));
}

TEST_CASE("What has the effect of a vector after a block is exported as one, and vectors add up") {
  const auto at = [](const intervention_file& file, index_t block, std::size_t j) {
    return io::stream_vectors(file).at(block)[j];
  };
  const auto number = [](const intervention_file& file, index_t layer, std::size_t j) {
    return file.interventions.front().parameters.front().numbers.values[static_cast<std::size_t>(layer) * 8 + j];
  };
  auto file = without(vectors_at("mlp_out"), {0});
  CHECK(at(file, 2, 3) == number(file, 2, 3));
  const auto pre = without(vectors_at("resid_pre"), {0, 1});
  CHECK(at(pre, 1, 3) == number(pre, 2, 3));
  CHECK(io::stream_vectors(pre).size() == 2);
  auto attention = without(vectors_at("attn_out"), {0});
  attention.model->residual = "parallel";
  CHECK(at(attention, 3, 0) == number(attention, 3, 0));
  file.interventions.push_back(pre.interventions.front());
  CHECK(at(file, 2, 5) == number(file, 2, 5) + number(pre, 3, 5));
  auto affine =
      example_intervention("affine", {{"mlp_out.alpha", {4, 1}}, {"mlp_out.vector", {4, 1, 8}}}, positions::shared());
  std::ranges::fill(affine.interventions.front().parameters.front().numbers.values, 0.0);
  CHECK(io::stream_vectors(without(affine, {0})).size() == 3);
}

TEST_CASE("What has no place in a control vector is refused, not dropped") {
  const auto refused = [](const intervention_file& file) {
    return refusal(error_kind::mismatch, [&] { io::control_vector_bytes(file); });
  };
  CHECK(refused(vectors_at("resid_post")) ==
        "steer-vec at resid_post in layer 0 has no place in a control vector: the first block that a control vector "
        "reaches is 1; bake it into the weights");
  CHECK_THAT(refused(without(vectors_at("resid_pre"), {0})), ContainsSubstring("first block"));
  CHECK_THAT(refused(without(vectors_at("attn_out"), {0})), ContainsSubstring("acts on the output of a block"));
  CHECK_THAT(refused(without(vectors_at("resid_mid"), {0})), ContainsSubstring("acts on the output of a block"));
  CHECK_THAT(refused(without(vectors_at("mlp_post"), {0})), ContainsSubstring("acts on the output of a block"));
  CHECK_THAT(refused(vectors_at("resid_post", positions::from_end(2))), ContainsSubstring("positions are from_end"));
  const auto scalars = example_intervention("activ-scalar", {{"mlp_out.alpha", {4, 1}}}, positions::shared());
  CHECK_THAT(refused(scalars), ContainsSubstring("does more than add a vector"));
  CHECK_THAT(refused(example_intervention("affine", {{"mlp_out.alpha", {4, 1}}, {"mlp_out.vector", {4, 1, 8}}},
                                          positions::shared())),
             ContainsSubstring("does more than add a vector"));
  CHECK_THAT(refused(example_intervention("dyn-scalar", {{"mlp_out.weight", {4, 8}}}, positions::shared())),
             ContainsSubstring("does more than add a vector"));
  refusal(error_kind::bad_argument, [&] { io::control_vector_bytes(without(vectors_at("mlp_out"), {0, 1, 2, 3})); });
  auto large = without(vectors_at("mlp_out"), {0});
  large.interventions.front().parameters.front().numbers.values[9] = 1e300;
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { io::control_vector_bytes(large); }),
             ContainsSubstring("float cannot hold"));
}

TEST_CASE("Control vectors of other writers are read, and others are refused by name") {
  const written write;
  const auto read = [&](const std::string& content, load_options how = {}) {
    return io::read_control_vector(write(content), model, io::direction_numbers::block, how);
  };
  const auto refused = [&](error_kind kind, const gguf_text& content) {
    const auto why = refusal(kind, [&] { read(content.content()); });
    CHECK_THAT(why, ContainsSubstring("v.gguf"));
    return why;
  };
  using enum error_kind;
  for (const auto type : {4u, 5u})  // as repeng has the count of layers, and as llama.cpp has it
    CHECK(read(control_vector()
                   .entry("controlvector.layer_count", type, std::int32_t{1})
                   .tensor("direction.3", {8})
                   .content())
              .interventions.front()
              .layers == std::vector<index_t>{3});
  CHECK_THAT(refused(bad_file, gguf_text{}.tensor("direction.1", {8})), ContainsSubstring("found nothing"));
  CHECK_THAT(refused(bad_file, gguf_text{}.entry("general.architecture", "llama").tensor("direction.1", {8})),
             ContainsSubstring("llama"));
  CHECK_THAT(refused(bad_file, control_vector()), ContainsSubstring("holds no direction"));
  CHECK_THAT(refused(bad_file, control_vector().entry("controlvector.layer_count", "1").tensor("direction.1", {8})),
             ContainsSubstring("layer_count"));
  CHECK_THAT(
      refused(bad_file,
              control_vector().entry("controlvector.layer_count", 5, std::int32_t{-1}).tensor("direction.1", {8})),
      ContainsSubstring("layer_count"));
  for (const std::string name : {"direction", "direction.", "direction.x", "direction.1x", "direction.01",
                                 "direction.-1", "direction.99999999999999999999", "weight"})
    CHECK_THAT(refused(bad_file, control_vector().tensor(name, {8})), ContainsSubstring("expected direction.1"));
  CHECK_THAT(refused(mismatch, control_vector().tensor("direction.0", {8})),
             ContainsSubstring("the directions are 1 to 3"));
  CHECK_THAT(refused(mismatch, control_vector().tensor("direction.4", {8})),
             ContainsSubstring("the directions are 1 to 3"));
  CHECK_THAT(refused(mismatch, control_vector().tensor("direction.1", {7})), ContainsSubstring("width is 8"));
  CHECK_THAT(refused(mismatch, control_vector().tensor("direction.1", {8, 1})), ContainsSubstring("width is 8"));
  CHECK_THAT(refused(bad_file, control_vector().tensor("direction.1", {8}, 1)), ContainsSubstring("of the type 1"));
  const auto other = control_vector().entry("controlvector.model_hint", "llama").tensor("direction.1", {8});
  CHECK_THAT(refused(mismatch, other), ContainsSubstring("family \"llama\""));
  CHECK(read(other.content(), {.allow_other_weights = true}).interventions.size() == 1);
  auto infinite = control_vector().tensor("direction.1", {8}).content();
  const float infinity = std::numeric_limits<float>::infinity();
  infinite.replace(infinite.size() - 4, 4, gguf_text::bytes(infinity));
  CHECK_THAT(refusal(bad_file, [&] { read(infinite); }), ContainsSubstring("not finite"));
}

}  // namespace trimtab::test::control_vector_tests
