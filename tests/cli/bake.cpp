// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/intervention_file.hpp>

#include "bad_input.hpp"
#include "program.hpp"

#include "support/small_intervention.hpp"

#include <cmath>
#include <random>
#include <set>

namespace trimtab::test::bake_tests {

namespace {

using arguments = std::vector<std::string>;

/// Logits at all positions of a prompt, in double.
std::vector<double> logits_of(const std::string& model, arguments more = {}) {
  arguments all = {"logits", "--model", model, "--ids", "1,2,3,4,7", "--all", "--precision", "double", "--json"};
  all.insert(all.end(), more.begin(), more.end());
  const auto found = run_trimtab(all).json();
  std::vector<double> logits;
  for (const auto& row : found.at("logits"))
    for (const auto& x : row) logits.push_back(x.get<double>());
  return logits;
}

double difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  REQUIRE(not a.empty());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

/// An intervention file of the model that folds, of two policies at several sites.
std::string foldable(const model_for_cli& model, const std::string& name = "i.safetensors") {
  auto file = example_intervention("affine",
                                   {{"attn_z.alpha", {2, 1, 2}},
                                    {"attn_z.vector", {2, 1, 2, 8}},
                                    {"mlp_out.alpha", {2, 1}},
                                    {"mlp_out.vector", {2, 1, 16}}},
                                   positions::shared());
  const auto more = example_intervention("steer-vec", {{"resid_post.vector", {2, 1, 16}}}, positions::shared());
  file.interventions.insert(file.interventions.end(), more.interventions.begin(), more.interventions.end());
  io::write_intervention(model.name(name), file);
  return model.name(name);
}

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

}  // namespace

TEST_CASE("A baked folder has the steered model's logits, for strengths of both signs") {
  const auto parallel = GENERATE(false, true);
  const model_for_cli model(parallel);
  const auto file = foldable(model);
  for (const std::string strength : {"1", "-0.7"}) {
    const auto out = model.name("out" + strength);
    const auto found = run_trimtab({"bake", "--model", model.path(), "--intervention", file, "--strength", strength,
                                    "--out", out, "--dtype", "F64", "--json"})
                           .json();
    CHECK(found.at("folded").size() == 6);
    CHECK(found.at("folded")[0] == io::json{{"site", "attn_z"}, {"policy", "affine"}, {"layer", 0}});
    CHECK(found.at("largest_logit_change") < 1e-10);
    const auto steered = logits_of(model.path(), {"--intervention", file, "--strength", strength});
    CHECK(difference(logits_of(out), steered) < 1e-10);
    CHECK(difference(logits_of(model.path()), steered) > 1e-2);
    CHECK(names_in(out) == std::set<std::string>{"config.json", "model.safetensors", "tokenizer.json", "trimtab.json"});
    const auto record = io::read_json_file(std::filesystem::path(out) / "trimtab.json");
    CHECK(record.at("folded")[0].at("strength") == std::stod(strength));
    CHECK(record.at("folded")[0].at("policy") == "affine + steer-vec");
    CHECK(record.at("folded")[0].at("places").size() == 6);
  }
}

TEST_CASE("In a narrower type, bake prints how far rounding moves the logits") {
  const model_for_cli model;
  const auto file = foldable(model);
  double before = 0;
  for (const std::string type : {"F64", "stored", "F16", "BF16"}) {
    const auto out = model.name(type);
    const auto found =
        run_trimtab({"bake", "--model", model.path(), "--intervention", file, "--out", out, "--dtype", type, "--json"})
            .json();
    const double change = found.at("largest_logit_change");
    CHECK(change > before);
    CHECK(change < (type == "BF16" ? 0.5 : type == "F16" ? 0.05 : 1e-4));
    before = change;
    const auto stored =
        io::safetensors_file(std::filesystem::path(out) / "model.safetensors").type("transformer.wpe.weight");
    CHECK(io::name_of(stored) == (type == "stored" ? "F32" : type));
  }
}

TEST_CASE("An intervention is baked twice only if that is asked for, and is undone by the opposite strength") {
  const model_for_cli model;
  const auto file = model.name("v.safetensors");
  check_accepted({"fit", "--model", model.path(), "--data", model.data(), "--at", "resid_post:steer-vec:all:shared",
                  "--lambda-m", "0", "--steps", "3", "--lr", "0.1", "--out", file});
  const auto bake = [&](const std::string& from, const std::string& to, const std::string& strength) {
    return arguments{"bake",   "--model", from, "--intervention", file, "--strength",
                     strength, "--out",   to,   "--dtype",        "F64"};
  };
  const auto once = model.name("once"), twice = model.name("twice"), undone = model.name("undone");
  check_accepted(bake(model.path(), once, "1.5"));
  check_refused(bake(model.path(), once, "1.5"),
                {"once", "has this intervention in its weights already, at strength +1.5", "nothing to do"});
  check_refused(bake(model.path(), once, "1"), {"holds files already"});
  check_refused(bake(once, twice, "1.5"), {"has this intervention in its weights already", "--allow-other-weights"});
  check_refused(bake(once, undone, "-1.5"), {"--allow-other-weights"});  // made for weights with another hash
  CHECK_FALSE(std::filesystem::exists(twice));
  const auto with = [](arguments all, const std::string& one) {
    all.push_back(one);
    return all;
  };
  check_accepted(with(bake(once, twice, "1.5"), "--allow-other-weights"));
  check_accepted(with(bake(once, undone, "-1.5"), "--allow-other-weights"));
  CHECK(io::read_json_file(std::filesystem::path(undone) / "trimtab.json").at("folded").size() == 2);
  CHECK(difference(logits_of(undone), logits_of(model.path())) < 1e-12);
  CHECK(difference(logits_of(twice), logits_of(model.path(), {"--intervention", file, "--strength", "3"})) < 1e-10);
}

TEST_CASE("What cannot be baked is refused with the reason, and leaves nothing") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors"), out = model.name("out");
  const auto refused = [&](const intervention_file& what, const std::vector<std::string>& words) {
    io::write_intervention(file, what);
    check_refused({"bake", "--model", model.path(), "--intervention", file, "--out", out}, words);
    for (const auto& name : names_in(model.path())) CHECK_FALSE(name.starts_with("out"));
  };
  refused(example_intervention("activ-scalar", {{"attn_out.alpha", {2, 3}}}, positions::from_end(3)),
          {"i.safetensors", "activ-scalar at attn_out in layer 0 does not fold", "from_end", "--positions shared"});
  refused(example_intervention("dyn-scalar", {{"mlp_out.weight", {2, 16}}}, positions::shared()),
          {"depends on the activations"});
  refused(example_intervention("activ-scalar", {{"resid_post.alpha", {2, 1}}}, positions::shared()),
          {"maps the residual stream", "attn_out"});
  refused(example_intervention("steer-vec", {{"resid_post.vector", {2, 1, 15}}}, positions::shared()), {"shape"});
  io::write_intervention(file,
                         example_intervention("steer-vec", {{"resid_post.vector", {2, 1, 16}}}, positions::shared()));
  check_refused({"bake", "--model", model.path(), "--intervention", file, "--out", model.path()},
                {"holds files already"});
  check_refused({"bake", "--model", model.path(), "--intervention", file, "--out", model.name("none/out")},
                {"there is no folder"});
  check_refused(
      {"bake", "--model", model.path(), "--intervention", file, "--out", out, "--strength", "1e9", "--dtype", "F16"},
      {"which F16 cannot hold"});
  CHECK_FALSE(std::filesystem::exists(out));
}

TEST_CASE("A malformed trimtab.json is refused by name") {
  const model_for_cli model;
  const auto file = foldable(model);
  const auto with = [&](const std::string& content, const std::string& word) {
    const file_with changed(model.name("trimtab.json"), content);
    check_refused({"bake", "--model", model.path(), "--intervention", file, "--out", model.name("out")},
                  {"trimtab.json", word});
  };
  with("[]", "object");
  with(R"({"format": "x", "folded": []})", "trimtab-folded-1");
  with(R"({"format": "trimtab-folded-1", "folded": 1})", "array");
  with(R"({"format": "trimtab-folded-1", "folded": [{"strength": 1}]})", "intervention");
  with(R"({"format": "trimtab-folded-1", "folded": [{"intervention": "a", "strength": 1, "policy": "p", "stored": "F32",
           "model": "m", "places": [{"site": "s", "policy": "p", "layer": -1}]}]})",
       "layer");
}

TEST_CASE("Killed at any moment, bake leaves the whole folder or none, and the next one cleans up") {
  const model_for_cli model;
  const auto file = foldable(model);
  const temporary_folder around;
  const auto out = around.path() / "out";
  const arguments bake = {"bake",       "--model",   model.path(), "--intervention", file, "--out",
                          out.string(), "--threads", "1"};
  const auto content = [&] {
    std::string all;
    for (const auto& name : names_in(out)) all += name + content_of(out / name);
    return all;
  };
  const auto before = std::chrono::steady_clock::now();
  REQUIRE(run_trimtab(bake).status == 0);
  const auto length = std::chrono::steady_clock::now() - before;
  const auto wanted = content();
  std::filesystem::remove_all(out);

  const char* const asked = std::getenv("TRIMTAB_KILLS");
  const int kills = asked == nullptr ? 50 : std::atoi(asked);
  std::mt19937 random(std::random_device{}());
  std::uniform_real_distribution<double> share(0, 1);
  int whole = 0, none = 0, partial = 0;
  for (int kill = 0; kill < kills; ++kill) {
    running_trimtab program(bake);
    const auto moment = std::chrono::duration_cast<std::chrono::microseconds>(length * share(random));
    CAPTURE(kill, moment.count());
    std::this_thread::sleep_for(moment);
    program.signal(SIGKILL);
    program.wait();
    if (std::filesystem::exists(out)) {
      ++whole;
      CHECK((content() == wanted));
      std::filesystem::remove_all(out);
    } else {
      ++none;
    }
    const auto left = names_in(around.path());
    CHECK(left.size() <= 1);  // each removes what the one before it left
    for (const auto& name : left) CHECK(name.starts_with("out.partial-"));
    partial += static_cast<int>(left.size());
  }
  CHECK(none > 0);
  CHECK(partial > 0);
  REQUIRE(run_trimtab(bake).status == 0);
  CHECK(names_in(around.path()) == std::set<std::string>{"out"});
  CHECK((content() == wanted));
  if (asked != nullptr)
    WARN(kills << " kills: " << whole << " left the whole folder, " << none << " none, " << partial
               << " a partial one");
}

}  // namespace trimtab::test::bake_tests
