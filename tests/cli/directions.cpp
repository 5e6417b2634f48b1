// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/intervention_file.hpp>

#include "bad_input.hpp"
#include "program.hpp"

#include <algorithm>
#include <cmath>

namespace trimtab::test::directions_tests {

namespace {

using arguments = std::vector<std::string>;

arguments fit(const model_for_cli& model, const arguments& more) {
  arguments all = {"fit",
                   "--model",
                   model.path(),
                   "--data",
                   model.data(),
                   "--at",
                   "resid_post:steer-vec:1:shared",
                   "--precision",
                   "double",
                   "--out",
                   model.name("d.safetensors"),
                   "--quiet"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// The vector of layer 1.
std::vector<double> vector_of(const model_for_cli& model) {
  const auto file = io::read_intervention(model.name("d.safetensors"));
  const auto& numbers = file.interventions.front().parameters.front().numbers.values;
  return {numbers.begin() + 16, numbers.end()};
}

/// Pairs that differ in their prompts, given as texts and as ids.
constexpr char with_corrupt[] = R"({"ids": [1, 2, 3, 4], "corrupt_ids": [1, 2, 3, 5], "correct_id": 5, "wrong_id": 6}
{"ids": [7, 2, 8, 4], "corrupt_ids": [7, 3, 8, 4], "correct_id": 9, "wrong_id": 5}
)";

}  // namespace

TEST_CASE("Vectors by statistics are measured like fitted ones, and say how they were made") {
  const model_for_cli model;
  const auto data = model.file("corrupt.jsonl", with_corrupt);
  std::vector<double> norms;
  for (const std::string method : {"mean-difference", "pca"}) {
    auto all = fit(model, {"--method", method, "--json"});
    all[4] = data;
    const auto found = run_trimtab(all).json();
    CHECK(found.at("steps") == 0);
    CHECK(found.at("parameters") == 16);
    CHECK(found.at("train").contains("flip_rate"));
    CHECK(found.at("objective").at("effectiveness").is_number());
    const auto file = io::read_intervention(model.name("d.safetensors"));
    CHECK(file.made.at("method") == method);
    CHECK(file.interventions.front().positions == positions::shared());
    CHECK(run_trimtab({"fit", "--like", model.name("d.safetensors"), "--quiet"}).status == 0);
    double square = 0;
    for (const double x : vector_of(model)) square += x * x;
    norms.push_back(std::sqrt(square));
  }
  CHECK(norms[0] > 0);
  CHECK(norms[1] <= norms[0] * (1 + 1e-9));  // a component of the mean difference
  CHECK(norms[1] > 0);
}

TEST_CASE("Vectors by statistics that do nothing are said to") {
  const model_for_cli model;
  const auto same = model.file("same.jsonl", R"({"ids": [1, 2], "corrupt_ids": [3, 2], "correct_id": 5, "wrong_id": 6}
{"ids": [3, 2], "corrupt_ids": [1, 2], "correct_id": 5, "wrong_id": 6}
)");
  auto all = fit(model, {"--method", "mean-difference", "--json"});
  all[4] = same;
  const auto warnings = run_trimtab(all).json().at("warnings");
  REQUIRE(warnings.size() >= 1);
  CHECK_THAT(warnings[0].get<std::string>(),
             Catch::Matchers::ContainsSubstring("differ nowhere: all 16 parameters are exactly zero"));
  all.erase(std::ranges::find(all, "--json"));
  CHECK_THAT(run_trimtab(all).out, Catch::Matchers::ContainsSubstring("warning: the statistics of the two sets"));
}

TEST_CASE("A share of the largest weight is that share for vectors by statistics, too") {
  const model_for_cli model;
  const auto data = model.file("corrupt.jsonl", with_corrupt);
  auto all = fit(model, {"--method", "mean-difference", "--lambda-m", "0.5max", "--json"});
  all[4] = data;
  REQUIRE(run_trimtab(all).status == 0);
  const auto made = io::read_intervention(model.name("d.safetensors")).made;
  auto learned = fit(model, {"--lambda-m", "0.5max", "--steps", "1", "--json"});
  learned[4] = data;
  CHECK(std::stod(made.at("lambda_m")) == run_trimtab(learned).json()["lambda_m"]);
}

TEST_CASE("Texts are contrasted line by line, with llama.cpp's escapes and without empty lines") {
  const model_for_cli model;
  const auto vector = [&](const std::string& positive, const std::string& negative) {
    const auto run = run_trimtab(fit(model, {"--method", "mean-difference", "--positive", model.file("p.txt", positive),
                                             "--negative", model.file("n.txt", negative)}));
    CAPTURE(run.err);
    CHECK(run.status == 0);
    return vector_of(model);
  };
  const auto plain = vector("ab\ncd\n", "b\nd");
  CHECK(plain == vector("\nab\n\ncd", "b\n\n\nd\n"));
  CHECK(plain == vector("\\x61b\nc\\x64\n", "b\n\\x64\n"));
  CHECK(plain != vector("cd\nab\n", "b\nc"));
  const auto backwards = vector("b\nd\n", "ab\ncd\n");
  for (std::size_t j = 0; j < plain.size(); ++j) CHECK(std::abs(plain[j] + backwards[j]) < 1e-12);
}

TEST_CASE("What statistics cannot make a vector of is refused") {
  const model_for_cli model;
  const auto refused = [&](const arguments& more, const std::vector<std::string>& words) {
    check_refused(fit(model, more), words);
  };
  const auto one = model.file("one.txt", "ab\n"), two = model.file("two.txt", "ab\nb\n"),
             empty = model.file("empty.txt", "\n");
  refused({"--method", "pca"}, {"prompt 1 has no corrupt prompt", "--positive"});
  refused({"--method", "pca", "--positive", one, "--negative", two},
          {"one.txt' has 1 texts", "two.txt' has 2", "pairs"});
  refused({"--method", "pca", "--positive", empty, "--negative", empty}, {"has 0 texts"});
  refused({"--method", "pca", "--positive", one, "--negative", model.name("none.txt")}, {"none.txt"});
  refused({"--method", "pca", "--positive", model.file("long.txt", std::string(100, 'a')), "--negative", one},
          {"long.txt', line 1", "context of 12"});
  auto scalars = fit(model, {"--method", "mean-difference", "--positive", one, "--negative", one});
  scalars[6] = "mlp_out:activ-scalar:1:shared";
  check_refused(scalars, {"activ-scalar at mlp_out is not one vector"});
  const auto usage = [&](const arguments& more) { CHECK(run_trimtab(fit(model, more)).status == 2); };
  usage({"--positive", one, "--negative", one});
  usage({"--method", "pca", "--positive", one});
  usage({"--method", "pca", "--steps", "3"});
  usage({"--method", "pca", "--checkpoint", "c"});
}

}  // namespace trimtab::test::directions_tests
