// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/intervention_file.hpp>
#include <trimtab/report/citation.hpp>

#include <fstream>

namespace trimtab::test::provenance_tests {

using Catch::Matchers::ContainsSubstring;

/// How an intervention was made is in its file, and another run repeats it.

namespace {

class fitted_once {
 public:
  explicit fitted_once(std::vector<std::string> more = {}) {
    std::vector<std::string> all = {
        "fit",     "--model", model.path(), "--data",   model.data(), "--test",   model.data(),
        "--steps", "5",       "--lr",       "0.02",     "--psi",      "softplus", "--kl",
        "full",    "--out",   file,         "--report", page,         "--json",   "--subgradient"};
    all.insert(all.end(), more.begin(), more.end());
    run = run_trimtab(all);
  }
  outcome again(std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {"fit", "--like", file, "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return run_trimtab(all);
  }

  model_for_cli model = model_for_cli();
  std::string file = model.name("i.safetensors"), page = model.name("i.html");
  outcome run = {};
};

/// The file with other arguments of its fit.
void write_with(const std::string& file, const std::string& arguments) {
  auto f = io::read_intervention(file);
  f.made["arguments"] = arguments;
  io::write_intervention(file, f);
}

}  // namespace

TEST_CASE("An intervention file says all options of its fit, given or not, and what it was made with") {
  const fitted_once once;
  REQUIRE(once.run.status == 0);
  const auto made = io::read_intervention(once.file).made;
  for (const auto& [key, value] : std::map<std::string, std::string>{{"psi", "softplus"},
                                                                     {"kl", "full"},
                                                                     {"kl_direction", "forward"},
                                                                     {"minimality", "sum"},
                                                                     {"subgradient", "on"},
                                                                     {"policy", "activ-scalar"},
                                                                     {"positions", "absolute"},
                                                                     {"data", once.model.data()},
                                                                     {"test", once.model.data()},
                                                                     {"model", once.model.path()},
                                                                     {"backend", "eigen"},
                                                                     {"trimtab", std::string(version)}}) {
    CAPTURE(key);
    REQUIRE(made.contains(key));
    CHECK(made.at(key) == value);
  }
  for (const auto* key : {"compiler", "eigen", "instructions", "train_prompts", "test_prompts"})
    CHECK(not made.at(key).empty());
  CHECK_THAT(made.at("command"), ContainsSubstring("trimtab fit --model=" + once.model.path()));

  const auto shown = run_trimtab({"inspect", once.file, "--json"}).json();
  CHECK(shown["made"]["psi"] == "softplus");
  CHECK(shown["repeat"] == once.run.json()["repeat"]);
  CHECK(shown["bibtex"] == report::citation());
  const auto page = content_of(once.page);
  for (const auto* said :
       {"kl direction", "subgradient", "softplus", "instructions", "repeat it", "How to cite", "stoehr2024activation"})
    CHECK_THAT(page, ContainsSubstring(said));
  CHECK_THAT(run_trimtab({"inspect", once.file}).out, ContainsSubstring("repeat it           trimtab fit --model="));
}

TEST_CASE("inspect draws where an intervention acts, without its model") {
  const temporary_folder folder;
  saved_parameter alpha{"alpha", "attn_z.alpha", {tensor_axis::layer, tensor_axis::position, tensor_axis::head}};
  alpha.numbers = {{3, 2, 2}, {0, 0, 0, 0, 0, 0, 0, 0, 4, 0, -2, 1}};
  saved_parameter vector{"vector", "mlp_out.vector", {tensor_axis::layer, tensor_axis::channel}};
  vector.numbers = {{3, 2}, {0, 0, 3, 4, 0, 0}};
  intervention_file file;
  file.interventions = {
      {"attn_z", "activ-scalar", {}, position_key::of(position_key::kind::from_end, 2), {1, 2}, {alpha}},
      {"mlp_out", "steer-vec", {}, position_key::of(position_key::kind::shared, 1), {1}, {vector}}};
  const auto name = (folder.path() / "i.safetensors").string();
  io::write_intervention(name, file);
  const auto run = run_trimtab({"inspect", name});
  CAPTURE(run.err);
  const auto& text = run.out;
  CHECK_THAT(text, ContainsSubstring("\nattn_z.alpha\n2.1  +2  \xC2\xB7\n2.0  -5 +9\n1.1   \xC2\xB7  \xC2\xB7\n"));
  CHECK_THAT(text, ContainsSubstring("end-1 end   9 is 4"));
  CHECK_THAT(text, ContainsSubstring("\nmlp_out.vector, the Euclidean norm at each place\n1  +9\n"));
  CHECK_THAT(text, ContainsSubstring("9 is 5"));
}

TEST_CASE("The option --like repeats a fit bit for bit, and says so, and later options replace its own") {
  const fitted_once once;
  const auto again = once.again().json();
  CHECK(again["same_bits"] == true);
  CHECK(again["train"] == once.run.json()["train"]);
  CHECK(again["repeat"] == once.run.json()["repeat"]);

  const auto longer = once.again({"--steps", "6"});
  CHECK(longer.json()["same_bits"] == false);
  CHECK(longer.json()["steps"] == 6);
  const auto text = run_trimtab({"fit", "--like", once.file, "--lr", "0.03", "--quiet"});
  CHECK_THAT(text.out, ContainsSubstring("not the same bits as '" + once.file + "': "));
  CHECK(once.again({"--at", "attn_out:steer-vec:1:shared"}).json()["same_bits"] == false);
}

TEST_CASE("The option --like compares no numbers of other positions, and says what it keeps") {
  const fitted_once once;
  const auto mirrored = once.again({"--positions", "from_end"});
  CHECK(mirrored.json()["same_bits"] == false);
  CHECK_THAT(run_trimtab({"fit", "--like", once.file, "--positions", "from_end"}).out,
             ContainsSubstring("those have other sites, policies or positions"));
  CHECK_THAT(mirrored.err, not ContainsSubstring("taken from the fit"));
  CHECK_THAT(once.again({"--policy", "steer-vec"}).err,
             ContainsSubstring("--lr 0.02 and --lambda-m ") and ContainsSubstring("are taken from the fit of"));
  CHECK_THAT(once.again({"--policy", "steer-vec", "--lr", "0.01", "--lambda-m", "0.001"}).err,
             not ContainsSubstring("taken from the fit"));
}

TEST_CASE("The option --like repeats compositions, roles and other policies") {
  const model_for_cli model;
  const auto roles =
      model.file("roles.jsonl",
                 R"({"ids": [1, 2, 3, 4], "correct_id": 5, "wrong_id": 6, "roles": {"subject": [1, 2], "end": [3, 4]}})"
                 "\n");
  const std::vector<std::vector<std::string>> fits = {
      {"--data", roles, "--positions", "role", "--roles", "end"},
      {"--data", model.data(), "--policy", "dyn-scalar", "--no-bias", "--sites", "mlp_out", "--layers", "1"},
      {"--data", model.data(), "--at", "attn_out:activ-scalar:0-1:from_end=2", "--at",
       "mlp_out:dyn-scalar(gate=tanh,bias=no):1:shared", "--precision", "double", "--strengths", "1,-0.5"},
      {"--task", "ccc", "--positions", "from_end", "--model",
       (std::filesystem::path(TRIMTAB_EXAMPLE_MODELS) / "tiny-gpt2").string()}};
  const auto file = model.name("i.safetensors");
  for (const auto& one : fits) {
    std::vector<std::string> all = {"fit", "--model", model.path(), "--steps", "2", "--out", file, "--json"};
    all.insert(all.end(), one.begin(), one.end());
    const auto first = run_trimtab(all).json();
    CAPTURE(first["repeat"].get<std::string>());
    CHECK(run_trimtab({"fit", "--like", file, "--json"}).json()["same_bits"] == true);
  }
}

TEST_CASE("The option --like refuses prompts and weights that are not those of the fit") {
  const fitted_once once;
  std::ofstream(once.model.data(), std::ios::app) << "{\"ids\": [1, 1, 1, 1], \"correct_id\": 5, \"wrong_id\": 6}\n";
  const auto run = once.again();
  CHECK(run.status == 1);
  CHECK_THAT(run.err, ContainsSubstring("the train prompts are 4 with the hash "));
  CHECK_THAT(run.err, ContainsSubstring("were 3 with the hash "));
  CHECK(once.again({"--data", once.model.data()}).status == 0);  // asked for

  const fitted_once other;
  write_model_folder(other.model.path(), random_weights({.architecture = "gpt2",
                                                         .layers = 2,
                                                         .width = 16,
                                                         .heads = 2,
                                                         .hidden = 24,
                                                         .context = 12,
                                                         .vocabulary = 300},
                                                        77));
  const auto weights = other.again();
  CHECK(weights.status == 1);
  CHECK_THAT(weights.err, ContainsSubstring("give the right folder with --model"));
}

TEST_CASE("Whoever made a file cannot choose what --like writes") {
  const fitted_once once;
  const auto victim = once.model.name("victim");
  for (const auto* option : {"--out=", "--report=", "--heatmap=", "--trace=", "--checkpoint=", "--resume="}) {
    write_with(once.file, io::json::array({"--model=" + once.model.path(), option + victim}).dump());
    const auto run = once.again();
    CHECK(run.status == 1);
    CHECK_THAT(run.err, ContainsSubstring("no option that says what is fitted"));
    CHECK(not std::filesystem::exists(victim));
  }
  for (const auto* wrong : {"{}", "[1]", "[\"fit\"]", "not JSON"}) {
    write_with(once.file, wrong);
    CHECK(once.again().status == 1);
  }
  auto old = io::read_intervention(once.file);
  old.made.erase("arguments");
  io::write_intervention(once.file, old);
  CHECK_THAT(once.again().err, ContainsSubstring("does not say all options of its fit"));
  CHECK(run_trimtab({"inspect", once.file}).status == 0);
}

TEST_CASE("README.md cites what the program prints") {
  CHECK_THAT(content_of(TRIMTAB_SOURCE_DIR "/README.md"),
             ContainsSubstring("```bibtex\n" + report::citation() + "```"));
}

}  // namespace trimtab::test::provenance_tests
