// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/intervention_file.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

namespace trimtab::test::fit_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<std::string> keys_of(const io::json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

/// The folder of the embedded model; empty, with a warning, where there is none.
std::filesystem::path tiny_gpt2() {
  const auto model = std::filesystem::path(TRIMTAB_EXAMPLE_MODELS) / "tiny-gpt2";
  if (std::filesystem::exists(model / "model.safetensors")) return model;
  WARN("skipped: no '" + model.string() + "'");
  return {};
}

}  // namespace

TEST_CASE("fit, then eval of its file: the same figures, to the last digit") {
  const model_for_cli model;
  const auto policy = GENERATE(as<std::string>(), "activ-scalar", "steer-vec", "dyn-scalar", "affine", "channel-scale",
                               "low-rank", "conditional");
  CAPTURE(policy);
  const auto file = model.name("i.safetensors"), trace = model.name("trace.json");
  const auto fitted = run_trimtab({"fit",      "--model", model.path(), "--data",  model.data(), "--test", model.data(),
                                   "--policy", policy,    "--steps",    "7",       "--layers",   "1",      "--lambda-m",
                                   "0.001",    "--out",   file,         "--trace", trace,        "--json"})
                          .json();
  CHECK(fitted["steps"] == 7);
  CHECK(fitted["nonzero_parameters"] > 0);
  const auto& set = fitted["train"];
  CHECK(set == fitted["test"]);
  CHECK(keys_of(set) == std::vector<std::string>{"flip_rate", "flip_rate_interval", "kl_by_strength", "kl_full",
                                                 "kl_full_error", "kl_masked", "kl_masked_error", "logit_diff",
                                                 "logit_diff_error", "probability", "probability_error", "prompts",
                                                 "top_other_same", "top_other_same_error"});
  CHECK(keys_of(set["flip_rate"]) == std::vector<std::string>{"+1", "-1", "both"});
  CHECK(keys_of(set["flip_rate_interval"]) == std::vector<std::string>{"+1", "-1", "both"});
  CHECK(keys_of(set["logit_diff"]) == std::vector<std::string>{"+1", "-1", "0"});
  CHECK(keys_of(set["logit_diff_error"]) == std::vector<std::string>{"+1", "-1", "0"});
  for (const auto& [strength, rate] : set["flip_rate"].items()) {
    CHECK(set["flip_rate_interval"][strength][0] <= rate);
    CHECK(set["flip_rate_interval"][strength][1] >= rate);
  }
  CHECK(keys_of(set["probability"]["wrong"]) == std::vector<std::string>{"+1", "-1", "0"});

  const auto evaluated =
      run_trimtab({"eval", "--model", model.path(), "--data", model.data(), "--intervention", file, "--json"}).json();
  CHECK(evaluated["data"] == set);
  for (const auto key : {"parameters", "nonzero_parameters", "nonzero_sites", "l1"})
    CHECK(evaluated[key] == fitted[key]);

  const auto steps = io::read_json_file(trace);
  REQUIRE(steps.size() == 7);
  CHECK(steps[0]["minimality"] == 0);
  CHECK(steps[6]["loss"] < steps[0]["loss"]);

  const auto read = io::read_intervention(file);
  CHECK(read.policies() == policy);
  REQUIRE(not read.interventions.empty());
  for (const saved_intervention& i : read.interventions) CHECK(i.layers == std::vector<index_t>{1});
  CHECK(read.made.at("steps") == "7");
}

TEST_CASE("dyn-scalar without bias has none in its file") {
  const model_for_cli model(true);
  const auto file = model.name("i.safetensors");
  run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--policy", "dyn-scalar", "--no-bias", "--sites",
               "attn_z", "--steps", "2", "--precision", "double", "--out", file});
  const auto read = io::read_intervention(file);
  REQUIRE(read.interventions.size() == 1);
  REQUIRE(read.interventions[0].parameters.size() == 1);
  CHECK(read.interventions[0].parameters[0].tensor == "attn_z.weight");
  CHECK(read.interventions[0].parameters[0].numbers.shape == std::vector<index_t>{2, 2, 8});
}

TEST_CASE("Options choose a variant of a policy, and a fit that starts away from the identity says so") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  const auto fitted = [&](std::vector<std::string> options) {
    std::vector<std::string> arguments{"fit",     "--model", model.path(), "--data", model.data(), "--sites", "mlp_out",
                                       "--steps", "3",       "--lambda-m", "0",      "--out",      file,      "--json"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run_trimtab(arguments).json();
  };
  const auto evaluated = [&] {
    return run_trimtab({"eval", "--model", model.path(), "--data", model.data(), "--intervention", file, "--json"})
        .json();
  };
  const auto starts_elsewhere = [](const io::json& fit) {
    return std::ranges::count_if(fit["warnings"], [](const auto& warning) {
      return warning.template get<std::string>().find("does not start with the untouched model") != std::string::npos;
    });
  };
  auto found = fitted({"--policy", "low-rank", "--rank", "2"});
  CHECK(found["parameters"] == 2 * 2 * 16);  // W alone, at two layers
  CHECK(starts_elsewhere(found) == 0);
  CHECK(evaluated()["data"] == found["train"]);
  const auto read = io::read_intervention(file);
  REQUIRE(read.interventions[0].parameters.size() == 3);
  CHECK(read.interventions[0].parameters[0].tensor == "mlp_out.write");
  CHECK(read.interventions[0].parameters[0].numbers.shape == std::vector<index_t>{2, 2, 16});

  found = fitted({"--policy", "dyn-scalar", "--gate", "mlp"});
  CHECK(found["parameters"] == 2 * 4);
  CHECK(evaluated()["data"] == found["train"]);
  found = fitted({"--policy", "conditional", "--gate", "cosine", "--inner", "activ-scalar"});
  CHECK(found["parameters"] == 2);
  CHECK(evaluated()["data"] == found["train"]);

  found = fitted({"--policy", "project-out"});
  CHECK(starts_elsewhere(found) == 1);
  CHECK(evaluated()["data"] == found["train"]);
  const auto other = fitted({"--policy", "project-out", "--seed", "7"});
  CHECK(other["train"] != found["train"]);
  CHECK(fitted({"--policy", "steer-vec", "--init", "normal:0.1"})["l1"] != fitted({"--policy", "steer-vec"})["l1"]);
}

TEST_CASE("Sets of answers and prompts to retain enter a fit, its file's evaluation and its loss") {
  const model_for_cli model;
  const auto data = model.name("sets.jsonl"), stays = model.name("stays.jsonl"), file = model.name("i.safetensors");
  std::ofstream(data) << "{\"ids\": [3, 1, 2, 4], \"correct_ids\": [1, 5], \"wrong_ids\": [2, 6, 7]}\n"
                      << "{\"ids\": [2, 4, 1, 1], \"correct_id\": 3, \"wrong_id\": 5}\n";
  std::ofstream(stays) << "{\"ids\": [5, 6, 7, 8]}\n{\"ids\": [1, 1, 2, 3]}\n";
  const std::vector<std::string> on{"--model", model.path(), "--data", data, "--json"};
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), on.begin(), on.end());
    return run_trimtab(arguments).json();
  };
  const auto free = run({"fit", "--steps", "20", "--lambda-m", "0", "--out", file});
  CHECK_FALSE(free.contains("retain"));
  const auto harm = run({"eval", "--intervention", file, "--retain", stays})["retain"];
  CHECK(harm["prompts"] == 2);
  const auto kept =
      run({"fit", "--steps", "20", "--lambda-m", "0", "--retain", stays, "--lambda-r", "20", "--out", file});
  CHECK(kept["retain"]["kl_full"].get<double>() < .5 * harm["kl_full"].get<double>());
  CHECK(kept["objective"]["retention"] == kept["retain"]["kl_full"]);
  const auto loss =
      run({"loss", "--intervention", file});  // the objective of the fit, with the prompts that it retained
  CHECK(loss["per_prompt"].size() == 2);
  CHECK(loss == run({"loss", "--intervention", file, "--retain", stays, "--lambda-r", "20", "--lambda-m", "0"}));
  const auto evaluated = run({"eval", "--intervention", file});
  CHECK(evaluated["objective"]["data"]["loss"] == loss["loss"]);
  CHECK(evaluated["retain"] == kept["retain"]);
  CHECK(std::abs(loss["retention"].get<double>() - kept["retain"]["kl_full"].get<double>()) < 1e-9);
  CHECK(std::abs(loss["loss"].get<double>() - loss["effectiveness"].get<double>() - loss["faithfulness"].get<double>() -
                 20 * loss["retention"].get<double>()) < 1e-9);
  CHECK(io::read_intervention(file).made.at("lambda_r") == "20.0");
  std::filesystem::remove(stays);
  CHECK_FALSE(run({"eval", "--intervention", file}).contains("retain"));
  const auto gone = run_trimtab(with({"loss", "--intervention", file}, on));
  CHECK(gone.status == 1);
  CHECK_THAT(gone.err,
             Catch::Matchers::ContainsSubstring("whose prompts the fit retained, is not there; give --retain"));
}

TEST_CASE("With --lambda-n a fit keeps the length of activations, and what reads it weighs that as the fit did") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  const auto run = [&](std::vector<std::string> arguments) {
    for (const auto& word : {std::string("--model"), model.path(), std::string("--data"), model.data(),
                             std::string("--precision"), std::string("double"), std::string("--json")})
      arguments.push_back(word);
    return run_trimtab(arguments).json();
  };
  const std::vector<std::string> how{"fit",        "--policy", "steer-vec", "--sites",  "resid_post", "--steps", "40",
                                     "--lambda-m", "0.01",     "--psi",     "softplus", "--polish",   "--out",   file};
  const auto fit = [&](const std::vector<std::string>& more) {
    auto all = how;
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  };
  const auto free = fit({});
  CHECK_FALSE(free["objective"].contains("norm_preservation"));
  CHECK_FALSE(io::read_intervention(file).made.contains("lambda_n"));
  CHECK_FALSE(run({"loss", "--intervention", file}).contains("norm_preservation"));
  const auto length = run({"loss", "--intervention", file, "--lambda-n", "1"})["norm_preservation"].get<double>();
  CHECK(length > 0);

  const auto kept = fit({"--lambda-n", "50"});
  CHECK(kept["objective"]["norm_preservation"].get<double>() < 0.5 * length);
  CHECK(io::read_intervention(file).made.at("lambda_n") == "50.0");
  const auto loss = run({"loss", "--intervention", file, "--psi", "softplus"});
  CHECK(std::abs(loss["norm_preservation"].get<double>() - kept["objective"]["norm_preservation"].get<double>()) <
        1e-12);
  CHECK(std::abs(loss["loss"].get<double>() - loss["effectiveness"].get<double>() - loss["faithfulness"].get<double>() -
                 0.01 * loss["minimality"].get<double>() - 50 * loss["norm_preservation"].get<double>()) < 1e-12);
  CHECK(run({"eval", "--intervention", file})["objective"]["data"]["norm_preservation"] == loss["norm_preservation"]);
  const auto largest = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"certify", "--intervention", file, "--subsets", "0"});
    return run(more)["stationarity"]["largest"].get<double>();
  };
  CHECK(largest({}) < 1e-6);
  CHECK(largest({"--lambda-n", "10"}) > 0.1);
}

TEST_CASE("Without --json fit prints a table with the untouched model's row") {
  const model_for_cli model;
  const auto run = run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--steps", "1"});
  CHECK(run.status == 0);
  CHECK_THAT(run.out, ContainsSubstring("0 (untouched)"));
  CHECK(run.err.empty());  // progress is for terminals
}

TEST_CASE("A report is one page with the figures and a heat map of each site that was asked for") {
  const model_for_cli model;
  const auto file = model.name("report.html");
  const auto run = run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--steps", "2", "--sites",
                                "attn_out,mlp_out", "--report", file});
  CHECK(run.status == 0);
  std::ifstream stream(file);
  const std::string page{std::istreambuf_iterator<char>(stream), {}};
  CHECK_THAT(page, ContainsSubstring("untouched model"));
  CHECK_THAT(page, ContainsSubstring("data-site=\"attn_out\" data-quantity=\"alpha\""));
  CHECK_THAT(page, ContainsSubstring("data-site=\"mlp_out\" data-quantity=\"alpha\""));
  CHECK_THAT(page, ContainsSubstring("Loss of activ-scalar"));
  CHECK_THAT(page, ContainsSubstring("Every prompt pair of train"));
  CHECK(page.find("data-site=\"resid_post\"") == std::string::npos);
}

TEST_CASE("report shows files side by side, measured on the same prompts") {
  const model_for_cli model;
  const auto a = model.name("a.safetensors"), b = model.name("b.safetensors"), page = model.name("report.html");
  run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--steps", "2", "--out", a});
  run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--steps", "2", "--policy", "dyn-scalar",
               "--positions", "shared", "--sites", "mlp_out", "--out", b});
  const auto found =
      run_trimtab({"report", a, b, "--model", model.path(), "--data", model.data(), "--out", page, "--json"}).json();
  CHECK(found["fits"].size() == 2);
  const auto html = content_of(page);
  CHECK_THAT(html, ContainsSubstring("<h3>a</h3>"));
  CHECK_THAT(html, ContainsSubstring("<h3>b</h3>"));
  CHECK_THAT(html, ContainsSubstring("data-site=\"mlp_out\" data-quantity=\"gate\""));

  const auto nothing = run_trimtab({"report", a, "--model", model.path()});
  CHECK(nothing.status == 2);
  CHECK_THAT(nothing.err, ContainsSubstring("--out"));

  // The intervention file names the path of its prompts, which `report` must not open.
  const auto no_prompts = run_trimtab({"report", a, "--model", model.path(), "--out", page});
  CHECK(no_prompts.status == 1);
  CHECK_THAT(no_prompts.err, ContainsSubstring("does not say on which task it was fitted"));
}

TEST_CASE("Heat maps are written as a picture, as CSV and as JSON with the numbers of the file") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors"), csv = model.name("map.csv"), json = model.name("map.json"),
             svg = model.name("map.svg");
  run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--steps", "3", "--sites", "attn_out",
               "--lambda-m", "0", "--positions", "from_end", "--out", file, "--heatmap", csv});
  for (const auto& name : {json, svg})
    CHECK(run_trimtab({"report", file, "--model", model.path(), "--data", model.data(), "--heatmap", name}).status ==
          0);
  const auto alpha = io::read_intervention(file).interventions.at(0).parameters.at(0).numbers;
  const auto map = io::read_json_file(json).at(0);
  CHECK(map["quantity"] == "alpha");
  CHECK(map["places"] == io::json{3, 2, 1, 0});  // the last token is the first place from the end
  for (std::size_t layer = 0; layer < 2; ++layer)
    for (std::size_t place = 0; place < 4; ++place)
      CHECK(map["values"][layer][3 - place] == alpha.values[layer * 4 + place]);
  const auto lines = content_of(csv);
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 9);
  CHECK_THAT(lines, ContainsSubstring("activ-scalar,alpha,attn_out,0,3,"));
  CHECK_THAT(content_of(svg), ContainsSubstring("</svg>"));
  CHECK(run_trimtab({"report", file, "--model", model.path(), "--heatmap", "map.gif"}).status == 1);
}

TEST_CASE("Sets have the names that they have: a file alone is data, and train and test where there are both") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors"), page = model.name("r.html");
  const auto fitted =
      run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--steps", "2", "--out", file, "--json"});
  CHECK(fitted.json().contains("train"));
  const auto eval = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"eval", "--model", model.path(), "--data", model.data(), "--intervention", file};
    all.insert(all.end(), more.begin(), more.end());
    return run_trimtab(all);
  };
  const auto alone = eval({"--json"}).json();
  CHECK(alone.contains("data"));
  CHECK(not alone.contains("train"));
  CHECK_THAT(eval({}).out, ContainsSubstring("data, 3 prompts"));
  const auto both = eval({"--test", model.data(), "--json"}).json();
  CHECK(both["train"] == both["test"]);
  CHECK(not both.contains("data"));
  run_trimtab({"report", file, "--model", model.path(), "--data", model.data(), "--out", page});
  CHECK_THAT(content_of(page), ContainsSubstring("Prompts of data"));
}

TEST_CASE("Columns of heat maps are named by what all prompts share, everywhere") {
  const auto model = tiny_gpt2();
  if (model.empty()) return;
  const temporary_folder folder;
  const auto name = [&](const std::string& file) { return (folder.path() / file).string(); };
  const auto fit =
      run_trimtab({"fit", "--model", model.string(), "--task", "ioi", "--steps", "1", "--sites", "resid_post", "--out",
                   name("i.safetensors"), "--heatmap", name("m.csv"), "--report", name("m.html")});
  CHECK(fit.status == 0);
  run_trimtab({"report", name("i.safetensors"), "--model", model.string(), "--heatmap", name("m.svg")});
  run_trimtab({"report", name("i.safetensors"), "--model", model.string(), "--heatmap", name("m.json")});
  // The second token is the subject in 31 of the 64 prompts and the indirect object in the others.
  for (const auto* const shown : {"m.csv", "m.html", "m.svg", "m.json"}) {
    CAPTURE(shown);
    const auto text = content_of(name(shown));
    CHECK_THAT(text, ContainsSubstring("1 [io 52 %, s1 48 %]"));
    CHECK_THAT(text, ContainsSubstring("[s2]"));
    CHECK(text.find("[io]") == text.npos);
    CHECK_THAT(text, ContainsSubstring("␣to"));
    for (const auto* const number_of_token : {">#2", ",#2", "\n#2"}) CHECK(text.find(number_of_token) == text.npos);
  }
}

TEST_CASE("A report draws the prompts that the fit drew, whatever chose them") {
  const auto model = tiny_gpt2();
  if (model.empty()) return;
  const temporary_folder folder;
  const auto name = [&](const std::string& file) { return (folder.path() / file).string(); };
  const auto fit = name("i.safetensors");
  for (const std::vector<std::string>& chosen : {std::vector<std::string>{"--task", "ioi", "--templates", "0,1"},
                                                 {"--task", "ioi", "--lengths", "14,15"},
                                                 {"--task", "ccc", "--lengths", "all", "--only", "right"}}) {
    auto all = chosen;
    all.insert(all.end(), {"--train", "8", "--test", "8", "--seed", "3"});
    auto fitted = all;
    fitted.insert(fitted.begin(),
                  {"fit", "--model", model.string(), "--positions", "from_end", "--steps", "1", "--out", fit});
    REQUIRE(run_trimtab(fitted).status == 0);
    const auto page = [&](const std::vector<std::string>& options) {
      std::vector<std::string> words = {"report", fit, "--model", model.string(), "--out", name("page.html")};
      words.insert(words.end(), options.begin(), options.end());
      const auto run = run_trimtab(words);
      CAPTURE(run.err);
      REQUIRE(run.status == 0);
      // The page says which command made it, in which the options stand.
      return std::regex_replace(content_of(name("page.html")), std::regex("trimtab report [^<]*"), "");
    };
    const auto implied = page({});
    CHECK(implied == page(all));
    for (const char* const left_out : {"--lengths", "--only", "--templates"}) {
      auto fewer = all;
      const auto found = std::ranges::find(fewer, std::string(left_out));
      if (found == fewer.end()) continue;
      fewer.erase(found, found + 2);
      CAPTURE(left_out);
      CHECK(implied != page(fewer));
    }
    if (chosen[1] == "ccc") CHECK(page({"--only", "wrong"}) != implied);  // what is given besides counts
  }
}

TEST_CASE("A heat map becomes PDF or PNG where rsvg-convert is installed, else a sentence says what is missing") {
  const model_for_cli model;
  const bool has_converter = std::system("command -v rsvg-convert > /dev/null") == 0;
  for (const auto& [name, magic] : {std::pair("m.pdf", "%PDF"), std::pair("m.png", "\x89PNG")}) {
    const auto file = model.name(name);
    const auto run =
        run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--steps", "1", "--heatmap", file});
    CHECK(run.status == (has_converter ? 0 : 1));
    if (has_converter) CHECK(content_of(file).starts_with(magic));
    if (not has_converter) CHECK_THAT(run.err, ContainsSubstring("needs the program rsvg-convert"));
    const auto without =
        run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--steps", "1", "--heatmap", file}, "",
                    {"PATH=/nowhere"});
    CHECK(without.status == 1);
    CHECK(not std::filesystem::exists(file + ".unfinished"));
  }
}

TEST_CASE("Ctrl-C ends a fit after its step and keeps what was learned") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  const auto run = interrupt_trimtab(
      {"fit", "--model", model.path(), "--data", model.data(), "--steps", "1000000000", "--out", file, "--json"});
  const auto found = run.json();
  CHECK(found["interrupted"] == true);
  CHECK_THAT(run.err, ContainsSubstring("ended by Ctrl-C after step " + found["steps"].dump() +
                                        " of 1000000000; what it learned is in '" + file + "'"));
  CHECK(found["steps"] < 1'000'000'000);
  CHECK(io::read_intervention(file).made.at("steps") == found["steps"].dump());
}

TEST_CASE("A task of the literature steers the embedded model") {
  const auto model = tiny_gpt2();
  if (model.empty()) return;
  const temporary_folder folder;
  const auto file = (folder.path() / "ccc.safetensors").string();
  const auto fitted = run_trimtab({"fit", "--model", model.string(), "--task", "ccc", "--steps", "10", "--lr", "0.1",
                                   "--layers", "1-2", "--seed", "3", "--out", file, "--json"})
                          .json();
  CHECK(fitted["test"]["flip_rate"]["both"] > 0.5);
  const auto evaluated =
      run_trimtab({"eval", "--model", model.string(), "--task", "ccc", "--intervention", file, "--json"}).json();
  CHECK(evaluated["test"] == fitted["test"]);
}

TEST_CASE("Positions by role take the roles of the data, or those that are named") {
  const model_for_cli model;
  const auto data = model.file(
      "roles.jsonl",
      R"({"ids": [1, 2, 3, 4], "correct_id": 5, "wrong_id": 6, "roles": {"subject": [1, 2], "end": [3, 4]}})"
      "\n"
      R"({"ids": [7, 2, 8, 4, 9], "correct_id": 9, "wrong_id": 5, "roles": {"subject": [1, 3], "end": [4, 5]}})"
      "\n");
  const auto file = model.name("i.safetensors");
  const auto fit = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"fit", "--model", model.path(), "--data", data,          "--steps",
                                    "3",   "--out",   file,         "--json", "--positions", "role"};
    all.insert(all.end(), more.begin(), more.end());
    return run_trimtab(all);
  };
  const auto all = fit({}).json();
  CHECK(io::read_intervention(file).interventions.at(0).positions.roles() ==
        std::vector<std::string>{"subject", "end"});
  const auto evaluated =
      run_trimtab({"eval", "--model", model.path(), "--data", data, "--intervention", file, "--json"}).json();
  CHECK(evaluated["data"] == all["train"]);

  fit({"--roles", "end"}).json();
  CHECK(io::read_intervention(file).interventions.at(0).positions.roles() == std::vector<std::string>{"end"});

  const auto unknown = fit({"--roles", "objekt"});
  CHECK(unknown.status == 1);
  CHECK_THAT(unknown.err, ContainsSubstring("no prompt has the role 'objekt'"));
  const auto none = run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--positions", "role"});
  CHECK(none.status == 1);
  CHECK_THAT(none.err, ContainsSubstring("--positions role needs prompts with roles, and none has one"));
}

TEST_CASE("A command says which files and folders it wrote, and a plan writes none") {
  const model_for_cli model;
  const auto out = model.name("i.safetensors"), trace = model.name("trace.json"), folder = model.name("sweep");
  const std::vector<std::string> on = {"--model", model.path(), "--data", model.data(), "--steps", "1"};
  const auto fit = [&](const std::vector<std::string>& more) {
    return run_trimtab(with(with({"fit", "--out", out}, on), more)).out;
  };
  CHECK_THAT(fit({"--trace", trace}),
             ContainsSubstring("written: " + out + "\n") and ContainsSubstring("written: " + trace + "\n"));
  CHECK(fit({"--quiet"}).find("written") == std::string::npos);
  std::filesystem::last_write_time(out, std::filesystem::file_time_type::clock::now() - std::chrono::seconds(5));
  CHECK(fit({"--plan"}).find("written") == std::string::npos);
  const auto sweep = run_trimtab(with({"sweep", "--vary", "lr=0.1,0.2", "--test", model.data(), "--out", folder}, on));
  CHECK_THAT(sweep.out, ContainsSubstring("written: " + folder + "\n"));
}

TEST_CASE("Maps of one policy share a scale on a terminal") {
  const model_for_cli model;
  const auto run = run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--at", "attn_out:activ-scalar",
                                "--at", "mlp_out:activ-scalar", "--at", "resid_post:steer-vec", "--steps", "4"});
  std::vector<std::string> scales;
  for (std::size_t at = 0; (at = run.out.find("9 is ", at)) != std::string::npos; ++at)
    scales.push_back(run.out.substr(at, run.out.find(',', at) - at));
  REQUIRE(scales.size() == 3);
  CHECK(scales[0] == scales[1]);
  CHECK(scales[0] != scales[2]);
}

}  // namespace trimtab::test::fit_tests
