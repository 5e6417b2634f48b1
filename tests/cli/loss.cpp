// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/intervention_file.hpp>

#include "support/small_intervention.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
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

TEST_CASE("loss and eval take the objective of the fit, and given options replace it") {
  const model_for_cli model;
  const auto fitted = model.name("fitted.safetensors"), silent = model.name("silent.safetensors"),
             stays = model.name("stays.jsonl");
  std::ofstream(stays) << "{\"ids\": [5, 6, 7, 8]}\n";
  const std::vector<std::string> objective = {
      "--psi",       "softplus",   "--margin",   "3",          "--kl",       "full",         "--kl-direction",
      "reverse",     "--lambda-f", "0.5",        "--lambda-m", "0.02",       "--minimality", "mean",
      "--strengths", "1,-0.5",     "--lambda-n", "0.3",        "--lambda-r", "0.7"};
  const std::vector<std::string> on = {"--model", model.path(), "--data", model.data(), "--precision",
                                       "double",  "--retain",   stays,    "--json"};
  REQUIRE(run_trimtab(with(with({"fit", "--steps", "3", "--out", fitted}, on), objective)).status == 0);
  auto without = io::read_intervention(fitted);
  without.made.clear();
  io::write_intervention(silent, without);
  const auto run = [&](const std::string& command, const std::string& file, const std::vector<std::string>& more = {}) {
    return run_trimtab(with(with({command, "--intervention", file}, on), more)).out;
  };
  for (const std::string command : {"loss", "eval"}) {
    CAPTURE(command);
    CHECK(run(command, fitted) == run(command, silent, objective));
    for (std::size_t k = 0; k < objective.size(); k += 2) {
      const std::string other = objective[k] == "--psi"            ? "hinge"
                                : objective[k] == "--kl"           ? "masked"
                                : objective[k] == "--kl-direction" ? "forward"
                                : objective[k] == "--minimality"   ? "sum"
                                : objective[k] == "--strengths"    ? "1,-1"
                                                                   : "0.75";
      auto changed = objective;
      changed[k + 1] = other;
      CAPTURE(objective[k]);
      const auto given = run(command, fitted, {objective[k], other});
      CHECK(given == run(command, silent, changed));
      if (command == "loss" or objective[k] != "--lambda-r") CHECK(given != run(command, fitted));
    }
  }
}

TEST_CASE("The KL is told at each strength, and its mean over them") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  io::write_intervention(file,
                         example_intervention("activ-scalar", {{"attn_out.alpha", {2, 4}}}, positions::absolute(4)));
  const std::vector<std::string> eval = {"eval",       "--model",        model.path(), "--data",
                                         model.data(), "--intervention", file};
  const auto whole = run_trimtab(with(eval, {"--strengths", "1,-0.5", "--json"})).json();
  const auto& found = whole["data"];
  for (const std::string words : {"masked", "full"}) {
    CAPTURE(words);
    const auto& each = found["kl_by_strength"][words];
    REQUIRE(each.size() == 2);
    const double at_one = each["+1"].get<double>(), below = each["-0.5"].get<double>();
    CHECK(at_one > 0);
    CHECK(at_one != below);
    CHECK(std::abs((at_one + below) / 2 - found["kl_" + words].get<double>()) < 1e-12);
    const double alone =
        run_trimtab(with(eval, {"--strengths", "1", "--json"})).json()["data"]["kl_" + words].get<double>();
    CHECK(std::abs(at_one - alone) < 1e-12);
  }
  CHECK(whole["untouched"]["data"]["kl_by_strength"]["masked"]["+1"] == 0);
  const auto text = run_trimtab(eval).out;
  for (const std::string words : {"KL without the answers ", "KL over all tokens "}) {
    const auto line = text.substr(std::min(text.find(words), text.size()));
    CHECK_THAT(line.substr(0, line.find('\n')),
               Catch::Matchers::Contains(" at +1, ") and Catch::Matchers::EndsWith(" at -1"));
  }
}

}  // namespace trimtab::test::loss_tests
