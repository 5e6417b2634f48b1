// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/control_vector.hpp>
#include <trimtab/io/hook_file.hpp>
#include <trimtab/io/intervention_file.hpp>

#include "bad_input.hpp"
#include "program.hpp"

#include "support/gguf_text.hpp"
#include "support/small_intervention.hpp"

namespace trimtab::test::exchange_tests {

namespace {

using arguments = std::vector<std::string>;

std::string logits_of(const model_for_cli& model, const std::string& intervention) {
  const auto run = run_trimtab(
      {"logits", "--model", model.path(), "--ids", "1,2,3,4", "--all", "--json", "--intervention", intervention});
  CHECK(run.status == 0);
  return run.out;
}

/// A vector in layer 1, the only one of the two that a control vector reaches.
std::string vector_file(const model_for_cli& model) {
  auto file = example_intervention("steer-vec", {{"resid_post.vector", {2, 1, 16}}}, positions::shared());
  auto& i = file.interventions.front();
  std::fill_n(i.parameters.front().numbers.values.begin(), 16, 0.0);
  for (double& x : i.parameters.front().numbers.values) x = static_cast<float>(x);
  i.layers = {1};
  io::write_intervention(model.name("v.safetensors"), file);
  return model.name("v.safetensors");
}

}  // namespace

TEST_CASE("An intervention that is exported and imported again gives the same logits") {
  const auto format = GENERATE(std::string("gguf"), std::string("hooks"));
  const model_for_cli model;
  const auto before = vector_file(model), there = model.name("there"), back = model.name("back.safetensors");
  const auto sent =
      run_trimtab({"export", "--intervention", before, "--format", format, "--out", there, "--json"}).json();
  CHECK(sent.at("format") == format);
  CHECK(sent.at("interventions") ==
        io::json::array({{{"site", "resid_post"}, {"policy", "steer-vec"}, {"layers", {1}}}}));
  arguments import = {"import", "--format", format, "--from", there, "--model", model.path(), "--out", back, "--json"};
  CHECK(run_trimtab(import).json().at("interventions") == sent.at("interventions"));
  CHECK(logits_of(model, before) == logits_of(model, back));
  for (const arguments& command :
       {arguments{"eval", "--strengths", "1,-1"},
        arguments{"certify", "--lambda-m", "0.01", "--lambda-f", "1", "--margin", "1", "--psi", "hinge", "--kl",
                  "masked", "--kl-direction", "forward", "--minimality", "sum", "--strengths", "1,-1"}}) {
    auto all = command;
    all.insert(all.end(), {"--model", model.path(), "--data", model.data(), "--intervention", back});
    check_accepted(all);
  }
}

TEST_CASE("A control vector of llama.cpp's generator moves by one layer, and the program says so") {
  const model_for_cli model;
  const auto there = model.file("v.gguf", [&] {
    const auto bytes = io::control_vector_bytes(io::read_intervention(vector_file(model)));
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }());
  const auto import = [&](const arguments& more) {
    arguments all = {
        "import", "--format", "gguf", "--from", there, "--model", model.path(), "--out", model.name("o.safetensors")};
    all.insert(all.end(), more.begin(), more.end());
    const auto run = run_trimtab(all);
    CHECK(run.status == 0);
    return std::pair(io::read_intervention(model.name("o.safetensors")), run.err);
  };
  const auto [block, silent] = import({});
  CHECK(block.interventions.front().layers == std::vector<index_t>{1});
  CHECK(block.model->hash.size() == 16);
  CHECK(block.made.at("imported") == "gguf");
  CHECK(silent.empty());
  CHECK(import({"--producer", "repeng"}).first.interventions == block.interventions);
  const auto [late, said] = import({"--producer", "llama.cpp"});
  CHECK(late.interventions.front().layers == std::vector<index_t>{0});
  CHECK(late.made.at("producer") == "llama.cpp");
  CHECK_THAT(said, Catch::Matchers::ContainsSubstring("direction.N becomes layer N - 1"));
}

TEST_CASE("Text formats hold the numbers") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors"), out = model.name("out");
  io::write_intervention(file,
                         example_intervention("activ-scalar", {{"attn_out.alpha", {2, 3}}}, positions::from_end(3)));
  check_accepted({"export", "--intervention", file, "--format", "csv", "--out", out});
  const auto csv = content_of(out);
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 7);
  CHECK_THAT(csv, Catch::Matchers::ContainsSubstring("\nattn_out,activ-scalar,attn_out.alpha,alpha,1,2,,,,"));
  check_accepted({"export", "--intervention", file, "--format", "json", "--out", out});
  CHECK(io::read_json_file(out).at("interventions")[0].at("parameters")[0].at("values").size() == 2);
}

TEST_CASE("What cannot be exported or imported is refused with the reason, and writes nothing") {
  const model_for_cli model;
  const auto file = model.name("i.safetensors"), out = model.name("out");
  io::write_intervention(file, example_intervention("activ-scalar", {{"attn_out.alpha", {2, 1}}}, positions::shared()));
  check_refused({"export", "--intervention", file, "--format", "gguf", "--out", out},
                {"i.safetensors", "no place in a control vector"});
  const auto import = [&](const std::string& format, const std::string& content,
                          const std::vector<std::string>& words) {
    const auto from = model.file("theirs", content);
    check_refused({"import", "--format", format, "--from", from, "--model", model.path(), "--out", out}, words);
    CHECK_FALSE(std::filesystem::exists(out));
  };
  import("gguf", "GGUX", {"theirs", "not a valid GGUF file"});
  import("gguf", gguf_text{}.entry("general.architecture", "gpt2").content(), {"theirs", "is no control vector"});
  const auto vector = [] { return gguf_text{}.entry("general.architecture", "controlvector"); };
  import("gguf", vector().tensor("direction.2", {8}).content(), {"theirs", "the directions are 1 to 1"});
  import("gguf", vector().tensor("direction.1", {8}).content(), {"theirs", "width is 16"});
  import("hooks", "x", {"theirs", "safetensors"});
  import("hooks", content_of(file), {"theirs", "trimtab-hooks-1"});
  const auto usage = run_trimtab(
      {"import", "--format", "hooks", "--producer", "repeng", "--from", file, "--model", model.path(), "--out", out});
  CHECK(usage.status == 2);
  CHECK(run_trimtab({"export", "--intervention", file, "--format", "csv", "--out", file}).status == 2);
}

}  // namespace trimtab::test::exchange_tests
