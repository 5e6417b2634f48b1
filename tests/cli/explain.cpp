// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/intervention_file.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace trimtab::test::explain_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// Prompts of different lengths with corrupt ones and roles.
const std::string ragged =
    "{\"ids\": [1, 2, 3, 4], \"corrupt_ids\": [7, 2, 8, 4], \"correct_id\": 5, \"wrong_id\": 6,"
    " \"roles\": {\"pair\": [0, 2], \"end\": [3, 4]}}\n"
    "{\"ids\": [7, 2], \"corrupt_ids\": [1, 9], \"correct_id\": 9, \"wrong_id\": 5, \"roles\": {\"end\": [1, 2]}}\n";

struct explained_model : model_for_cli {
  using model_for_cli::model_for_cli;

  std::string pairs = file("pairs.jsonl", ragged);

  outcome run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"explain", "--model", path(), "--data", pairs});
    return run_trimtab(std::move(arguments));
  }
  io::json operator()(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--json", "--precision", "double"});
    return run(std::move(arguments)).json();
  }
  /// z[correct] − z[wrong] as `trimtab logits` says.
  double difference(const std::string& ids, std::size_t correct, std::size_t wrong) const {
    const auto z = run_trimtab({"logits", "--model", path(), "--ids", ids, "--json", "--precision", "double"}).json();
    return z["logits"][correct].get<double>() - z["logits"][wrong].get<double>();
  }
};

}  // namespace

TEST_CASE("explain prints every place of every layer, and what the runs say") {
  const explained_model model(GENERATE(false, true));
  const auto method =
      GENERATE(as<std::string>(), "gradient", "attribution-patching", "integrated", "patching", "ablation");
  CAPTURE(method);
  const auto found = model({"--method", method, "--per-prompt"});
  CHECK(found["method"] == method);
  CHECK(found["metric"] == "logit-diff");
  CHECK(found["prompts"] == 2);
  const double clean = (model.difference("1,2,3,4", 5, 6) + model.difference("7,2", 9, 5)) / 2;
  CHECK(std::abs(found["clean"].get<double>() - clean) < 1e-12);
  if (method == "gradient" or method == "ablation") {
    CHECK(found["corrupt"].is_null());
  } else {
    const double corrupt = (model.difference("7,2,8,4", 5, 6) + model.difference("1,9", 9, 5)) / 2;
    CHECK(std::abs(found["corrupt"].get<double>() - corrupt) < 1e-12);
  }
  CHECK(found["scores"].size() == 3);
  for (const auto* site : {"attn_out", "mlp_out", "resid_post"}) {
    REQUIRE(found["scores"][site].size() == 2);
    CHECK(found["scores"][site][0].size() == 4);
    CHECK(found["counts"][site][1] == io::json{2, 2, 1, 1});
    REQUIRE(found["per_prompt"].size() == 2);
    CHECK(found["per_prompt"][0][site][0].size() == 4);
    CHECK(found["per_prompt"][1][site][0].size() == 2);
    CHECK(found["scores"][site][1][3] != 0);
    if (method != "patching") {
      const double a = found["per_prompt"][0][site][0][1], b = found["per_prompt"][1][site][0][1];
      CHECK(std::abs(found["scores"][site][0][1].get<double>() - (a + b) / 2) < 1e-12);
    }
  }
}

TEST_CASE("patching the stream that leaves the model closes the whole gap") {
  const explained_model model;
  for (const auto* direction : {"denoising", "noising"}) {
    const auto found = model({"--method", "patching", "--direction", direction, "--positions", "from_end", "--sites",
                              "resid_post", "--per-prompt"});
    CHECK(found["scores"]["resid_post"][1][0] == 1);
    const double gap = found["clean"].get<double>() - found["corrupt"].get<double>();
    const double sum = found["per_prompt"][0]["resid_post"][1][3].get<double>() +
                       found["per_prompt"][1]["resid_post"][1][1].get<double>();  // in reading order
    CHECK(std::abs(sum / 2 - (direction == std::string("noising") ? -gap : gap)) < 1e-12);
  }
}

TEST_CASE("layers that were not asked for are null, and change no score of the others") {
  const explained_model model;
  const auto all = model({"--method", "patching"});
  const auto one = model({"--method", "patching", "--layers", "1", "--sites", "mlp_out", "--memory", "200M"});
  CHECK(one["scores"]["mlp_out"][0] == io::json{nullptr, nullptr, nullptr, nullptr});
  CHECK(one["scores"]["mlp_out"][1] == all["scores"]["mlp_out"][1]);
}

#if not defined(__SANITIZE_ADDRESS__)  // which takes memory of its own
TEST_CASE("explain keeps to the memory that it may take, and no score depends on it") {
  const auto scored = [](const char* method, const std::string& memory) {
    return run_trimtab({"explain", "--model", TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2", "--task", "ioi", "--layers", "0",
                        "--method", method, "--threads", "1", "--memory", memory, "--json"});
  };
  for (const auto* method : {"integrated", "patching"}) {
    CAPTURE(method);
    const auto much = scored(method, "1G"), little = scored(method, "100M");
    CHECK(much.json()["scores"] == little.json()["scores"]);
    CAPTURE(much.peak, little.peak);
    CHECK(much.peak > 150'000'000);
    CHECK(little.peak < 110'000'000);
  }
}
#endif

TEST_CASE("direct attribution adds up, with heads on request") {
  const explained_model model(GENERATE(false, true));
  const auto found = model({"--method", "direct", "--per-head"});
  double sum = 0;
  for (const auto* name : {"embedding", "position_embedding", "constant"}) sum += found["addends"][name].get<double>();
  const auto per_prompt = model({"--method", "direct", "--per-prompt"})["per_prompt"];
  for (const auto& prompt : per_prompt)
    for (const auto& [site, layers] : prompt.items())
      for (const auto& row : layers)
        for (const auto& x : row) sum += x.get<double>() / 2;
  CHECK(std::abs(sum - found["clean"].get<double>()) < 1e-10);
  REQUIRE(found["scores"]["attn_z"].size() == 2);
  CHECK(found["scores"]["attn_z"][1][3].size() == 2);
  CHECK(found["scores"]["attn_z"][1][3][1] != 0);
  CHECK(per_prompt[0]["attn_out"][0][1] == 0);
}

TEST_CASE("the logit lens ends with the model's own answer") {
  const explained_model model;
  model.file("one.jsonl", "{\"ids\": [1, 2, 3], \"correct_id\": 5, \"wrong_id\": 6}\n");
  const auto found = run_trimtab({"explain", "--model", model.path(), "--data", model.name("one.jsonl"), "--method",
                                  "logit-lens", "--json"})
                         .json();
  REQUIRE(found["lens"].size() == 2);
  REQUIRE(found["lens"][1].size() == 3);
  const auto& last = found["lens"][1][2];
  CHECK(last["D"] == found["clean"]);
  CHECK(last["D"] == found["scores"]["resid_post"][1][2]);
  const auto top = run_trimtab({"logits", "--model", model.path(), "--ids", "1,2,3", "--top", "1", "--json"}).json();
  CHECK_THAT(top.dump(), ContainsSubstring(last["top_id"].dump()));
  for (const auto* key : {"p_correct", "p_wrong", "rank_correct", "rank_wrong"}) CHECK(last[key].get<double>() > 0);
}

TEST_CASE("places by role and shared places have one number each") {
  const explained_model model;
  const auto roles = model({"--method", "attribution-patching", "--positions", "role", "--per-prompt"});
  CHECK(roles["scores"]["mlp_out"][0].size() == 2);  // end, pair
  CHECK(roles["counts"]["mlp_out"][0] == io::json{2, 1});
  CHECK(roles["per_prompt"][1]["mlp_out"][0][1].is_null());
  const auto chosen = model({"--method", "attribution-patching", "--positions", "role", "--roles", "pair"});
  CHECK(chosen["scores"]["mlp_out"][0][0] == roles["scores"]["mlp_out"][0][1]);
  const auto shared = model({"--method", "attribution-patching", "--positions", "shared", "--per-prompt"});
  CHECK(shared["scores"]["mlp_out"][0].size() == 1);
  CHECK(shared["per_prompt"][1]["mlp_out"][0].size() == 1);
}

TEST_CASE("options of the methods change what they should") {
  const explained_model model;
  const auto differ = [&](std::vector<std::string> a, std::vector<std::string> b) {
    CAPTURE(a, b);
    CHECK(model(a)["scores"] != model(b)["scores"]);
  };
  differ({"--method", "ablation"}, {"--method", "ablation", "--ablate", "mean"});
  differ({"--method", "ablation", "--ablate", "mean"}, {"--method", "ablation", "--ablate", "resample"});
  differ({"--method", "integrated"}, {"--method", "integrated", "--ig-steps", "3"});
  differ({"--method", "integrated"}, {"--method", "integrated", "--ig-rule", "left"});
  differ({"--method", "integrated", "--ig-rule", "right"}, {"--method", "integrated", "--ig-rule", "left"});
  differ({"--method", "patching"}, {"--method", "patching", "--metric", "probability"});
  differ({"--method", "patching"}, {"--method", "patching", "--metric", "kl"});
  differ({"--method", "patching"}, {"--method", "patching", "--direction", "noising"});
}

TEST_CASE("maps are shown, and written as pictures and numbers") {
  const explained_model model;
  const auto shown = model.run({"--method", "patching"});
  CHECK(shown.status == 0);
  CHECK_THAT(shown.out, ContainsSubstring("resid_post") and ContainsSubstring("logit-diff, corrupt"));
  CHECK(model.run({"--method", "patching", "--quiet"}).out.find("resid_post") == std::string::npos);
  for (const std::string ending : {".svg", ".csv", ".json"}) {
    const auto file = model.name("map" + ending);
    CHECK(model.run({"--method", "patching", "--heatmap", file}).status == 0);
    CHECK_THAT(content_of(file), ContainsSubstring("mlp_out"));
  }
  const auto page = model.name("page.html");
  CHECK(model.run({"--method", "patching", "--sites", "mlp_out", "--curve", "--report", page}).status == 0);
  CHECK_THAT(content_of(page), ContainsSubstring("trimtab explain --model ") and
                                   ContainsSubstring("data-site=\"mlp_out\" data-quantity=\"share of the gap\"") and
                                   ContainsSubstring("CMD") and ContainsSubstring("Places of a model") and
                                   not ContainsSubstring("parameters are not zero"));
  CHECK_THAT(content_of(model.name("map.csv")), ContainsSubstring("patching,share of the gap,mlp_out,1,"));
}

TEST_CASE("a ranking is compared with fits") {
  const explained_model model;
  const auto fit = model.name("fit.safetensors");
  run_trimtab({"fit", "--model", model.path(), "--data", model.pairs, "--positions", "from_end", "--sites", "mlp_out",
               "--steps", "3", "--lambda-m", "0", "--out", fit});
  const auto found = model({"--method", "gradient", "--sites", "mlp_out,attn_out", "--positions", "from_end",
                            "--against", fit, "--against", fit});
  REQUIRE(found["agreement"].size() == 2);
  const auto& one = found["agreement"][0];
  CHECK(one["with"] == fit);
  CHECK(one["k"] == 5);  // four tokens in layer 0, and the last one in layer 1: the others stay at 0
  for (const auto* key : {"spearman", "kendall", "overlap"}) {
    const double value = one[key], low = one[std::string(key) + "_interval"][0],
                 high = one[std::string(key) + "_interval"][1];
    CHECK(std::abs(value) <= 1);
    CHECK(low <= high);
  }
  // Of several methods, those that score the fit's sites are compared with it.
  const auto several =
      model({"--method", "gradient", "--method", "logit-lens", "--positions", "from_end", "--against", fit});
  CHECK(several["methods"][0]["agreement"].size() == 1);
  CHECK(several["methods"][1]["agreement"].empty());
  const auto differ = model.run({"--method", "gradient", "--against", fit});
  CHECK(differ.status == 1);
  CHECK_THAT(differ.err, ContainsSubstring("has from_end positions, but the scores have absolute"));
  const auto elsewhere =
      model.run({"--method", "gradient", "--sites", "attn_out", "--positions", "from_end", "--against", fit});
  CHECK(elsewhere.status == 1);
  CHECK_THAT(elsewhere.err, ContainsSubstring("at none of the sites"));
}

TEST_CASE("a ranking is compared with the order in which places enter a path") {
  const explained_model model;
  const auto folder = model.name("path");
  const std::vector<std::string> sweep = {"sweep",       "--model",  model.path(), "--data",  model.pairs,
                                          "--positions", "from_end", "--sites",    "mlp_out", "--steps",
                                          "60",          "--lr",     "0.05",       "--json"};
  auto with_path = sweep;
  with_path.insert(with_path.end(), {"--path", "6", "--out", folder});
  const auto entry = run_trimtab(with_path).json()["entry"]["mlp_out"];
  const std::vector<std::string> explained = {"--method",    "gradient", "--sites", "mlp_out",
                                              "--positions", "from_end", "--json",  "--against"};
  const auto against = [&](const std::string& name) {
    auto options = explained;
    options.push_back(name);
    return model.run(options);
  };

  // The same as a fit whose scalars are those weights.
  auto fit = io::read_intervention(folder + "/point-0005.safetensors");
  auto& own = fit.interventions.front();
  REQUIRE(entry.size() == own.layers.size());
  std::vector<double> weights;
  for (const auto& layer : entry)
    for (const auto& weight : layer) weights.push_back(weight.is_null() ? 0 : weight.get<double>());
  CHECK(std::ranges::count_if(weights, [](double x) { return x > 0; }) > 1);
  own.parameters.front().numbers.values = weights;
  const auto file = model.name("entries.safetensors");
  io::write_intervention(file, fit);
  auto found = against(folder).json()["agreement"][0], expected = against(file).json()["agreement"][0];
  CHECK(found["with"] == folder);
  found.erase("with"), expected.erase("with");
  CHECK(found == expected);

  std::filesystem::remove(folder + "/point-0005.json");
  const auto unfinished = against(folder);
  CHECK(unfinished.status == 1);
  CHECK_THAT(unfinished.err, ContainsSubstring("lacks point 5 of the 6 of its path"));
  auto grid = sweep;
  grid.insert(grid.end(), {"--vary", "lambda-m=0.1,0.01", "--out", model.name("grid")});
  run_trimtab(grid);
  CHECK_THAT(against(model.name("grid")).err, ContainsSubstring("holds no path"));
  with_path.back() = model.name("two");
  with_path.insert(with_path.end(), {"--vary", "lr=0.05,0.02"});
  run_trimtab(with_path);
  CHECK_THAT(against(model.name("two")).err, ContainsSubstring("holds several paths"));
  CHECK_THAT(against(model.path()).err, ContainsSubstring("holds no sweep"));
}

TEST_CASE("roles of a ranking and of a fit are compared by their names, in whichever order the fit has them") {
  const explained_model model;
  const auto compared = [&](const std::string& fitted, const std::string& scored) {
    const auto fit = model.name(fitted + ".safetensors");
    run_trimtab({"fit", "--model", model.path(), "--data", model.pairs, "--positions", "role", "--roles", fitted,
                 "--sites", "mlp_out", "--steps", "3", "--lambda-m", "0", "--out", fit});
    return model.run({"--method", "gradient", "--sites", "mlp_out", "--positions", "role", "--roles", scored,
                      "--against", fit, "--json"});
  };
  const auto found = compared("pair,end", "pair,end").json()["agreement"][0],
             other = compared("end,pair", "pair,end").json()["agreement"][0];
  for (const auto* measure : {"spearman", "kendall", "overlap"}) CHECK(found[measure] == other[measure]);
  const auto fewer = compared("pair,end", "end");
  CHECK(fewer.status == 1);
  CHECK_THAT(fewer.err, ContainsSubstring("(pair, end)") and ContainsSubstring("(end); give the same"));
}

TEST_CASE("a curve goes from the corrupt to the clean run") {
  const explained_model model;
  for (const auto* method : {"patching", "gradient", "direct", "ablation"}) {
    CAPTURE(method);
    const auto curve = model({"--method", method, "--curve"})["curve"];
    REQUIRE(curve["kept"].size() == 10);
    CHECK(curve["kept"][0] == 0.001);
    CHECK(curve["faithfulness"].size() == 10);
    CHECK(curve["faithfulness"][9] == 1);
    CHECK(curve["random"]["mean"][9] == 1);
    CHECK(curve["cpr"].is_number());
    CHECK(curve["cpr_interval"][0] <= curve["cpr_interval"][1]);
    CHECK(curve["cmd"].get<double>() >= 0);
  }
  const auto stream = model.run({"--method", "patching", "--sites", "resid_post", "--curve"});
  CHECK(stream.status == 1);
  CHECK_THAT(stream.err, ContainsSubstring("'resid_post' would override"));
}

TEST_CASE("several methods have the objects that each has alone, and how far they agree") {
  const explained_model model;
  const auto found = model({"--method", "gradient", "--method", "direct", "--method", "logit-lens", "--method",
                            "patching", "--method", "gradient", "--per-prompt"});
  CHECK(found["prompts"] == 2);
  REQUIRE(found["methods"].size() == 4);
  for (const auto& one : found["methods"]) CHECK(one == model({"--method", one["method"], "--per-prompt"}));
  std::vector<std::vector<std::string>> pairs;
  for (const auto& pair : found["agreement"]) {
    pairs.push_back(pair["between"]);
    CHECK(pair["k"] == std::min<std::size_t>(10, pair["places"]));
    for (const std::string key : {"spearman", "kendall", "overlap"}) {
      CHECK(std::abs(pair[key].get<double>()) <= 1);
      CHECK(pair[key + "_interval"][0] <= pair[key + "_interval"][1]);
    }
  }
  using names = std::vector<std::string>;
  CHECK(pairs == std::vector<names>{{"gradient", "direct"},
                                    {"gradient", "logit-lens"},
                                    {"gradient", "patching"},
                                    {"direct", "patching"},
                                    {"logit-lens", "patching"}});  // direct and the lens score no place both
  CHECK(found["agreement"][0]["places"] == 16);
  CHECK(found["agreement"][2]["places"] == 24);
  CHECK_FALSE(found.contains("differences"));
}

TEST_CASE("all methods are those that can score the places") {
  const explained_model model;
  const auto all = model({"--method", "all", "--curve"});
  REQUIRE(all["methods"].size() == 7);
  CHECK(all["warnings"].empty());
  std::size_t curves = 0;
  for (const auto& one : all["methods"])
    if (one.contains("curve")) {
      ++curves;
      CHECK(one["curve"] == model({"--method", one["method"], "--curve"})["curve"]);
    }
  CHECK(curves == 6);  // the lens ranks the stream, which has none
  REQUIRE(all["differences"].size() == 15);
  const auto& first = all["differences"][0];
  CHECK(first["between"] == io::json{"gradient", "attribution-patching"});
  CHECK(first["cpr"].get<double>() ==
        all["methods"][0]["curve"]["cpr"].get<double>() - all["methods"][1]["curve"]["cpr"].get<double>());
  CHECK(first["cmd_interval"][0] <= first["cmd_interval"][1]);

  const auto kl = model.run({"--method", "all", "--metric", "kl", "--json"});
  CHECK(kl.json()["methods"].size() == 5);
  REQUIRE(kl.json()["warnings"].size() == 2);
  CHECK_THAT(kl.json()["warnings"][0], ContainsSubstring("gradient is left out: "));
  CHECK_THAT(kl.err, ContainsSubstring("direct is left out: "));
  // Sites are those of the methods that have them.
  const auto sites = model({"--method", "all", "--sites", "mlp_out,resid_post"});
  REQUIRE(sites["methods"].size() == 7);
  CHECK(sites["methods"][5]["scores"].size() == 1);
  CHECK(sites["methods"][0]["scores"].size() == 2);
}

TEST_CASE("places ranked on all prompts are measured on those held out") {
  const explained_model model;
  const auto held_out = model.file("held-out.jsonl", ragged);
  const auto found = model({"--method", "patching", "--method", "gradient", "--holdout", held_out});
  for (const auto& one : found["methods"]) {
    CHECK(one["curve"]["faithfulness"][9] == 1);
    CHECK(one["curve"] != model({"--method", one["method"], "--curve"})["curve"]);
  }
  REQUIRE(found["differences"].size() == 1);
  const auto refused = [&](const std::string& lines, const std::string& part) {
    const auto run = model.run({"--method", "patching", "--holdout", model.file("other.jsonl", lines)});
    CHECK(run.status == 1);
    CHECK(run.error_lines() == 1);
    CHECK_THAT(run.err, ContainsSubstring("other.jsonl") and ContainsSubstring(part));
  };
  refused("{\"ids\": [1, 2], \"correct_id\": 5, \"wrong_id\": 6}\n", "line 1' has no corrupt prompt");
  refused("{\"ids\": [1, 2, 3, 4, 5], \"corrupt_ids\": [2, 2, 3, 4, 5], \"correct_id\": 5, \"wrong_id\": 6}\n",
          "prompt pair 1 has 5 tokens, but places were ranked on prompts of at most 4");
}

TEST_CASE("methods share a page and a picture, with the lens in words and the curves") {
  const explained_model model;
  const auto page = model.name("all.html"), svg = model.name("all.svg"), csv = model.name("all.csv");
  const auto shown = model.run({"--method", "all", "--curve", "--report", page, "--heatmap", svg});
  CHECK(shown.status == 0);
  CHECK_THAT(shown.out, ContainsSubstring("gradient, patching") and ContainsSubstring("patching − ablation") and
                            ContainsSubstring("mlp_out, direct"));
  CHECK(shown.out.find("trimtab explain") == std::string::npos);
  CHECK_THAT(content_of(page), ContainsSubstring("data-site=\"mlp_out, integrated\"") and
                                   ContainsSubstring("trimtab explain --model ") and
                                   ContainsSubstring("How far the rankings agree") and
                                   ContainsSubstring("How much of the answer the first places explain") and
                                   ContainsSubstring("class=\"word\""));
  CHECK_THAT(content_of(svg), ContainsSubstring("resid_post, logit-lens") and
                                  ContainsSubstring("How much of the answer the first places explain"));
  CHECK(model.run({"--method", "gradient", "--method", "patching", "--heatmap", csv}).status == 0);
  CHECK_THAT(content_of(csv), ContainsSubstring("gradient,logit difference,mlp_out,1,") and
                                  ContainsSubstring("patching,share of the gap,"));
  const auto narrow = model.name("narrow.svg");
  CHECK(model.run({"--method", "all", "--curve", "--heatmap", narrow, "--heatmap-width", "400"}).status == 0);
  const auto width_in = [](const std::string& file) {
    const auto text = content_of(file);
    return std::stod(text.substr(text.find(" width=\"") + 8));
  };
  CHECK(width_in(narrow) < width_in(svg));
}

TEST_CASE("attention of chosen heads is shown for the first prompt, and for all on request") {
  const explained_model model(GENERATE(false, true));
  const auto found = model({"--method", "attention", "--heads", "1.0,0.1"});
  CHECK(found["method"] == "attention");
  CHECK(found["prompts"] == 2);
  CHECK(found["tokens"].size() == 4);
  CHECK_FALSE(found.contains("per_prompt"));
  REQUIRE(found["patterns"].size() == 2);
  for (const auto* head : {"1.0", "0.1"}) {
    const auto& rows = found["patterns"][head];
    REQUIRE(rows.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
      REQUIRE(rows[i].size() == i + 1);
      double sum = 0;
      for (const auto& x : rows[i]) sum += x.get<double>();
      CHECK(std::abs(sum - 1) < 1e-14);
    }
  }
  CHECK(found["patterns"]["1.0"] != found["patterns"]["0.1"]);
  const auto all = model({"--method", "attention", "--heads", "1.0", "--per-prompt"});
  REQUIRE(all["per_prompt"].size() == 2);
  CHECK(all["per_prompt"][0]["patterns"]["1.0"] == found["patterns"]["1.0"]);
  CHECK(all["per_prompt"][1]["tokens"].size() == 2);

  const auto svg = model.name("heads.svg"), csv = model.name("heads.csv"), json = model.name("heads.json"),
             page = model.name("heads.html");
  const auto shown = model.run({"--method", "attention", "--heads", "1.0,0.1", "--heatmap", svg, "--report", page});
  CHECK_THAT(shown.out, ContainsSubstring("head 1.0") and ContainsSubstring("the first of 2"));
  CHECK_THAT(content_of(svg), ContainsSubstring(">head 0.1<") and ContainsSubstring("<title>token "));
  CHECK_THAT(content_of(page), ContainsSubstring("data-site=\"head 1.0\" data-quantity=\"attention\"") and
                                   ContainsSubstring("trimtab explain --model "));
  CHECK(model.run({"--method", "attention", "--heads", "1.0", "--per-prompt", "--heatmap", csv}).status == 0);
  CHECK_THAT(content_of(csv), ContainsSubstring("prompt,layer,head,token,reads,seen,from,weight\n0,1,0,0,") and
                                  ContainsSubstring("\n1,1,0,1,"));
  CHECK(model.run({"--method", "attention", "--heads", "1.0", "--heatmap", json}).status == 0);
  CHECK(io::parse_json(content_of(json), json)["patterns"]["1.0"].size() == 4);
}

TEST_CASE("explain refuses what it cannot do in one sentence") {
  const explained_model model;
  const auto refused = [&](int status, std::vector<std::string> arguments, const std::string& part) {
    CAPTURE(arguments);
    const auto run = model.run(std::move(arguments));
    CHECK(run.status == status);
    CHECK(run.out.empty());
    CHECK(run.error_lines() == 1);
    CHECK_THAT(run.err, ContainsSubstring(part));
  };
  refused(2, {}, "--method");
  refused(1, {"--method", "patchin"}, "patching");
  refused(2, {"--method", "gradient", "--direction", "noising"}, "--direction goes with --method patching or");
  refused(2, {"--method", "patching", "--ablate", "mean"}, "--ablate goes with --method ablation");
  refused(2, {"--method", "patching", "--ig-steps", "3"}, "--ig-steps goes with --method integrated");
  refused(2, {"--method", "patching", "--ig-rule", "left"}, "--ig-rule goes with");
  refused(2, {"--method", "patching", "--roles", "end"}, "--roles goes with --positions role");
  refused(2, {"--method", "patching", "--task", "ioi"}, "give one of the two");
  refused(2, {"--method", "attention"}, "--method attention needs --heads");
  refused(2, {"--method", "patching", "--heads", "0.1"}, "--heads goes with --method attention");
  refused(2, {"--method", "attention", "--method", "patching", "--heads", "0.1"}, "leave out the other --method");
  refused(2, {"--method", "attention", "--heads", "0.1", "--curve"}, "--curve does not go with --method attention");
  refused(2, {"--method", "patching", "--heatmap-width", "400"}, "--heatmap-width goes with --heatmap");
  refused(1, {"--method", "attention", "--heads", "0"}, "heads as LAYER.HEAD");
  refused(1, {"--method", "attention", "--heads", "0.5"}, "the model has no head 0.5");
  refused(1, {"--method", "all", "--layers", "2"}, "no layer 2");
  refused(1, {"--method", "gradient", "--metric", "kl"}, "gradient of the KL divergence is 0");
  refused(1, {"--method", "direct", "--metric", "kl"}, "to no other metric");
  refused(1, {"--method", "direct", "--sites", "resid_post"}, "'resid_post' is not");
  refused(1, {"--method", "logit-lens", "--sites", "mlp_out"}, "its only site is resid_post");
  refused(1, {"--method", "patching", "--layers", "2"}, "no layer 2");
  refused(1, {"--method", "patching", "--memory", "1K"}, "may take 1.0 KB; allow more with --memory");
  refused(1, {"--method", "patching", "--memory", "3 apples"}, "a size in bytes");
  const auto plain = run_trimtab({"explain", "--model", model.path(), "--data", model.data(), "--method", "patching"});
  CHECK(plain.status == 1);
  CHECK_THAT(plain.err, ContainsSubstring("data.jsonl, line 1' has no corrupt prompt"));
  const auto recall = run_trimtab(
      {"explain", "--model", model.path(), "--data", model.data(), "--method", "ablation", "--positions", "role"});
  CHECK(recall.status == 1);
  CHECK_THAT(recall.err, ContainsSubstring("no roles"));
}

}  // namespace trimtab::test::explain_tests
