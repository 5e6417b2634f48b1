// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/intervention_file.hpp>

#include <cmath>

namespace trimtab::test::failures_tests {

using Catch::Matchers::ContainsSubstring;

/// A fit that failed says so, in text, in JSON and on its page.

namespace {

outcome fit_on(const model_for_cli& model, std::vector<std::string> more) {
  std::vector<std::string> all = {"fit", "--model", model.path(), "--data", model.data(), "--precision", "double"};
  all.insert(all.end(), more.begin(), more.end());
  return run_trimtab(all);
}

bool has(const io::json& warnings, const std::string& part) {
  return std::ranges::any_of(
      warnings, [&](const auto& w) { return w.template get<std::string>().find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("A fit that learned nothing says so beside the weight at which nothing can be learned") {
  const model_for_cli model;
  const auto page = model.name("p.html");
  const auto found = fit_on(model, {"--lambda-m", "1000", "--steps", "3", "--json", "--report", page}).json();
  REQUIRE(found["nonzero_parameters"] == 0);
  CHECK(has(found["warnings"], "nothing was learned: all "));
  CHECK(has(found["warnings"], "at the minimality weight 1e+03, and from "));
  CHECK_THAT(content_of(page), ContainsSubstring("Warning: nothing was learned"));
  const auto text = fit_on(model, {"--lambda-m", "1000", "--steps", "3"});
  CHECK_THAT(text.out, ContainsSubstring("\nwarning: nothing was learned"));
}

TEST_CASE("A fit whose answers leave no other token says that its KL measures nothing") {
  const model_for_cli model;
  io::json line = {{"ids", {1, 2, 3, 4}}};
  for (int id = 0; id < 299; ++id) line[id < 150 ? "correct_ids" : "wrong_ids"].push_back(id);
  const auto data = model.file("all.jsonl", line.dump() + "\n"), file = model.name("i.safetensors");
  const std::vector<std::string> on{"--model", model.path(), "--data", data, "--json"};
  const auto fit = run_trimtab(with({"fit", "--steps", "1", "--out", file}, on));
  CHECK(has(fit.json()["warnings"], "so the KL without the answers is always 0; give --kl full"));
  CHECK_THAT(run_trimtab(with({"eval", "--intervention", file}, on)).err, ContainsSubstring("--kl full"));
  CHECK_THAT(run_trimtab(with({"eval", "--intervention", file, "--kl", "full"}, on)).err,
             not ContainsSubstring("--kl full"));
  CHECK_FALSE(has(fit_on(model, {"--steps", "1", "--json"}).json()["warnings"], "--kl full"));
}

TEST_CASE("A fit that made things worse, or has not come to rest, says so with what to try") {
  const model_for_cli model;
  const auto worse = fit_on(model, {"--lr", "5", "--steps", "3", "--lambda-m", "0.0001", "--json"}).json();
  CHECK(has(worse["warnings"], "the loss ended higher than it began"));
  CHECK(has(worse["warnings"], "lower the learning rate"));
  const auto early = fit_on(model, {"--steps", "2", "--lambda-m", "0.0001", "--json"}).json();
  CHECK(has(early["warnings"], "the fit is not at rest: the last 1 of 2 steps account for "));
}

TEST_CASE("A weight of minimality may be a share of the one from which on nothing is learned") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  const auto half = fit_on(model, {"--lambda-m", "0.5max", "--steps", "2", "--out", file, "--json"}).json();
  const double lambda = half["lambda_m"], most = half["lambda_max"];
  CHECK(lambda == 0.5 * most);
  CHECK(half["nonzero_parameters"] > 0);
  const auto made = io::read_intervention(file).made;
  CHECK(made.at("lambda_m_share") == "0.5max");
  CHECK(std::stod(made.at("lambda_m")) == lambda);
  CHECK(fit_on(model, {"--lambda-m", "1max", "--steps", "2", "--json"}).json()["nonzero_parameters"] == 0);
  // The same fit by its number, and as a point of a sweep.
  const auto number = fit_on(model, {"--lambda-m", made.at("lambda_m"), "--steps", "2", "--json"}).json();
  CHECK(number["train"] == half["train"]);
  const auto swept = run_trimtab({"sweep", "--model", model.path(), "--data", model.data(), "--precision", "double",
                                  "--lambda-m", "0.5max", "--steps", "2", "--vary", "lr=0.03", "--json"})
                         .json();
  CHECK(swept["lambda_max"] == most);
  CHECK(swept["points"][0]["train"] == half["train"]);
  for (const auto* wrong : {"max", "-1max", "xmax", "0.5min"}) CHECK(fit_on(model, {"--lambda-m", wrong}).status == 1);
}

TEST_CASE("Without a weight of minimality it is a share of the largest, or the number of a policy that has none") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  const auto usual = fit_on(model, {"--steps", "2", "--out", file, "--json"}).json();
  CHECK(usual["lambda_max"] > 0);
  CHECK(usual["lambda_m"] == 0.01 * usual["lambda_max"].get<double>());
  CHECK(io::read_intervention(file).made.at("lambda_m_share") == "0.01max");
  CHECK(fit_on(model, {"--lambda-m", "0.01max", "--steps", "2", "--json"}).json()["objective"] == usual["objective"]);
  const auto swept = run_trimtab({"sweep", "--model", model.path(), "--data", model.data(), "--precision", "double",
                                  "--steps", "2", "--vary", "policy=activ-scalar,project-out", "--json"})
                         .json();
  CHECK(swept["lambda_max"] == usual["lambda_max"]);
  CHECK(swept["points"][0]["train"] == usual["train"]);

  const auto away = fit_on(model, {"--policy", "project-out", "--steps", "2", "--json"}).json();
  CHECK(away["lambda_m"] == 0.003);
  CHECK(not away.contains("lambda_max"));
  CHECK(swept["points"][1]["train"] == away["train"]);

  // An evaluation weighs as the fit did, unless it is told otherwise.
  const auto weight_of = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"eval", "--model", model.path(), "--data", model.data(), "--precision", "double",
                               "--intervention", file, "--json"});
    const auto found = run_trimtab(more).json();
    const auto terms = found["objective"].begin().value();
    const double rest = terms["effectiveness"].get<double>() + terms["faithfulness"].get<double>();
    return (terms["loss"].get<double>() - rest) / found["l1"].get<double>();
  };
  CHECK(std::abs(weight_of({}) / usual["lambda_m"].get<double>() - 1) < 1e-6);
  CHECK(std::abs(weight_of({"--lambda-m", "2"}) / 2 - 1) < 1e-6);
  // So it does with the fit's norm, here l1 over the number of parameters.
  const auto mean = fit_on(model, {"--minimality", "mean", "--steps", "2", "--out", file, "--json"}).json();
  const double parameters = mean["parameters"];
  CHECK(std::abs(weight_of({}) * parameters / mean["lambda_m"].get<double>() - 1) < 1e-6);
  CHECK(std::abs(weight_of({"--minimality", "sum"}) / mean["lambda_m"].get<double>() - 1) < 1e-6);
}

TEST_CASE("A vector at two sites that are one is told, and left out where no sites were asked for") {
  const model_for_cli model(GENERATE(false, true));
  const auto file = model.name("i.safetensors");
  const auto fit = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--policy", "steer-vec", "--steps", "2", "--out", file, "--json"});
    return fit_on(model, more).json();
  };
  CHECK(not has(fit({})["warnings"], "splits one intervention in two"));
  std::vector<std::string> sites;
  for (const auto& i : io::read_intervention(file).interventions) sites.push_back(i.site);
  const bool parallel = io::read_intervention(file).model->residual == "parallel";
  CHECK(sites ==
        (parallel ? std::vector<std::string>{"resid_post"} : std::vector<std::string>{"attn_out", "resid_post"}));
  const auto once = fit({"--sites", "resid_post"}), twice = fit({"--sites", "mlp_out,resid_post"});
  CHECK(has(twice["warnings"], "steer-vec at mlp_out of layer 0, 1 does the same as at resid_post"));
  CHECK(twice["parameters"] == once["parameters"]);
}

}  // namespace trimtab::test::failures_tests
