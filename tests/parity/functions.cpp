// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/objective/norm_preservation.hpp>
#include <trimtab/objective/retention.hpp>
#include <trimtab/policy/library.hpp>
#include <trimtab/steer/dynamic_steering.hpp>
#include <trimtab/steer/objective_and_gradient.hpp>

#include "parity/fixture.hpp"
#include "parity/models.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <variant>

namespace trimtab::test::functions_tests {

// The richer policies and terms against those of functions.py, whose head describes the files.

namespace {

std::vector<prompt_pair> read_prompts(const io::json& from) {
  std::vector<prompt_pair> prompts;
  for (const io::json& p : from) {
    prompt_pair pair;
    p.at("ids").get_to(pair.ids);
    p.at("retained").get_to(pair.retained);
    p.at("correct_ids").get_to(pair.all_correct.ids);
    p.at("wrong_ids").get_to(pair.all_wrong.ids);
    pair.correct_id = pair.all_correct.ids.front();
    pair.wrong_id = pair.all_wrong.ids.front();
    if (p.at("sequence") == true) {
      pair.correct_rest.assign(pair.all_correct.ids.begin() + 1, pair.all_correct.ids.end());
      pair.wrong_rest.assign(pair.all_wrong.ids.begin() + 1, pair.all_wrong.ids.end());
    }
    if (p.at("sequence") == true or pair.all_correct.ids.size() == 1) pair.all_correct = {};
    if (p.at("sequence") == true or pair.all_wrong.ids.size() == 1) pair.all_wrong = {};
    prompts.push_back(std::move(pair));
  }
  return prompts;
}

/// Compares loss, logit differences and gradient of one case.
template <typename Model>
void check_case(const Model& model, const io::json& all, const io::json& c, const io::safetensors_file& values) {
  using B = typename Model::backend_type;
  const auto name = c.at("name").template get<std::string>();
  CAPTURE(name);
  const auto tensors = [&](const std::string& part) {
    const std::string prefix = name + "/" + part + "/";
    std::map<std::string, std::vector<double>> found;
    for (const auto& [tensor, entry] : values.tensors())
      if (tensor.starts_with(prefix)) found[tensor.substr(prefix.size())] = values.read<double>(tensor).values;
    return found;
  };
  policy::options options;
  for (const auto& [option, value] : c.at("options").items()) options.emplace_back(option, value);
  std::vector<any_intervention<B>> chosen;
  const auto positions =
      c.at("position_key") == "shared" ? positions::shared() : positions::from_end(c.at("positions"));
  policy::visit_with(c.at("policy").template get<std::string>(), options, [&](auto policy) {
    for (const auto& site : c.at("sites"))
      chosen.push_back({*site::find(site.template get<std::string>()), policy,
                        layers::list(c.at("layers").template get<std::vector<index_t>>()), positions});
  });
  const auto composition = steer(model, std::move(chosen));
  const auto prompts = read_prompts(all.at("prompts"));
  const auto layout = composition.layout(prompts);
  const parameters at{layout, lane_of(layout, tensors("params"))};
  const auto sum = objective::effectiveness{.margin = 1, .shape = objective::psi::softplus} +
                   1.0 * objective::faithfulness{} + 0.1 * objective::minimality{} +
                   all.at("lambda_r").template get<double>() * objective::retention{};
  const auto strengths = all.at("strengths").template get<std::vector<double>>();
  const auto found = objective_and_gradient(composition, sum, at, prompts, strengths);
  REQUIRE(found.loss.terms.size() == 4);
  for (const term_value& term : found.loss.terms) {
    CAPTURE(term.name);
    CHECK(std::abs(term.value - c.at("terms").at(term.name).template get<double>()) <= 1e-10);
  }
  CHECK(difference(found.logit_diffs, c.at("logit_diffs").template get<std::vector<double>>()) <= 1e-10);
  const auto check_gradient = [&](const objective_gradient& of, const std::string& part) {
    CAPTURE(part);
    const auto gradient = tensors_of(layout, of.gradient, model.config().layers);
    const auto expected = tensors(part);
    CHECK(gradient.size() == expected.size());
    for (const auto& [tensor, numbers] : expected) {
      CAPTURE(tensor);
      CHECK(largest(numbers) > 0);
      CHECK(difference(gradient.at(tensor), numbers) / std::max(largest(numbers), 1e-3) <= 1e-9);
    }
  };
  check_gradient(found, "grad");
  const auto norms = objective_and_gradient(composition, objective::norm_preservation{}, at, prompts, strengths);
  const auto expected = c.at("terms").at("norm_preservation").template get<double>();
  CHECK(expected > 0);
  CHECK(std::abs(norms.loss.total() - expected) <= 1e-12);
  check_gradient(norms, "grad_norm");
}

}  // namespace

TEST_CASE("richer policies, sets, sequences, retention and norm preservation are those of the reference") {
  const std::string name = GENERATE(as<std::string>{}, "gpt2-a", "neox-parallel");  // those that have functions
  CAPTURE(name);
  const auto folder = std::filesystem::path(TRIMTAB_SOURCE_DIR) / "tests/parity/fixtures" / name;
  const io::json all = io::read_json_file(folder / "functions.json");
  const io::safetensors_file values(folder / "functions.safetensors");
  const auto model = read_model<double>(folder);
  REQUIRE(all.at("cases").size() == 7);
  for (const io::json& c : all.at("cases"))
    std::visit([&](const auto& of_type) { check_case(of_type, all, c, values); }, model);
}

}  // namespace trimtab::test::functions_tests
