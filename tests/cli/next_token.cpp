// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>
#include <trimtab/io/huggingface/model_folder.hpp>
#include <trimtab/io/intervention_file.hpp>

#include "support/small_intervention.hpp"

#include <cmath>

namespace trimtab::test::next_token_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// The largest difference; the program and this test are compiled separately and may round differently.
double difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace

TEST_CASE("logits prints the model's own numbers in full") {
  const model_for_cli model(false, false);
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"logits", "--model", model.path(), "--ids", "3,1,2", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_trimtab(arguments).json();
  };
  const auto expected = [&](scored where) {
    const std::vector<std::vector<int>> prompts = {{3, 1, 2}};
    return logits(gpt2<eigen_backend<double>>(io::model_folder(model.path())), prompts, where).values;
  };
  const auto last = run({"--precision", "double"});
  CHECK(last["ids"] == std::vector{3, 1, 2});
  CHECK(difference(last["logits"].get<std::vector<double>>(), expected(scored::last)) < 1e-11);

  const auto all = run({"--precision", "double", "--all", "--top", "2"});
  REQUIRE(all["logits"].size() == 3);
  std::vector<double> joined;
  for (const auto& row : all["logits"])
    for (double x : row) joined.push_back(x);
  CHECK(difference(joined, expected(scored::all)) < 1e-11);
  CHECK(all["top"][2].size() == 2);
  CHECK(all["top"][2][0]["logit"] >= all["top"][2][1]["logit"]);
}

TEST_CASE("A strength of 0 is the untouched model, another one is not") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  io::write_intervention(
      file, small_intervention("activ-scalar", positions::from_end(1), {{"mlp_out.alpha", {{2, 1}, {0.5, -0.5}}}}));
  const auto at = [&](const std::string& strength) {
    return run_trimtab({"logits", "--model", model.path(), "--prompt", "abc", "--intervention", file, "--strength",
                        strength, "--json"})
        .json()["logits"];
  };
  const auto plain = run_trimtab({"logits", "--model", model.path(), "--prompt", "abc", "--json"}).json()["logits"];
  CHECK(at("0") == plain);
  CHECK(at("-2") != plain);
}

TEST_CASE("Any finite strength is accepted, as far as the precision holds it") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors");
  io::write_intervention(
      file, small_intervention("activ-scalar", positions::from_end(1), {{"mlp_out.alpha", {{2, 1}, {0.5, -0.5}}}}));
  const auto at = [&](const std::string& strength, const std::string& precision) {
    return run_trimtab({"logits", "--model", model.path(), "--ids", "1,2", "--intervention", file, "--precision",
                        precision, "--strength=" + strength});
  };
  for (const auto strength : {"2e6", "-1e9", "+1e15"})
    for (const auto precision : {"float", "double"}) CHECK(at(strength, precision).status == 0);
  CHECK(at("1e39", "double").status == 0);
  const auto beyond_float = at("-1e39", "float");
  CHECK(beyond_float.status == 1);
  CHECK_THAT(beyond_float.err,
             Catch::Matchers::ContainsSubstring("a strength is -1e+39, which float cannot hold; compute in double"));
  const auto beyond_logits = at("1e300", "double");
  CHECK(beyond_logits.status == 1);
  CHECK_THAT(beyond_logits.err, Catch::Matchers::ContainsSubstring("a logit is not a finite number: the strength"));
  CHECK(run_trimtab({"loss", "--model", model.path(), "--data", model.data(), "--intervention", file, "--strengths",
                     "2e6,-2e6"})
            .status == 0);
}

TEST_CASE("prompts begin as the folder says, or as --bos and --no-bos say") {
  const model_for_cli model;
  auto root = io::json::parse(content_of(model.name("tokenizer.json")));
  root["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single",
       {{{"SpecialToken", {{"id", "<e>"}}}}, {{"Sequence", {{"id", "A"}}}}, {{"SpecialToken", {{"id", "<e>"}}}}}},
      {"special_tokens", {{"<e>", {{"id", "<e>"}, {"ids", {258}}}}}}};
  model.file("tokenizer.json", root.dump());
  model.file("tokenizer_config.json", "{\"bos_token\": \"<e>\"}");
  const auto ids = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"logits", "--model", model.path(), "--prompt", "ab<e>", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = run_trimtab(arguments);
    CHECK_THAT(run.err, ContainsSubstring("puts \"<e>\" after a text; prompts are read without it"));
    return run.json()["ids"];
  };
  CHECK(ids({}) == std::vector{258, 256, 258});
  CHECK(ids({"--bos"}) == std::vector{258, 256, 258});
  CHECK(ids({"--no-bos"}) == std::vector{256, 258});
  CHECK(ids({"--no-bos", "--plain-text"}) == std::vector<int>{256, '<', 'e', '>'});
  CHECK(run_trimtab({"tokenize", "--model", model.path()}, "\"ab\"\n").out == "[258,256,258]\n");
  CHECK(run_trimtab({"tokenize", "--model", model.path(), "--bos", "--no-bos"}).status == 2);
  const auto said = run_trimtab({"generate", "--model", model.path(), "--prompt", "ab", "--max-new-tokens", "0"});
  CHECK(said.out == "ab\n");
  // Ids with a text beside them begin as they are given.
  const auto given = model.file("given.jsonl", "{\"ids\": [120], \"prompt\": \"y\"}\n");
  CHECK(run_trimtab({"generate", "--model", model.path(), "--prompts", given, "--max-new-tokens", "0"}).out == "x\n");

  // The intervention file says with which tokens its prompts began; other ones are worth a warning.
  const auto data = model.file("text.jsonl", "{\"prompt\": \"ab cd\", \"correct\": \"x\", \"wrong\": \"y\"}\n");
  const auto out = model.name("out.safetensors");
  REQUIRE(run_trimtab(
              {"fit", "--model", model.path(), "--data", data, "--steps", "1", "--out", out, "--positions", "shared"})
              .status == 0);
  CHECK(run_trimtab({"inspect", out, "--json"}).json()["made"]["prompts_begin_with"] == "<e>");
  const auto warning = "was fitted on prompts with \"<e>\" before their text, and now they have no token";
  const auto measured = [&](const std::string& begin) {
    return run_trimtab({"eval", "--model", model.path(), "--data", data, "--intervention", out, begin}).err;
  };
  CHECK_THAT(measured("--no-bos"), ContainsSubstring(warning));
  CHECK_THAT(measured("--bos"), not ContainsSubstring("was fitted on prompts"));
}

TEST_CASE("tokenize gives one array of ids a line") {
  const model_for_cli model;
  const auto run = run_trimtab({"tokenize", "--model", model.path()}, "\"ab\"\n\"\"\n\"\\u00e4\"\n");
  CHECK(run.status == 0);
  CHECK(std::count(run.out.begin(), run.out.end(), '\n') == 3);
  const auto json = run_trimtab({"tokenize", "--model", model.path(), "--json"}, "\"ab\"\n\"\"\n").json();
  CHECK(run.out.starts_with(json["ids"][0].dump() + "\n[]\n"));
}

TEST_CASE("inspect tells folders, interventions and other files apart") {
  const model_for_cli model;
  const auto folder = run_trimtab({"inspect", model.path(), "--json"}).json();
  CHECK(folder["kind"] == "model");
  CHECK(folder["layers"] == 2);
  CHECK(folder["weights_hash"] == hash_of_weights<float>(io::model_folder(model.path())));
  CHECK(folder["tokenizer"]["vocabulary"] == 259);
  CHECK(folder["tokenizer"]["before"].empty());
  CHECK(folder["config"]["read"]["n_layer"] == 2);
  CHECK(folder["config"]["defaulted"]["add_cross_attention"] == false);
  CHECK(folder["end_tokens"]["ids"].empty());
  CHECK(folder["warnings"].empty());
  const auto weights = run_trimtab({"inspect", model.name("model.safetensors"), "--json"}).json();
  CHECK(weights["kind"] == "safetensors");

  const auto file = model.name("i.safetensors");
  io::write_intervention(
      file, small_intervention("activ-scalar", positions::from_end(1), {{"mlp_out.alpha", {{2, 1}, {0.5, 0}}}},
                               {{"task", "ioi"}, {"\x1b[31m", "\x07\nred"}}));
  const auto intervention = run_trimtab({"inspect", file, "--json"}).json();
  CHECK(intervention["kind"] == "intervention");
  CHECK(intervention["tensors"]["mlp_out.alpha"]["nonzero"] == 1);
  CHECK(intervention["made"]["task"] == "ioi");
  // Control characters from a file must not reach the terminal.
  CHECK(intervention["made"]["\x1b[31m"] == "\x07\nred");
  const auto shown = run_trimtab({"inspect", file}).out;
  CHECK_THAT(shown, ContainsSubstring("\xEF\xBF\xBD[31m") and ContainsSubstring("\xEF\xBF\xBD\xEF\xBF\xBDred\n"));
  CHECK(shown.find('\x1b') == shown.npos);
}

}  // namespace trimtab::test::next_token_tests
