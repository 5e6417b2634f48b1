// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

namespace trimtab::test::study_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// 40 prompt pairs as ids, each with a corrupt prompt.
std::string many_pairs() {
  std::mt19937 random(3);
  std::string lines;
  for (int n = 0; n < 40; ++n) {
    const auto id = [&] { return std::to_string(10 + random() % 250); };
    const auto first = id(), second = id(), third = id();
    lines += "{\"ids\": [" + first + ", " + second + ", " + third + ", 7], \"corrupt_ids\": [" + second + ", " + first +
             ", " + third + ", 7], \"correct_id\": " + first + ", \"wrong_id\": " + second + "}\n";
  }
  return lines;
}

/// Those of them that the model gets right, or wrong.
std::string answered(const model_for_cli& model, const std::string& which) {
  const auto out = model.name("answered-" + which);
  CHECK(run_trimtab({"task", "--data", model.file("many.jsonl", many_pairs()), "--model", model.path(), "--train", "40",
                     "--test", "0", "--only", which, "--out", out})
            .status == 0);
  return content_of(out + "/train.jsonl");
}

std::vector<std::string> study_of(const model_for_cli& model, const std::string& data, const std::string& out,
                                  const std::string& steps = "3") {
  return {"study",  "paper", "--model", model.path(), "--task",  data,  "--out",       out, "--train",   "6",
          "--test", "6",     "--seeds", "2",          "--steps", steps, "--explained", "3", "--threads", "1"};
}

/// What such a study prints with --json.
io::json found_by_study(const model_for_cli& model, const std::string& data, const std::string& out) {
  auto arguments = study_of(model, data, out);
  arguments.push_back("--json");
  return run_trimtab(arguments).json();
}

}  // namespace

TEST_CASE("A study of prompts from a file has every part, figure and verdict, and is not run twice", "[study]") {
  const model_for_cli model;
  const auto data = model.file("pairs.jsonl", answered(model, "right")), out = model.name("study");
  auto arguments = study_of(model, data, out);
  arguments.push_back("--json");
  const auto found = run_trimtab(arguments).json();
  CHECK(found["interrupted"] == false);
  CHECK(found["subjects"][0]["answered"] == found["subjects"][0]["drawn"]);

  std::set<std::string> names;
  for (const auto& h : found["hypotheses"]) {
    CAPTURE(h);
    names.insert(h["name"].get<std::string>());
    const std::string said = h["verdict"];
    if (h["interval"][0].is_null()) {
      CHECK(said == "not decided");
    } else {
      const double low = h["interval"][0], high = h["interval"][1], margin = h["margin"];
      CHECK((low <= h["estimate"].get<double>() and h["estimate"].get<double>() <= high));
      if (said == "held") CHECK(low >= margin);
      if (said == "not held") CHECK(high < margin);
    }
  }
  CHECK(names.size() == 3 * 6 + 1);
  CHECK(names.contains("ActivScalar keeps the places that patching ranks first"));

  for (const auto& part : found["parts"]) {
    CAPTURE(part);
    CHECK_THAT(part["command"].get<std::string>(), ContainsSubstring(" "));
    CHECK_FALSE(part["files"].empty());
    for (const std::string file : part["files"]) CHECK(std::filesystem::exists(file));
  }
  const auto page = content_of(out + "/study.html");
  for (const auto* word : {"What held", "One prompt pair", "ActivScalar against SteerVec", "DynScalar over lengths",
                           "Norm and direction", "Against other methods", "Hyperparameters"})
    CHECK_THAT(page, ContainsSubstring(word));
  CHECK_THAT(page, not ContainsSubstring("http://") and not ContainsSubstring("src="));
  CHECK(io::read_json_file(out + "/study.json")["hypotheses"] == found["hypotheses"]);

  const auto before = files_in(out);
  const auto fit =
      out + "/" + std::filesystem::path(model.path()).filename().string() + "-pairs/sites/all/steer-vec-2.safetensors";
  const auto made = std::filesystem::last_write_time(fit);
  CHECK(run_trimtab(arguments).json() == found);
  CHECK(files_in(out) == before);
  CHECK(std::filesystem::last_write_time(fit) == made);

  arguments.insert(arguments.end(), {"--steps", "4"});
  const auto other = run_trimtab(arguments);
  CHECK(other.status == 1);
  CHECK_THAT(other.err, ContainsSubstring("is of another command") and ContainsSubstring("give another --out"));
}

TEST_CASE("The command of a part makes that part alone", "[study]") {
  const model_for_cli model;
  const auto data = model.file("pairs.jsonl", answered(model, "right")), out = model.name("study");
  const auto found = found_by_study(model, data, out);
  int repeated = 0;
  for (const auto& part : found["parts"]) {
    const std::string name = part["name"], command = part["command"];
    if (not name.ends_with("sites/both/activ-scalar-1") and not name.ends_with("methods/patching") and
        not name.ends_with("mlp/steer-vec-2-prompts"))
      continue;
    CAPTURE(command);
    std::vector<std::string> words;
    std::istringstream line(command);
    for (std::string word; line >> word;) words.push_back(word);
    const auto before = files_in(out);
    const std::string kept = part["files"].back();
    const auto printed = run_trimtab({words.begin() + 1, words.end()}).json();
    CHECK(printed == io::read_json_file(kept)["output"]);
    CHECK(files_in(out) == before);
    ++repeated;
  }
  CHECK(repeated == 3);
}

TEST_CASE("A study that is killed at any moment goes on from there, and ends with equal files", "[study]") {
  const model_for_cli model;
  const auto data = model.file("pairs.jsonl", answered(model, "right")), out = model.name("study");
  const auto arguments = study_of(model, data, out);
  const auto start = std::chrono::steady_clock::now();
  CHECK(run_trimtab(arguments).status == 0);
  const auto taken = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  const auto whole = files_in(out);
  std::filesystem::remove_all(out);
  std::mt19937 random(11);
  for (int kill = 0; kill < 10; ++kill) {
    running_trimtab program(arguments);
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % static_cast<unsigned>(taken.count() / 5 + 1)));
    program.signal(SIGKILL);
    program.wait();
    for (const auto& [name, content] : files_in(out))
      if (name.ends_with(".json") and whole.contains(name)) {
        CAPTURE(name);
        CHECK(content == whole.at(name));
      }
  }
  CHECK(run_trimtab(arguments).status == 0);
  auto files = files_in(out);
  // What was being written when the program was killed keeps its temporary name.
  std::erase_if(
      files, [](const auto& file) { return std::filesystem::path(file.first).filename().string().starts_with('.'); });
  CHECK(files == whole);
}

TEST_CASE("A study ended by a signal keeps its parts and says how to go on", "[study]") {
  const model_for_cli model;
  const auto data = model.file("pairs.jsonl", answered(model, "right")), out = model.name("study");
  const auto ended = interrupt_trimtab(study_of(model, data, out, "200000"), SIGTERM);
  CHECK(ended.status == 128 + SIGTERM);
  CHECK_THAT(ended.err, ContainsSubstring("the same command goes on from"));
}

TEST_CASE("A study of a model that answers no pair says so, and its page too", "[study]") {
  const model_for_cli model;
  const auto data = model.file("pairs.jsonl", answered(model, "wrong")), out = model.name("study");
  const auto found = found_by_study(model, data, out);
  CHECK(found["hypotheses"].empty());
  CHECK(found["subjects"][0]["answered"] == 0);
  const std::string said = found["subjects"][0]["sentence"];
  CHECK_THAT(said, ContainsSubstring("answers none of"));
  CHECK_THAT(content_of(out + "/study.html"), ContainsSubstring("answers none of"));
}

TEST_CASE("A study of a model that guesses says that it answers no pair, and fits nothing", "[study]") {
  const model_for_cli model;
  const auto data = model.file("many.jsonl", many_pairs()), out = model.name("study");
  const auto found = found_by_study(model, data, out);
  CHECK(found["hypotheses"].empty());
  CHECK(found["subjects"][0]["answered"] == 0);
  CHECK_THAT(found["subjects"][0]["sentence"].get<std::string>(),
             ContainsSubstring("answers none of") and ContainsSubstring("no more than a coin would"));
  const auto subject = out + "/" + std::filesystem::path(model.path()).filename().string() + "-many";
  CHECK_FALSE(std::filesystem::exists(subject + "/sites"));

  // A folder of a version that did not count how often the model says the answer.
  auto part = io::read_json_file(subject + "/prompts-1.json");
  for (auto& set : part["output"]["files"]) set.erase("said");
  std::ofstream(subject + "/prompts-1.json") << part.dump();
  const auto resumed = run_trimtab(study_of(model, data, out));
  CHECK(resumed.status == 1);
  CHECK_THAT(resumed.err,
             ContainsSubstring("prompts-1.json' is of an older trimtab") and ContainsSubstring("give another --out"));
}

TEST_CASE("A study's plan tells time and memory for each model, and writes nothing", "[study]") {
  const model_for_cli model;
  const auto data = model.file("many.jsonl", many_pairs()), out = model.name("study");
  auto arguments = study_of(model, data, out);
  arguments.insert(arguments.end(), {"--plan", "--json"});
  const auto found = run_trimtab(arguments).json();
  const auto& subject = found["subjects"][0];
  CHECK(subject["fits"] == 3 + 3 * 2 * 2);
  CHECK(subject["seconds"].get<double>() > subject["seconds_of_a_fit"].get<double>());
  CHECK(subject["bytes"].get<double>() > 1e6);
  double sum = 0;
  for (const auto& seconds : subject["experiments"]) sum += seconds.get<double>();
  CHECK(std::abs(sum / subject["seconds"].get<double>() - 1) < 1e-9);
  for (const auto* name : {"prompts", "one-pair", "sites", "lengths", "methods", "hyperparameters"})
    CHECK(subject["experiments"].contains(name));
  CHECK_FALSE(std::filesystem::exists(out));
}

TEST_CASE("A study refuses what it cannot run", "[study]") {
  const model_for_cli model;
  const auto refusal = [](std::vector<std::string> more, int status) {
    more.insert(more.begin(), "study");
    const auto found = run_trimtab(more);
    CHECK(found.status == status);
    CHECK(found.error_lines() == 1);
    return found.err;
  };
  CHECK_THAT(refusal({"papers", "--model", model.path()}, 1), ContainsSubstring("did you mean 'paper'"));
  CHECK_THAT(refusal({"paper", "--model", model.path(), "--task", model.name("none.jsonl")}, 1),
             ContainsSubstring("none.jsonl"));
  CHECK_THAT(refusal({"paper", "--model", model.path(), "--model", model.path(), "--task", model.data(), "--out",
                      model.name("study")},
                     1),
             ContainsSubstring("run them with another --out each"));
}

}  // namespace trimtab::test::study_tests
