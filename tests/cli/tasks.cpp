// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/intervention_file.hpp>

#include <set>
#include <sstream>
#include <utility>

namespace trimtab::test::tasks_tests {

using Catch::Matchers::ContainsSubstring;

/// Prompts of tasks, and which of them are used.

namespace {

const std::string tiny = TRIMTAB_EXAMPLE_MODELS "/tiny-gpt2";

io::json json_of(std::vector<std::string> arguments) {
  arguments.push_back("--json");
  return run_trimtab(std::move(arguments)).json();
}

std::vector<io::json> lines_of(const std::string& file) {
  std::istringstream stream(content_of(file));
  std::vector<io::json> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(io::parse_json(line, file));
  return lines;
}

}  // namespace

TEST_CASE("task writes train, test and other lengths, which fit reads as the task itself") {
  const temporary_folder folder;
  const auto name = [&](const std::string& file) { return (folder.path() / "sets" / file).string(); };
  const auto out = json_of({"task", "ioi", "--model", tiny, "--out", (folder.path() / "sets").string(), "--train", "20",
                            "--test", "10", "--other-lengths", "5", "--seed", "3"});
  CHECK(out["files"].size() == 3);
  const auto train = lines_of(name("train.jsonl"));
  CHECK(train.size() == 20);
  CHECK(lines_of(name("test.jsonl")).size() == 10);
  CHECK(lines_of(name("other-lengths.jsonl")).size() == 5);
  for (const auto* key : {"prompt", "correct", "wrong", "roles", "corrupt"}) CHECK(train[0].contains(key));

  const auto files =
      json_of({"fit", "--model", tiny, "--data", name("train.jsonl"), "--test", name("test.jsonl"), "--steps", "2"});
  const auto task = json_of(
      {"fit", "--model", tiny, "--task", "ioi", "--train", "20", "--test", "10", "--seed", "3", "--steps", "2"});
  CHECK(files["train"] == task["train"]);
  CHECK(files["train"]["prompts"] == 20);
  CHECK(task["test"]["prompts"] == 10);
}

TEST_CASE("task --only draws on until it has as many prompts as were asked for, all of them right or wrong") {
  const temporary_folder folder;
  const auto out = (folder.path() / "sets").string();
  const auto found = json_of({"task", "ccc", "--model", tiny, "--out", out, "--train", "12", "--test", "6",
                              "--other-lengths", "0", "--only", "right"});
  CHECK(found["files"][0]["prompts"] == 12);
  CHECK(found["files"][0]["drawn"].get<int>() > 12);  // this model mostly believes the context
  CHECK(found["files"][1]["prompts"] == 6);
  const auto measured = [&](const std::string& only) {
    return json_of({"fit", "--model", tiny, "--data", out + "/train.jsonl", "--only", only, "--steps", "1"})["train"];
  };
  CHECK(measured("right")["prompts"] == 12);
  CHECK_THAT(run_trimtab({"fit", "--model", tiny, "--data", out + "/train.jsonl", "--only", "wrong"}).err,
             ContainsSubstring("leaves no prompt"));
}

TEST_CASE("task --data draws train and test prompts of a file apart, and shares them out where there are too few") {
  const temporary_folder folder;
  const auto sets = (folder.path() / "sets").string(), out = (folder.path() / "drawn").string();
  json_of({"task", "ioi", "--model", tiny, "--out", sets, "--train", "20", "--test", "0", "--other-lengths", "0"});
  const auto drawn = [&](const std::string& train, const std::string& test, const std::string& seed) {
    json_of({"task", "--data", sets + "/train.jsonl", "--model", tiny, "--out", out, "--train", train, "--test", test,
             "--seed", seed});
    std::pair<std::set<std::string>, std::set<std::string>> texts;
    for (const auto& line : lines_of(out + "/train.jsonl")) texts.first.insert(line.dump());
    for (const auto& line : lines_of(out + "/test.jsonl")) texts.second.insert(line.dump());
    CHECK(lines_of(out + "/other-lengths.jsonl").empty());
    return texts;
  };
  std::set<std::string> all;
  for (const auto& line : lines_of(sets + "/train.jsonl")) all.insert(line.dump());
  const auto [train, test] = drawn("8", "6", "1");
  CHECK((train.size() == 8 and test.size() == 6));
  for (const auto& line : test) CHECK((all.contains(line) and not train.contains(line)));
  CHECK(drawn("8", "6", "1").first == train);
  CHECK(drawn("8", "6", "2").first != train);
  const auto shared = drawn("60", "20", "1");
  CHECK((shared.first.size() == 15 and shared.second.size() == 5));

  const auto both = run_trimtab({"task", "ioi", "--data", sets + "/train.jsonl", "--model", tiny, "--out", out});
  CHECK(both.status == 2);
  CHECK_THAT(both.err, ContainsSubstring("give one of the two"));
  CHECK(run_trimtab({"task", "--model", tiny, "--out", out}).status == 2);
}

TEST_CASE("Templates and lengths of a task's prompts can be chosen") {
  const temporary_folder folder;
  const auto out = (folder.path() / "sets").string();
  const auto lengths = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"task", "ioi", "--model", tiny, "--out", out};
    all.insert(all.end(), more.begin(), more.end());
    json_of(all);
    std::set<std::string> begins;
    for (const auto& line : lines_of(out + "/train.jsonl")) {
      const auto prompt = line["prompt"].get<std::string>();
      begins.insert(prompt.substr(0, prompt.find(' ')));
    }
    return begins;
  };
  CHECK(lengths({"--templates", "1,3"}) == std::set<std::string>{"After", "Once"});
  CHECK(lengths({"--lengths", "all"}).contains("Then,"));
  CHECK(run_trimtab({"task", "ioi", "--model", tiny, "--out", out, "--lengths", "3"}).status == 1);
  CHECK(run_trimtab({"fit", "--model", tiny, "--task", "ioi", "--test", "x"}).status == 2);
  CHECK(run_trimtab({"fit", "--model", tiny, "--data", "x", "--train", "3"}).status == 2);
}

TEST_CASE("The untouched model's figures stand beside each set's, and newly flipped prompts are paired with them") {
  const auto found = json_of({"fit", "--model", tiny, "--task", "ioi", "--steps", "20"});
  const auto& bare = found["untouched"]["test"];
  CHECK(bare["flip_rate"]["+1"] == 1.0);  // it is right about every prompt
  CHECK(bare["flip_rate"]["-1"] == 0.0);
  CHECK(bare["kl_masked"] == 0.0);
  CHECK(bare["logit_diff"]["+1"] == found["test"]["logit_diff"]["0"]);
  const auto& newly = bare["newly_flipped"]["-1"];
  CHECK(newly["gained"].get<double>() == 64 * found["test"]["flip_rate"]["-1"].get<double>());
  CHECK(newly["lost"] == 0);
  CHECK(newly["interval"][0] <= newly["difference"]);
  const auto text = run_trimtab({"fit", "--model", tiny, "--task", "ioi", "--steps", "2", "--quiet"});
  CHECK_THAT(text.out, ContainsSubstring("  before, +1"));
  CHECK_THAT(text.out, ContainsSubstring("at -1 newly flipped "));
  // Within 80 columns.
  std::istringstream lines(text.out);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    if (line.starts_with("warning: ") or line.starts_with("repeat it: ")) continue;  // sentences, which terminals wrap
    CHECK(std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; }) <= 80);
  }
}

TEST_CASE("The option --only keeps the prompts that the untouched model gets right or wrong") {
  const auto fit = [](std::vector<std::string> more) {
    std::vector<std::string> all = {"fit", "--model", tiny, "--task", "ccc", "--steps", "2", "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return run_trimtab(all);
  };
  const auto all = fit({}).json(), right = fit({"--only", "right"}).json();
  const auto wrong = fit({"--only", "wrong"});
  const auto rate = all["untouched"]["train"]["flip_rate"]["+1"].get<double>();
  CHECK(right["train"]["prompts"].get<double>() == 64 * rate);
  CHECK(right["untouched"]["train"]["flip_rate"]["+1"] == 1.0);
  if (rate < 1)
    CHECK(wrong.json()["untouched"]["train"]["flip_rate"]["+1"] == 0.0);
  else
    CHECK_THAT(wrong.err, ContainsSubstring("--only wrong leaves no prompt of train"));
}

TEST_CASE("A fit may start elsewhere than at the identity, with a seed") {
  const model_for_cli model;
  const auto fit = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"fit", "--model", model.path(), "--data", model.data(), "--steps", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return json_of(all);
  };
  const auto one = fit({"--init", "normal:0.1", "--init-seed", "1"}),
             other = fit({"--init", "normal:0.1", "--init-seed", "2"});
  CHECK(one["train"] != fit({})["train"]);
  CHECK(one["train"] != other["train"]);
  CHECK(one["train"] == fit({"--init", "normal:0.1"})["train"]);
  CHECK(fit({"--init", "identity"})["train"] == fit({})["train"]);
  CHECK(run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--init", "normal"}).status == 1);
}

TEST_CASE("loss takes a task, whose train prompts the objective is of") {
  const temporary_folder folder;
  const auto file = (folder.path() / "i.safetensors").string();
  const auto fitted = json_of({"fit", "--model", tiny, "--task", "ccc", "--train", "8", "--steps", "3", "--precision",
                               "double", "--out", file});
  const auto loss = json_of(
      {"loss", "--model", tiny, "--task", "ccc", "--train", "8", "--intervention", file, "--precision", "double"});
  CHECK(std::abs(loss["loss"].get<double>() - fitted["objective"]["loss"].get<double>()) < 1e-12);
  CHECK(loss["per_prompt"].size() == 8);
}

TEST_CASE("explain draws the prompts of a task as a fit does") {
  const auto of = [](std::vector<std::string> more) {
    more.insert(more.begin(), {"explain", "--model", tiny, "--task", "ioi", "--method", "logit-lens"});
    return json_of(more);
  };
  CHECK(of({})["prompts"] == 64);
  const auto few = of({"--test", "6"});
  CHECK(few["prompts"] == 6);
  CHECK(of({"--test", "6", "--templates", "1"}) != few);
  const auto mixed = of({"--test", "6", "--lengths", "14,15", "--positions", "from_end"});
  CHECK(mixed["prompts"] == 6);
  CHECK(mixed != of({"--test", "6", "--positions", "from_end"}));
  const auto ccc = [](const std::string& only) {
    return json_of({"explain", "--model", tiny, "--task", "ccc", "--method", "logit-lens", "--only", only})["prompts"];
  };
  CHECK(ccc("right").get<int>() + ccc("wrong").get<int>() == 64);
  CHECK(ccc("right").get<int>() > 0);
}

TEST_CASE("Prompts that a fit has not seen are not taken for its own") {
  const temporary_folder folder;
  const auto file = (folder.path() / "i.safetensors").string(), page = (folder.path() / "page.html").string();
  REQUIRE(run_trimtab({"fit", "--model", tiny, "--task", "ccc", "--train", "8", "--test", "8", "--steps", "3", "--out",
                       file, "--quiet"})
              .status == 0);
  const std::vector<std::string> drawn = {"--model", tiny, "--task", "ccc", "--train", "8", "--quiet"};
  const auto said = [&](std::vector<std::string> command, const std::vector<std::string>& more) {
    command.insert(command.end(), drawn.begin(), drawn.end());
    if (command.front() != "loss") command.insert(command.end(), {"--test", "8"});  // loss is of train prompts
    command.insert(command.end(), more.begin(), more.end());
    const auto run = run_trimtab(command);
    CAPTURE(run.err);
    CHECK(run.status == 0);
    return run.err;
  };
  const std::vector<std::string> eval = {"eval", "--intervention", file}, report = {"report", file, "--out", page},
                                 certify = {"certify", "--intervention", file}, loss = {"loss", "--intervention", file};
  CHECK_THAT(said(eval, {"--seed", "2"}),
             ContainsSubstring("was fitted on another set of prompts than the one named 'train'"));
  CHECK_THAT(said(report, {"--seed", "2"}),
             ContainsSubstring("was fitted on another set of prompts than the one named 'train'"));
  CHECK_THAT(said(loss, {"--seed", "2"}),
             ContainsSubstring("was fitted on another set of prompts than the one named 'train'"));
  CHECK_THAT(said(certify, {"--seed", "2"}), ContainsSubstring("so it need not be a minimum here"));
  const auto of_other = [&](const std::string& intervention) {
    return run_trimtab({"eval", "--model", tiny, "--task", "ioi", "--train", "4", "--test", "4", "--quiet",
                        "--intervention", intervention})
        .err;
  };
  const auto shared = (folder.path() / "s.safetensors").string(), data = (folder.path() / "d.jsonl").string();
  const std::vector<std::string> fit = {"fit",     "--model", tiny,    "--positions", "shared",
                                        "--steps", "1",       "--out", shared,        "--quiet"};
  REQUIRE(run_trimtab(with(fit, {"--task", "ccc", "--train", "4", "--test", "4"})).status == 0);
  CHECK_THAT(of_other(shared), ContainsSubstring("; --task ccc and the --train, --seed,"));
  std::ofstream(data) << R"({"ids": [1, 2, 3, 4], "correct_id": 5, "wrong_id": 6})";
  REQUIRE(run_trimtab(with(fit, {"--data", data})).status == 0);
  CHECK_THAT(of_other(shared), ContainsSubstring("; --data " + data + " gives that one"));
  for (const auto& command : {eval, loss, report, certify})
    CHECK(said(command, {}).find("was fitted on") == std::string::npos);
}

TEST_CASE("A page says that absolute positions leave prompts of other lengths unmeasured") {
  const temporary_folder folder;
  const auto page_of = [&](const std::string& positions) {
    const auto file = (folder.path() / "i.safetensors").string(), page = (folder.path() / "page.html").string();
    const auto run = run_trimtab({"fit", "--model", tiny, "--task", "ccc", "--train", "8", "--test", "8", "--steps",
                                  "3", "--positions", positions, "--out", file, "--report", page, "--quiet"});
    CAPTURE(run.err);
    REQUIRE(run.status == 0);
    return content_of(page);
  };
  const std::string said = "absolute positions take prompts of one length";
  const auto from_end = page_of("from_end");
  CHECK(from_end.find(said) == std::string::npos);
  CHECK_THAT(from_end, ContainsSubstring("other lengths"));
  CHECK_THAT(page_of("absolute"), ContainsSubstring(said));
  const auto page = (folder.path() / "of-data.html").string(), sets = (folder.path() / "sets").string();
  json_of({"task", "ccc", "--model", tiny, "--out", sets, "--train", "8", "--test", "0", "--other-lengths", "0"});
  REQUIRE(run_trimtab({"report", (folder.path() / "i.safetensors").string(), "--model", tiny, "--data",
                       sets + "/train.jsonl", "--out", page, "--quiet"})
              .status == 0);
  CHECK(content_of(page).find(said) == std::string::npos);  // not of a task
}

TEST_CASE("eval gives the figures of each prompt on request, in JSON and as CSV") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors"), csv = model.name("p.csv");
  run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--steps", "3", "--out", file});
  const auto found = json_of({"eval", "--model", model.path(), "--data", model.data(), "--intervention", file,
                              "--per-prompt", "--per-prompt-csv", csv});
  const auto& prompts = found["data"]["per_prompt"];
  REQUIRE(prompts.size() == 3);
  double mean = 0;
  for (const auto& one : prompts) mean += one["logit_diff"]["+1"].get<double>() / 3;
  CHECK(std::abs(mean - found["data"]["logit_diff"]["+1"].get<double>()) < 1e-6);
  CHECK(prompts[0]["prompt"].is_null());
  const auto lines = content_of(csv);
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 1 + 3 * 3);
  CHECK_THAT(lines, ContainsSubstring("\ndata,0,0," + prompts[0]["logit_diff"]["0"].dump()));
}

}  // namespace trimtab::test::tasks_tests
