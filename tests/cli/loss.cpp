// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/intervention_file.hpp>

#include "support/small_intervention.hpp"

#include <cmath>
#include <stdexcept>

namespace trimtab::test::loss_tests {

namespace {

named_tensor& numbers_of(intervention_file& file, const std::string& tensor) {
  for (saved_intervention& i : file.interventions)
    for (saved_parameter& p : i.parameters)
      if (p.tensor == tensor) return p.numbers;
  throw std::out_of_range(tensor);
}

}  // namespace

TEST_CASE("loss prints its terms, and they add up") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  io::write_intervention(file,
                         example_intervention("activ-scalar", {{"attn_out.alpha", {2, 4}}}, positions::absolute(4)));
  const auto found =
      run_trimtab({"loss", "--model", model.path(), "--data", model.data(), "--intervention", file, "--lambda-f", "0.5",
                   "--lambda-m", "2", "--margin", "3", "--strengths", "1,-0.5", "--json"})
          .json();
  const double expected = found["effectiveness"].get<double>() + 0.5 * found["faithfulness"].get<double>() +
                          2 * found["minimality"].get<double>();
  CHECK(std::abs(found["loss"].get<double>() - expected) < 1e-9);
  REQUIRE(found["per_prompt"].size() == 3);
  double effectiveness = 0, kl = 0;
  for (const auto& prompt : found["per_prompt"]) {
    effectiveness += std::max(0.0, 3 - prompt["logit_diff"]["+1"].get<double>()) / 6;
    effectiveness += std::max(0.0, 3 + prompt["logit_diff"]["-0.5"].get<double>()) / 6;
    kl += prompt["kl"].get<double>() / 3;
  }
  CHECK(std::abs(effectiveness - found["effectiveness"].get<double>()) < 1e-5);
  CHECK(std::abs(kl - found["faithfulness"].get<double>()) < 1e-9);
}

TEST_CASE("The gradient file agrees with finite differences of the loss") {
  struct example_case {
    std::string policy, tensor;
    std::map<std::string, std::vector<index_t>> shapes;
    position_key by;
  };
  const auto one = GENERATE(
      example_case{"activ-scalar",
                   "resid_post.alpha",
                   {{"attn_out.alpha", {2, 4}}, {"resid_post.alpha", {2, 4}}},
                   positions::absolute(4)},
      example_case{"steer-vec", "attn_z.vector", {{"attn_z.vector", {2, 2, 2, 8}}}, positions::from_end(2)},
      example_case{
          "dyn-scalar", "mlp_post.weight", {{"mlp_post.weight", {2, 24}}, {"mlp_post.bias", {2}}}, positions::shared()},
      example_case{"dyn-scalar", "mlp_out.weight", {{"mlp_out.weight", {2, 16}}}, positions::shared()});
  const bool parallel = GENERATE(false, true);
  CAPTURE(one.policy, one.tensor, parallel);
  const model_for_cli model(parallel);
  const auto file = model.name("i.safetensors"), gradient = model.name("g.safetensors");
  const auto loss_of = [&](const intervention_file& f, const std::vector<std::string>& more = {}) {
    io::write_intervention(file, f);
    std::vector<std::string> arguments = {
        "loss",   "--model",    model.path(), "--data",     model.data(), "--intervention", file,       "--precision",
        "double", "--lambda-f", "0.7",        "--lambda-m", "0",          "--psi",          "softplus", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_trimtab(arguments).json()["loss"].get<double>();
  };
  auto changed = example_intervention(one.policy, one.shapes, one.by);
  loss_of(changed, {"--gradient", gradient});
  const auto stored = io::safetensors_file(gradient);
  CHECK(stored.tensors().size() == one.shapes.size());
  CHECK(stored.tensors().at(one.tensor).type == io::dtype::f64);
  CHECK(stored.shape(one.tensor) == one.shapes.at(one.tensor));
  const auto expected = stored.read<double>(one.tensor).values;

  for (const std::size_t i : {std::size_t{0}, expected.size() / 2 - 1}) {
    double& x = numbers_of(changed, one.tensor).values[i];
    const double before = x, step = 1e-5;
    x = before + step;
    const double above = loss_of(changed);
    x = before - step;
    const double below = loss_of(changed);
    x = before;
    CAPTURE(i, expected[i]);
    CHECK(std::abs((above - below) / (2 * step) - expected[i]) < 1e-7);
  }
}

}  // namespace trimtab::test::loss_tests
