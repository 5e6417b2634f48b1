// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/intervention_file.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

namespace trimtab::test::sweep_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<std::string> sweep_of(const model_for_cli& model, const std::vector<std::string>& more) {
  return with({"sweep", "--model", model.path(), "--data", model.data(), "--test", model.data(), "--json"}, more);
}

std::size_t finished_in(const std::filesystem::path& folder) {
  std::size_t points = 0;
  if (not std::filesystem::exists(folder)) return 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    points += name.starts_with("point-") and name.ends_with(".json");
  }
  return points;
}

}  // namespace

TEST_CASE("Each point of a sweep has the figures and the file of that fit alone", "[sweep]") {
  const model_for_cli model;
  const auto folder = model.name("sweep");
  const auto found = run_trimtab(sweep_of(model, {"--vary", "lambda-m=0.05,0.002", "--vary", "lr=0.01..0.04:3",
                                                  "--vary", "steps=3,6", "--out", folder}))
                         .json();
  REQUIRE(found["points"].size() == 12);
  CHECK(found["interrupted"] == false);
  CHECK(finished_in(folder) == 12);
  int number = 0;
  for (const std::string lambda : {"0.05", "0.002"})
    for (const std::string rate : {"0.01", "0.02", "0.04"})
      for (const std::string steps : {"3", "6"}) {
        CAPTURE(lambda, rate, steps);
        const auto& point = found["points"][static_cast<std::size_t>(number)];
        CHECK(std::abs(point["lr"].get<double>() - std::stod(rate)) < 1e-15);
        CHECK(point["lambda_m"] == std::stod(lambda));
        CHECK(point["steps"] == std::stoi(steps));
        const auto file = model.name("alone.safetensors");
        const auto alone =
            run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--test", model.data(), "--lambda-m",
                         lambda, "--lr", point["lr"].dump(), "--steps", steps, "--out", file, "--json"})
                .json();
        for (const auto key : {"train", "test", "nonzero_parameters", "nonzero_sites"}) CHECK(point[key] == alone[key]);
        char name[32];
        std::snprintf(name, sizeof name, "/point-%04d.safetensors", number++);
        auto of_sweep = io::read_intervention(folder + name), of_fit = io::read_intervention(file);
        CHECK_THAT(of_sweep.made["command"], ContainsSubstring("trimtab sweep"));
        of_sweep.made.erase("command"), of_fit.made.erase("command");
        CHECK(of_sweep == of_fit);
      }
}

TEST_CASE("Prompts to retain enter each point of a sweep as they enter a fit", "[sweep]") {
  const model_for_cli model;
  const auto folder = model.name("sweep"), stays = model.name("stays.jsonl"), file = model.name("alone.safetensors");
  std::ofstream(stays) << "{\"ids\": [5, 6, 7, 8]}\n{\"ids\": [1, 1, 2, 3]}\n";
  const std::vector<std::string> how{"--steps", "6", "--retain", stays, "--lambda-r", "20"};
  const auto run = run_trimtab(
      sweep_of(model, with(how, {"--vary", "lambda-m=0.2max,0.1max", "--out", folder, "--bootstrap", "1"})));
  CAPTURE(run.err);
  REQUIRE(run.status == 0);
  const auto found = run.json();
  for (const std::size_t k : {0u, 1u}) {
    const auto alone = run_trimtab(with({"fit", "--model", model.path(), "--data", model.data(), "--test", model.data(),
                                         "--lambda-m", k == 0 ? "0.2max" : "0.1max", "--out", file, "--json"},
                                        how))
                           .json();
    const auto& point = found["points"][k];
    for (const auto* key : {"train", "test", "retain", "nonzero_sites"}) CHECK(point[key] == alone[key]);
    CHECK(point["retain"]["prompts"] == 2);
    auto of_sweep = io::read_intervention(folder + "/point-000" + std::to_string(k) + ".safetensors"),
         of_fit = io::read_intervention(file);
    for (auto* file_of : {&of_sweep, &of_fit})  // the fit says how its weight was asked for, the point what it is
      for (const auto* key : {"command", "arguments", "lambda_m_share"}) file_of->made.erase(key);
    CHECK(of_sweep == of_fit);
  }
  std::ofstream(stays) << "{\"ids\": [5, 6, 7, 8]}\n";
  const auto other = run_trimtab(sweep_of(model, with(how, {"--vary", "lambda-m=0.2max,0.1max", "--out", folder})));
  CHECK(other.status == 1);
  CHECK_THAT(other.err, ContainsSubstring("retained"));
  CHECK_THAT(run_trimtab(sweep_of(model, {"--vary", "lr=0.1,0.2", "--lambda-r", "2"})).err,
             ContainsSubstring("--lambda-r goes with --retain"));
}

TEST_CASE("Norm preservation enters each point of a sweep as it enters a fit", "[sweep]") {
  const model_for_cli model;
  const auto folder = model.name("sweep"), file = model.name("alone.safetensors");
  const std::vector<std::string> how{"--steps", "6", "--policy", "steer-vec"};
  const auto swept = [&](const std::string& weight) {
    return run_trimtab(
        sweep_of(model, with(how, {"--vary", "lambda-m=0.2,0.1", "--lambda-n", weight, "--out", folder})));
  };
  const auto run = swept("20");
  CAPTURE(run.err);
  REQUIRE(run.status == 0);
  const auto alone = run_trimtab(with({"fit", "--model", model.path(), "--data", model.data(), "--test", model.data(),
                                       "--lambda-m", "0.1", "--lambda-n", "20", "--out", file, "--json"},
                                      how));
  REQUIRE(alone.status == 0);
  auto of_sweep = io::read_intervention(folder + "/point-0001.safetensors"), of_fit = io::read_intervention(file);
  CHECK(of_fit.made.at("lambda_n") == "20.0");
  for (auto* file_of : {&of_sweep, &of_fit})
    for (const auto* key : {"command", "arguments", "lambda_m_share"}) file_of->made.erase(key);
  CHECK(of_sweep == of_fit);
  CHECK(swept("20").status == 0);
  const auto other = swept("10");
  CHECK(other.status == 1);
  CHECK_THAT(other.err, ContainsSubstring("lambda_n"));
  CHECK(run_trimtab({"fit", "--like", file, "--json"}).json()["same_bits"] == true);
  const auto activations = [&](const std::string& weight) {
    return run_trimtab(
               with({"fit", "--model", model.path(), "--data", model.data(), "--plan", "--json", "--lambda-n", weight},
                    how))
        .json()["memory"]["activations"]
        .get<double>();
  };
  CHECK(activations("1") > activations("0"));
}

TEST_CASE("A sweep says which options its axes replace", "[sweep]") {
  const model_for_cli model;
  const auto said = [&](const std::vector<std::string>& more) {
    const auto run = run_trimtab(with(sweep_of(model, {"--steps", "2"}), more));
    CHECK(run.status == 0);
    return run.err;
  };
  CHECK_THAT(said({"--lr", "0.1", "--vary", "lr=0.01,0.02"}),
             ContainsSubstring("--lr is not used, because --vary lr says its values"));
  CHECK_THAT(said({"--init", "normal:1", "--vary", "start=identity,normal:0.1"}),
             ContainsSubstring("--init is not used, because --vary start"));
  CHECK_THAT(said({"--lambda-m", "0.1", "--path", "2"}), ContainsSubstring("--lambda-m is not used, because --path"));
  CHECK_THAT(said({"--lambda-m", "0.1", "--path", "2", "--bootstrap", "1"}), not ContainsSubstring("not used"));
}

TEST_CASE("A sweep over seeds says so where a seed changes nothing", "[sweep]") {
  const model_for_cli model;
  const std::vector<std::string> how{"--vary", "seed=1,2", "--steps", "2"};
  const auto said = [&](const std::vector<std::string>& more) {
    return run_trimtab(with(sweep_of(model, how), more)).err;
  };
  CHECK_THAT(said({}), ContainsSubstring("warning: --vary seed repeats each fit"));
  CHECK_THAT(said({"--init", "normal:0.1"}), not ContainsSubstring("repeats each fit"));
  CHECK_THAT(said({"--policy", "project-out", "--sites", "mlp_out"}), not ContainsSubstring("repeats each fit"));
}

TEST_CASE("The front holds what no other point betters, and the knee is on it", "[sweep]") {
  const model_for_cli model;
  const auto found =
      run_trimtab(sweep_of(model, {"--vary", "lambda-m=0.3..0.0003:6", "--vary", "policy=activ-scalar,steer-vec",
                                   "--steps", "20", "--holdout", model.data()}))
          .json();
  REQUIRE(found["points"].size() == 12);
  const auto figures = [&](std::size_t k) {
    const auto& p = found["points"][k];
    const auto& rate = p["test"]["flip_rate"];
    return std::tuple(std::min(rate["+1"].get<double>(), rate["-1"].get<double>()),
                      p["test"]["kl_masked"].get<double>(), p["nonzero_sites"].get<int>());
  };
  std::vector<std::size_t> front;
  for (std::size_t k = 0; k < 12; ++k) {
    const auto [flips, kl, places] = figures(k);
    bool beaten = false;
    for (std::size_t other = 0; other < 12; ++other) {
      const auto [f, l, p] = figures(other);
      beaten = beaten or (f >= flips and l <= kl and p <= places and figures(other) != figures(k));
    }
    if (not beaten) front.push_back(k);
    CHECK(found["points"][k]["on_front"] == not beaten);
    CHECK(found["points"][k]["policy"] == (k < 6 ? "activ-scalar" : "steer-vec"));
  }
  CHECK(found["front"] == io::json(front));
  CHECK(std::ranges::find(front, found["knee"].get<std::size_t>()) != front.end());
  CHECK(found["hypervolume"].get<double>() >= 0);
  double worst = 0;
  for (const auto& point : found["points"]) worst = std::max(worst, point["test"]["kl_masked"].get<double>());
  CHECK(found["hypervolume_reference"]["kl_masked"] == worst);
  // The holdout here is the test set itself.
  CHECK(found["knee_fresh"]["kl_masked"] == found["points"][found["knee"].get<std::size_t>()]["test"]["kl_masked"]);
}

TEST_CASE("A sweep that is killed at any moment loses no finished point, and goes on from there", "[sweep]") {
  const model_for_cli model;
  const auto folder = model.name("sweep");
  const auto arguments = sweep_of(
      model, {"--vary", "lambda-m=0.05,0.01,0.002", "--vary", "steps=40..400:10", "--out", folder, "--threads", "1"});
  const auto whole = run_trimtab(sweep_of(model, {"--vary", "lambda-m=0.05,0.01,0.002", "--vary", "steps=40..400:10"}));
  std::mt19937 random(7);
  std::size_t kept = 0;
  for (int kill = 0; kill < 10; ++kill) {
    running_trimtab program(arguments);
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 400));
    const auto before = finished_in(folder);
    program.signal(SIGKILL);
    program.wait();
    CHECK(finished_in(folder) >= before);
    CHECK(before >= kept);
    kept = finished_in(folder);
  }
  const auto resumed = run_trimtab(arguments);
  CHECK(resumed.out == whole.out);
  CHECK(finished_in(folder) == 30);
}

TEST_CASE("Finished points are not computed again, and another sweep is told what differs", "[sweep]") {
  const model_for_cli model;
  const auto folder = model.name("sweep");
  const auto first = run_trimtab(sweep_of(model, {"--vary", "lambda-m=0.05,0.002", "--steps", "4", "--out", folder}));
  // A figure that was changed by hand shows that it was read.
  const auto file = folder + "/point-0001.json";
  auto text = content_of(file);
  text.replace(text.find("\"nonzero_parameters\": "), 22, "\"nonzero_parameters\": 1");
  std::ofstream(file) << text;
  const auto again = run_trimtab(sweep_of(model, {"--vary", "lambda-m=0.05,0.002", "--steps", "4", "--out", folder}));
  CHECK(first.err.find("finished in") == std::string::npos);
  CHECK_THAT(again.err, ContainsSubstring("found 2 of 2 points finished in '" + folder + "'"));
  CHECK(again.json()["points"][0] == first.json()["points"][0]);
  CHECK(again.json()["points"][1]["nonzero_parameters"] != first.json()["points"][1]["nonzero_parameters"]);

  const auto other = run_trimtab(sweep_of(model, {"--vary", "lambda-m=0.05,0.003", "--steps", "5", "--out", folder}));
  CHECK(other.status == 1);
  CHECK_THAT(other.err, ContainsSubstring("steps was 4 and is now 5"));
  CHECK_THAT(other.err, ContainsSubstring("vary was lambda-m=0.05,0.002 and is now lambda-m=0.05,0.003"));
}

TEST_CASE("inspect names the points of a sweep's folder", "[sweep]") {
  const model_for_cli model;
  const auto folder = model.name("sweep");
  REQUIRE(run_trimtab(sweep_of(model, {"--vary", "lambda-m=0.05", "--steps", "1", "--out", folder})).status == 0);
  const auto run = run_trimtab({"inspect", folder});
  CHECK(run.status == 1);
  const auto point = folder + "/point-0000.safetensors";
  CHECK_THAT(run.err, ContainsSubstring("is the folder of a sweep; give one of its points, such as '" + point + "'"));
  CHECK(run_trimtab({"inspect", point}).status == 0);
}

TEST_CASE("Ctrl-C ends a sweep with what is finished", "[sweep]") {
  const model_for_cli model;
  const auto folder = model.name("sweep");
  running_trimtab sweep(sweep_of(model, {"--vary", "steps=1,2000000", "--out", folder}));
  for (int i = 0; i < 3000 and finished_in(folder) == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  sweep.signal(SIGINT);
  const auto run = sweep.wait();
  CHECK(run.status == 0);
  CHECK_THAT(run.err, ContainsSubstring("1 of 2 points finished"));
  CHECK(run.json()["interrupted"] == true);
  CHECK(run.json()["knee"].is_null());
}

TEST_CASE("Shares of the largest weight vary like numbers, and are told beside the weights", "[sweep]") {
  const model_for_cli model;
  const auto found = run_trimtab(sweep_of(model, {"--vary", "lambda-m=0.4max..0.1max:3", "--steps", "2"})).json();
  REQUIRE(found["points"].size() == 3);
  const double largest = found["lambda_max"];
  for (std::size_t k = 0; k < 3; ++k) {
    const double share = 0.4 / static_cast<double>(1 << k);
    CHECK(std::abs(found["points"][k]["lambda_m_share"].get<double>() - share) < 1e-12);
    CHECK(std::abs(found["points"][k]["lambda_m"].get<double>() - share * largest) < 1e-12 * largest);
  }
}

TEST_CASE("A path goes down from the largest weight, where nothing is kept", "[sweep]") {
  const model_for_cli model;
  const auto arguments = sweep_of(model, {"--path", "5", "--steps", "40", "--sites", "attn_out,resid_post",
                                          "--positions", "from_end", "--precision", "double"});
  const auto found = run_trimtab(arguments).json();
  REQUIRE(found["points"].size() == 5);
  CHECK(found["points"][0]["lambda_m"] == found["lambda_max"]);
  CHECK(found["points"][0]["nonzero_parameters"] == 0);
  CHECK(found["points"][0]["stationary"] == true);
  CHECK(found["points"][4]["nonzero_parameters"] > 0);
  CHECK(std::abs(found["points"][4]["lambda_m"].get<double>() / found["lambda_max"].get<double>() - .001) < 1e-12);
  const auto& entry = found["entry"];
  REQUIRE(entry["attn_out"].size() == 2);
  REQUIRE(entry["attn_out"][0].size() == 4);
  int entered = 0;
  for (const auto& site : entry)
    for (const auto& layer : site)
      for (const auto& at : layer) entered += not at.is_null();
  CHECK(entered >= found["points"][4]["nonzero_sites"].get<int>());

  // Killed and resumed, it gives the same.
  const auto folder = model.name("path");
  const auto kept = run_trimtab(with(arguments, {"--out", folder}));
  for (const auto name : {"/point-0003.json", "/point-0004.json"}) std::filesystem::remove(folder + name);
  CHECK(run_trimtab(with(arguments, {"--out", folder})).out == kept.out);
  CHECK(kept.json() == found);
}

TEST_CASE("Paths side by side have the points and the files that each has alone", "[sweep]") {
  const model_for_cli model;
  struct found {
    io::json points;
    std::vector<intervention_file> files;
  };
  const auto paths = [&](const std::string& margins, const std::string& rates) {
    const auto folder = model.name("paths-" + margins + "-" + rates);
    const auto run = run_trimtab(sweep_of(model, {"--path", "4", "--steps", "30", "--vary", "margin=" + margins,
                                                  "--vary", "lr=" + rates, "--sites", "attn_out", "--out", folder}));
    found all{run.json()["points"], {}};
    for (std::size_t k = 0; k < all.points.size(); ++k) {
      all.points[k].erase("on_front");  // among the others
      const auto number = std::string(k < 10 ? "000" : "00") + std::to_string(k);
      all.files.push_back(io::read_intervention(folder + "/point-" + number + ".safetensors"));
      all.files.back().made.erase("command");  // says what was swept beside it
    }
    return all;
  };
  const auto together = paths("1,3", "0.01,0.05");
  REQUIRE(together.points.size() == 16);
  std::size_t first = 0;
  for (const std::string margin : {"1", "3"})
    for (const std::string rate : {"0.01", "0.05"}) {
      const auto alone = paths(margin, rate);
      REQUIRE(alone.points.size() == 4);
      for (std::size_t k = 0; k < 4; ++k) {
        CAPTURE(margin, rate, k);
        CHECK(together.points[first + k] == alone.points[k]);
        CHECK(together.files[first + k] == alone.files[k]);
      }
      first += 4;
    }
  CHECK(together.points[15]["nonzero_parameters"] > 0);
}

TEST_CASE("A path that fails ends alone", "[sweep]") {
  const model_for_cli model;
  const auto run = run_trimtab(sweep_of(model, {"--path", "4", "--steps", "30", "--vary", "lr=0.05,1e30,0.02",
                                                "--sites", "attn_out", "--out", model.name("failing")}));
  const auto points = run.json()["points"];
  REQUIRE(points.size() == 12);
  int failed = 0;
  for (std::size_t k = 0; k < 12; ++k) {
    CAPTURE(k, points[k]);
    if (k / 4 != 1) CHECK(not points[k].contains("failed"));
    failed += points[k].contains("failed");
  }
  CHECK(failed > 0);
  CHECK_THAT(run.err, ContainsSubstring("failed: "));
}

TEST_CASE("Halves of the train prompts say which places are kept", "[sweep]") {
  const model_for_cli model;
  std::string lines;
  for (int k = 0; k < 8; ++k)
    lines += "{\"ids\": [1, " + std::to_string(k) + ", 3, 4], \"correct_id\": 5, \"wrong_id\": 6}\n";
  const auto data = model.file("eight.jsonl", lines);
  const auto folder = model.name("halves");
  const std::vector<std::string> arguments = {"sweep", "--model", model.path(), "--data", data,
                                              "--out", folder,    "--steps",    "20",     "--bootstrap",
                                              "5",     "--sites", "resid_post", "--json"};
  const auto run = run_trimtab(arguments);
  const auto found = run.json();
  CHECK(found["selection"]["halves"] == 10);
  REQUIRE(found["selected"]["resid_post"].size() == 2);
  double sum = 0;
  for (const auto& layer : found["selected"]["resid_post"])
    for (const auto& share : layer) {
      if (share.is_null()) continue;
      const double times = share.get<double>() * 10;
      CHECK(std::abs(times - std::round(times)) < 1e-12);
      sum += share.get<double>();
    }
  CHECK(std::abs(found["selection"]["mean_kept"].get<double>() - sum) < 1e-12);
  CHECK(std::abs(found["selection"]["false_places_at_most"].get<double>() - sum * sum / 8 / .6) < 1e-12);
  CHECK(sum > 0);
  const auto files = files_in(folder);
  REQUIRE(files.contains("half-0009.safetensors"));
  for (const auto name : {"/half-0003.safetensors", "/half-0008.safetensors"}) std::filesystem::remove(folder + name);
  const auto kept = std::filesystem::last_write_time(folder + "/half-0004.safetensors");
  const auto again = run_trimtab(arguments);
  CHECK(again.out == run.out);
  CHECK_THAT(again.err, ContainsSubstring("found 8 of 10 halves fitted in '" + folder + "'"));
  CHECK(run.err.find("halves fitted in") == std::string::npos);
  CHECK(files_in(folder) == files);
  CHECK(std::filesystem::last_write_time(folder + "/half-0004.safetensors") == kept);
}

TEST_CASE("The page of a sweep shows the front, whose marks lead to maps, the path and the halves", "[sweep]") {
  const model_for_cli model;
  const auto page = model.name("sweep.html");
  const auto found = run_trimtab(sweep_of(model, {"--path", "4", "--steps", "20", "--bootstrap", "2", "--sites",
                                                  "attn_out", "--report", page}))
                         .json();
  const auto html = content_of(page);
  CHECK_THAT(html, ContainsSubstring("What flips cost"));
  CHECK_THAT(html, ContainsSubstring("How places enter"));
  CHECK_THAT(html, ContainsSubstring("data-quantity=\"selected\""));
  REQUIRE(not found["front"].empty());
  for (std::size_t k = 1; k <= found["front"].size(); ++k) {
    CHECK_THAT(html, ContainsSubstring("href=\"#fit-1." + std::to_string(k) + "\""));
    CHECK_THAT(html, ContainsSubstring("id=\"fit-1." + std::to_string(k) + "\""));
  }
}

TEST_CASE("What a sweep cannot vary is refused", "[sweep]") {
  const model_for_cli model;
  const auto refused = [&](int status, const std::string& part, const std::vector<std::string>& more) {
    CAPTURE(more);
    const auto run = run_trimtab(sweep_of(model, more));
    CHECK(run.status == status);
    CHECK(run.out.empty());
    CHECK_THAT(run.err, ContainsSubstring(part));
  };
  refused(1, "did you mean 'lambda-m'", {"--vary", "lambda_m=1,2"});
  refused(1, "NAME=FROM..TO:N", {"--vary", "lr=1..2"});
  refused(1, "two positive numbers", {"--vary", "lr=0..2:3"});
  refused(1, "whole numbers in steps", {"--vary", "steps=1,2.5"});
  refused(1, "shares of the largest weight", {"--vary", "lambda-m=0.1max..0.01:2"});
  refused(1, "shares of the largest weight", {"--vary", "lambda-m=0.1,0.01max"});
  refused(1, "larger numbers in lr", {"--vary", "lr=0.1,0"});
  refused(1, "identity or normal:S", {"--vary", "start=identity,normal"});
  refused(2, "is given twice", {"--vary", "lr=0.1", "--vary", "lr=0.2"});
  refused(2, "leave out --vary lambda-m", {"--vary", "lambda-m=1,2", "--path", "3"});
  refused(2, "leave out --vary policy", {"--vary", "policy=affine", "--at", "attn_out:activ-scalar"});
}

TEST_CASE("A plan of a sweep adds its fits up, and the memory is bounded") {
  const model_for_cli model;
  const auto plan = [&](const std::vector<std::string>& more) {
    return run_trimtab(with({"sweep", "--model", model.path(), "--data", model.data(), "--json", "--plan"}, more))
        .json();
  };
  const auto fit_plan = [&](const std::vector<std::string>& more) {
    return run_trimtab(
               with({"fit", "--model", model.path(), "--data", model.data(), "--steps", "6", "--json", "--plan"}, more))
        .json();
  };
  const auto fit = fit_plan({}), weighed = fit_plan({"--lambda-m", "0.1"});
  CHECK(fit["flops"] > weighed["flops"]);  // the largest weight is found first
  const auto one = plan({"--steps", "6"});
  CHECK(one["points"] == 1);
  CHECK(one["flops"] == fit["flops"]);
  CHECK(one["rows"] == fit["rows"]);
  for (const auto* part : {"weights", "activations", "logits", "parameters", "untouched"}) {
    CAPTURE(part);
    CHECK(one["memory"][part] == fit["memory"][part]);
  }
  const auto all = plan({"--steps", "6", "--vary", "lambda-m=0.1,0.01", "--vary", "lr=0.01,0.02,0.04"});
  CHECK(all["points"] == 6);
  CHECK(all["passes"] == 1);
  CHECK(all["steps"] == 36);
  CHECK(std::abs(all["flops"].get<double>() / weighed["flops"].get<double>() - 6) < 1e-12);
  CHECK(all["memory"]["activations"] == 6 * fit["memory"]["activations"].get<index_t>());
  CHECK(all["memory"]["untouched"] == fit["memory"]["untouched"]);
  CHECK(plan({"--path", "4", "--steps", "6"})["passes"] == 4);
  CHECK(plan({"--vary", "steps=2,5", "--vary", "policy=activ-scalar,steer-vec"})["steps"] == 14);

  const auto refused = run_trimtab(sweep_of(model, {"--vary", "lr=0.01,0.02", "--steps", "2", "--memory", "100K"}));
  CHECK(refused.status == 1);
  CHECK(refused.error_lines() == 1);
  CHECK_THAT(refused.err, ContainsSubstring("may take 100.0 KB (--memory); use fewer prompts"));

  // Less memory means more passes, and the same bits.
  const auto figures = [&](const std::vector<std::string>& more) {
    return run_trimtab(sweep_of(model, with({"--vary", "lr=0.01,0.02,0.04", "--steps", "4"}, more))).json();
  };
  CHECK(figures({"--memory", "1G"}) == figures({}));
}

}  // namespace trimtab::test::sweep_tests
