// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"
#include "support/planted_models.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace trimtab::test::study_planted_tests {

/// Studies of models in which a finding is true, or false: whole ones, from the prompts to the verdict.

namespace {

using verdicts = std::map<std::string, std::string>;

/// What a study of a model says of each hypothesis.
verdicts study(const std::string& model, const std::vector<std::string>& options) {
  const temporary_folder folder;
  std::vector<std::string> words = {
      "study",   "paper", "--model",     model, "--out",     (folder.path() / "out").string(),
      "--steps", "60",    "--explained", "6",   "--threads", "1",
      "--train", "6",     "--test",      "24",  "--json"};
  words.insert(words.end(), options.begin(), options.end());
  verdicts found;
  const auto printed = run_trimtab(words).json();
  for (const auto& h : printed["hypotheses"]) found[h["name"]] = h["verdict"];
  return found;
}

verdicts study(planted what, const std::string& seeds = "3") {
  const temporary_folder folder;
  const planted_model model(what);
  write_model_folder(folder.path(), model.weights());
  return study(folder.path().string(),
               {"--task", folder.file("pairs.jsonl", model.prompts()).string(), "--seeds", seeds});
}

void check(const verdicts& found, const verdicts& expected) {
  for (const auto& [name, said] : expected) {
    CAPTURE(name);
    CHECK(found.contains(name));
    if (found.contains(name)) CHECK(found.at(name) == said);
  }
}

}  // namespace

TEST_CASE("A study of a model that one scalar steers holds every finding", "[study]") {
  check(study(planted::scaling), {{"ActivScalar is as effective as SteerVec, mlp_out", "held"},
                                  {"ActivScalar is as faithful as SteerVec, mlp_out", "held"},
                                  {"ActivScalar keeps fewer parameters than SteerVec, mlp_out", "held"},
                                  {"ActivScalar generalises to test prompts, mlp_out", "held"},
                                  {"SteerVec generalises to test prompts, mlp_out", "held"},
                                  {"ActivScalar's places are stable over seeds, mlp_out", "held"},
                                  {"ActivScalar keeps the places that patching ranks first", "held"}});
}

TEST_CASE("Of one draw a study decides nothing that compares draws", "[study]") {
  check(study(planted::scaling, "1"), {{"ActivScalar keeps fewer parameters than SteerVec, mlp_out", "not decided"},
                                       {"ActivScalar's places are stable over seeds, mlp_out", "not decided"}});
}

TEST_CASE("ActivScalar is not as effective where only another direction changes the answer", "[study]") {
  check(study(planted::turning), {{"ActivScalar is as effective as SteerVec, mlp_out", "not held"},
                                  {"ActivScalar is as effective as SteerVec, attn_out and mlp_out", "not held"},
                                  {"ActivScalar is as faithful as SteerVec, mlp_out", "held"},
                                  {"ActivScalar generalises to test prompts, mlp_out", "not decided"},
                                  {"SteerVec generalises to test prompts, mlp_out", "held"}});
}

TEST_CASE("ActivScalar is not as faithful where what it scales moves other tokens", "[study]") {
  check(study(planted::spilling), {{"ActivScalar is as effective as SteerVec, mlp_out", "held"},
                                   {"ActivScalar is as faithful as SteerVec, mlp_out", "not held"}});
}

TEST_CASE("ActivScalar keeps no fewer parameters where what it scales is everywhere but where a vector acts",
          "[study]") {
  check(study(planted::spread), {{"ActivScalar is as effective as SteerVec, mlp_out", "held"},
                                 {"ActivScalar keeps fewer parameters than SteerVec, mlp_out", "not held"}});
}

TEST_CASE("SteerVec does not generalise where each subject has a direction of its own", "[study]") {
  check(study(planted::own_answers), {{"SteerVec generalises to test prompts, mlp_out", "not held"},
                                      {"ActivScalar generalises to test prompts, mlp_out", "held"}});
}

TEST_CASE("ActivScalar does not generalise, nor is it stable, where what decides stands anywhere", "[study]") {
  check(study(planted::moving), {{"ActivScalar generalises to test prompts, mlp_out", "not held"},
                                 {"ActivScalar's places are stable over seeds, mlp_out", "not held"}});
}

TEST_CASE("ActivScalar does not keep the places of patching where what answers is the same for every prompt",
          "[study]") {
  check(study(planted::constant), {{"ActivScalar is as effective as SteerVec, attn_out and mlp_out", "held"},
                                   {"ActivScalar keeps the places that patching ranks first", "not held"}});
}

TEST_CASE("DynScalar generalises over lengths if what its gate reads is there in all of them", "[study]") {
  const std::filesystem::path words = TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2";
  const io::json config = io::read_json_file(words / "config.json");
  for (const bool only_long : {false, true}) {
    const temporary_folder folder;
    write_model_folder(folder.path(), counting_model(config["vocab_size"], only_long));
    std::filesystem::copy(words / "tokenizer.json", folder.path());
    check(study(folder.path().string(), {"--task", "ioi", "--seeds", "1", "--test", "48"}),
          {{"DynScalar generalises over lengths", only_long ? "not held" : "held"}});
  }
}

}  // namespace trimtab::test::study_planted_tests
