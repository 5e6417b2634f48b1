// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/intervention_file.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>

namespace trimtab::test::certify_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// Fits scalars at one site, from which `certify` starts.
std::string fitted_on(const model_for_cli& model) {
  const auto file = model.name("i.safetensors");
  run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--sites", "resid_post", "--steps", "60",
               "--lambda-m", "0.01", "--psi", "softplus", "--precision", "double", "--out", file});
  return file;
}

}  // namespace

TEST_CASE("certify says how stationary a fit is, what each place does and which subsets are enough", "[certify]") {
  const model_for_cli model;
  const auto file = fitted_on(model);
  const auto found = run_trimtab({"certify", "--model", model.path(), "--intervention", file, "--data", model.data(),
                                  "--precision", "double", "--json"})
                         .json();
  const auto& s = found["stationarity"];
  CHECK(s["lambda"] == 0.01);
  CHECK(s["largest"] >= s["mean"]);
  CHECK(s["at_kink"] == 0);

  const auto& out = found["leave_one_out"];
  const auto kept = out.size();
  REQUIRE((kept > 0 and kept <= 8));
  CHECK(found["subsets"]["considered"] == (1 << kept));
  CHECK(found["subsets"]["exact"] == true);
  CHECK(found["subsets"]["target"] == 0.95);
  REQUIRE(not found["subsets"]["smallest"].empty());
  const auto size = found["subsets"]["smallest"][0].size();
  for (const auto& set : found["subsets"]["smallest"]) CHECK(set.size() == size);

  // Without its place, the file gives the figures that are claimed of it.
  const auto& one = out[0];
  auto left = io::read_intervention(file);
  auto& tensor = left.interventions[0].parameters[0].numbers;
  const auto at =
      one["layer"].get<std::size_t>() * static_cast<std::size_t>(tensor.shape[1]) + one["position"].get<std::size_t>();
  CHECK(tensor.values[at] == one["value"].get<double>());
  tensor.values[at] = 0;
  const auto without = model.name("without.safetensors");
  io::write_intervention(without, left);
  const auto evaluate = [&](const std::string& which) {
    return run_trimtab({"eval", "--model", model.path(), "--intervention", which, "--data", model.data(), "--precision",
                        "double", "--json"})
        .json()["data"];
  };
  const auto alone = evaluate(without), whole = evaluate(file);
  for (const auto key : {"flip_rate", "logit_diff", "kl_masked"}) CHECK(one[key] == alone[key]);
  for (const auto strength : {"+1", "-1"})
    CHECK(std::abs(one["change"]["logit_diff"][strength]["mean"].get<double>() -
                   (alone["logit_diff"][strength].get<double>() - whole["logit_diff"][strength].get<double>())) <
          1e-12);
}

TEST_CASE("certify takes the objective from the file, and asks for what an old file lacks", "[certify]") {
  const model_for_cli model;
  const auto file = fitted_on(model);
  auto old = io::read_intervention(file);
  old.made.erase("psi");
  const auto lacking = model.name("old.safetensors");
  io::write_intervention(lacking, old);
  const std::vector<std::string> rest{"--model",     model.path(), "--data", model.data(),
                                      "--precision", "double",     "--json"};
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    return run_trimtab(arguments);
  };
  const auto refused = run({"certify", "--intervention", lacking});
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, ContainsSubstring("does not say the psi of its fit; give --psi"));
  const auto whole = run({"certify", "--intervention", file});
  CHECK(run({"certify", "--intervention", lacking, "--psi", "softplus"}).out == whole.out);
  CHECK(run({"certify", "--intervention", file, "--lambda-m", "0.02"}).json()["stationarity"]["lambda"] == 0.02);

  old.made["psi"] = "\x1b[2J";
  io::write_intervention(lacking, old);
  CHECK_THAT(run({"certify", "--intervention", lacking}).err, ContainsSubstring("which is unknown; give --psi"));
}

TEST_CASE("Beyond --subsets places certify gives a bound, and says so", "[certify]") {
  const model_for_cli model;
  const auto file = fitted_on(model);
  const auto found = run_trimtab({"certify", "--model", model.path(), "--intervention", file, "--data", model.data(),
                                  "--subsets", "0", "--target", "0.5", "--json"})
                         .json();
  CHECK(found["subsets"]["exact"] == false);
  CHECK(found["subsets"]["smallest"].size() == 1);
  const auto text = run_trimtab(
      {"certify", "--model", model.path(), "--intervention", file, "--data", model.data(), "--subsets", "0"});
  CHECK_THAT(text.out, ContainsSubstring("an upper bound"));
  CHECK_THAT(text.out, ContainsSubstring("other values at fewer places may do as well"));
}

TEST_CASE("Polishing ends at a minimum, in fit and in certify alike", "[certify]") {
  const model_for_cli model;
  const auto file = fitted_on(model), better = model.name("better.safetensors"), at_once = model.name("at-once");
  const auto certified = [&](const std::string& which, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"certify", "--model",    model.path(),  "--intervention", which,
                                   "--data",  model.data(), "--precision", "double",         "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return run_trimtab(words).json();
  };
  const auto before = certified(file), polished = certified(file, {"--polish", "--out", better});
  CHECK(before["stationarity"]["largest"] > 0.001);
  CHECK(polished["polish"]["before"] == before["stationarity"]["largest"]);
  CHECK(polished["polish"]["after"] == polished["stationarity"]["largest"]);
  CHECK(polished["stationarity"]["largest"] < 1e-5);
  CHECK(certified(better)["stationarity"]["largest"] == polished["stationarity"]["largest"]);

  const auto fitted = run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--sites", "resid_post",
                                   "--steps", "60", "--lambda-m", "0.01", "--psi", "softplus", "--precision", "double",
                                   "--polish", "--out", at_once, "--json"})
                          .json();
  CHECK(fitted["polish"] == polished["polish"]);
  // The objective is that of the parameters in the file, not of those before polishing.
  const auto loss = run_trimtab({"loss", "--model", model.path(), "--data", model.data(), "--intervention", at_once,
                                 "--psi", "softplus", "--precision", "double", "--json"})
                        .json();
  CHECK(std::abs(fitted["objective"]["loss"].get<double>() - loss["loss"].get<double>()) < 1e-12);
  CHECK(io::read_intervention(at_once).interventions == io::read_intervention(better).interventions);
  CHECK(
      run_trimtab({"certify", "--model", model.path(), "--intervention", file, "--data", model.data(), "--out", better})
          .status == 2);
}

TEST_CASE("A polished file says the objective that it was polished for", "[certify]") {
  const model_for_cli model;
  const auto file = fitted_on(model), better = model.name("better.safetensors");
  const std::vector<std::string> on{"--model", model.path(), "--data", model.data(), "--precision", "double", "--json"};
  const std::vector<std::string> other{"--lambda-m", "0.03",     "--lambda-f",     "0.5",     "--margin",    "2",
                                       "--kl",       "full",     "--kl-direction", "reverse", "--strengths", "1,-0.5",
                                       "--psi",      "softplus", "--lambda-n",     "0.1"};
  REQUIRE(run_trimtab(with(with({"certify", "--intervention", file, "--polish", "--out", better}, on), other)).status ==
          0);
  const auto loss = [&](const std::vector<std::string>& more) {
    return run_trimtab(with(with({"loss", "--intervention", better}, on), more)).out;
  };
  CHECK(loss({}) == loss(other));
  CHECK(io::read_intervention(better).made.at("strengths") == "+1,-0.5");
}

TEST_CASE("A signal ends polishing within its step, and what it reached is in the file", "[certify]") {
  const model_for_cli model;
  const auto fitted = model.name("hinge.safetensors"), better = model.name("better.safetensors");
  const std::vector<std::string> fit{"fit",     "--model", model.path(), "--data",           model.data(),
                                     "--steps", "1",       "--sites",    "attn_out,mlp_out", "--json"};
  run_trimtab(with(fit, {"--out", fitted}));
  const auto ended = interrupt_trimtab({"certify", "--model", model.path(), "--intervention", fitted, "--data",
                                        model.data(), "--polish", "--out", better, "--json"},
                                       SIGTERM);
  CHECK(ended.status == 143);
  CHECK_THAT(ended.err, ContainsSubstring("ended by SIGTERM after") and ContainsSubstring("of polishing"));
  const auto found = io::parse_json(ended.out, "standard output");
  CHECK(found["interrupted"] == true);
  CHECK(io::read_intervention(better).made.at("polish_steps") == found["polish"]["steps"].dump());

  const auto fit_ended = interrupt_trimtab(with(fit, {"--polish", "--out", better}), SIGTERM);
  CHECK(fit_ended.status == 143);
  CHECK(io::parse_json(fit_ended.out, "standard output")["interrupted"] == true);
  CHECK(run_trimtab({"fit", "--like", better, "--json"}).json()["same_bits"] == true);
}

TEST_CASE("Polishing ends after as many steps as were asked for", "[certify]") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  const std::vector<std::string> fit{"fit",     "--model", model.path(),     "--data", model.data(),
                                     "--steps", "3",       "--polish-steps", "5",      "--json"};
  const auto found = run_trimtab(with(fit, {"--polish", "--out", file})).json();
  CHECK(found["polish"]["steps"] == 5);
  CHECK(found["interrupted"] == false);
  CHECK(run_trimtab({"fit", "--like", file, "--json"}).json()["same_bits"] == true);
  const auto alone = run_trimtab(fit);
  CHECK(alone.status == 2);
  CHECK_THAT(alone.err, ContainsSubstring("--polish-steps goes with --polish"));
}

TEST_CASE("The certificate of a fit that retained prompts is about the objective with them", "[certify]") {
  const model_for_cli model;
  const auto stays = model.name("stays.jsonl"), file = model.name("i.safetensors");
  std::ofstream(stays) << "{\"ids\": [5, 6, 7, 8]}\n{\"ids\": [1, 1, 2, 3]}\n";
  const std::vector<std::string> on{"--model", model.path(), "--data", model.data(), "--precision", "double", "--json"};
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.end(), on.begin(), on.end());
    return run_trimtab(words);
  };
  REQUIRE(run({"fit", "--sites", "resid_post", "--steps", "60", "--lambda-m", "0.01", "--psi", "softplus", "--retain",
               stays, "--lambda-r", "20", "--polish", "--out", file})
              .status == 0);
  const auto largest = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"certify", "--intervention", file, "--subsets", "0"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words).json()["stationarity"]["largest"].get<double>();
  };
  CHECK(largest({}) < 1e-6);
  CHECK(largest({"--retain", stays}) == largest({}));
  CHECK(largest({"--lambda-r", "5", "--retain", stays}) > 0.1);
  std::filesystem::remove(stays);
  CHECK_THAT(run({"certify", "--intervention", file, "--subsets", "0"}).err, ContainsSubstring("stays.jsonl"));
}

}  // namespace trimtab::test::certify_tests
