// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <string>
#include <vector>

namespace trimtab::test::weights_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

const model_config config = {
    .architecture = "gpt2", .layers = 2, .width = 16, .heads = 2, .hidden = 24, .context = 12, .vocabulary = 300};

/// The figures of a fit, without what tells how it was asked for.
io::json figures(const temporary_folder& model, const std::string& data, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"fit", "--model", model.path().string(), "--data", data, "--steps", "3", "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  auto json = run_trimtab(arguments).json();
  json.erase("repeat");
  return json;
}

std::string hash_in(const temporary_folder& model, const std::string& data, const std::vector<std::string>& more) {
  const auto out = (model.path() / "fit.safetensors").string();
  auto arguments = more;
  arguments.insert(arguments.end(), {"--out", out});
  figures(model, data, arguments);
  return run_trimtab({"inspect", "--json", out}).json()["model"]["hash"];
}

}  // namespace

TEST_CASE("Weights kept as they are stored give the figures of float32, to the bit") {
  const auto type = GENERATE(io::dtype::f16, io::dtype::bf16);
  const temporary_folder model;
  write_model_folder(model.path(), random_weights(config), {.type = type});
  const auto data = model.file("data.jsonl", "{\"ids\": [1, 2, 3], \"correct_id\": 5, \"wrong_id\": 6}\n").string();
  const auto stored = figures(model, data);
  CHECK(stored == figures(model, data, {"--weights", "stored"}));
  CHECK(stored == figures(model, data, {"--weights", "float32"}));
  CHECK(stored == figures(model, data, {"--weights", type == io::dtype::f16 ? "float16" : "bfloat16"}));
}

TEST_CASE("Rounded weights are another model, and a file of it says so") {
  const temporary_folder model;
  write_model_folder(model.path(), random_weights(config));
  const auto data = model.file("data.jsonl", "{\"ids\": [1, 2, 3], \"correct_id\": 5, \"wrong_id\": 6}\n").string();
  const auto exact = hash_in(model, data, {"--weights", "float32"});
  CHECK(hash_in(model, data, {}) == exact);
  CHECK(hash_in(model, data, {"--weights", "bfloat16"}) != exact);
  const auto rounded = hash_in(model, data, {"--weights", "float16"});
  CHECK(rounded != exact);
  CHECK(hash_in(model, data, {"--weights", "float16", "--precision", "double"}) == rounded);

  const auto file = (model.path() / "fit.safetensors").string();
  figures(model, data, {"--weights", "float16", "--out", file});
  const std::vector<std::string> eval{"eval", "--model", model.path().string(), "--data", data, "--intervention", file};
  CHECK_THAT(run_trimtab(eval).err, ContainsSubstring("other weights") or ContainsSubstring("hash"));
  auto rounding = eval;
  rounding.insert(rounding.end(), {"--weights", "float16"});
  CHECK(run_trimtab(rounding).status == 0);
  const auto again = run_trimtab({"fit", "--like", file, "--json"});
  CAPTURE(again.err);
  CHECK(again.json()["same_bits"] == true);
}

TEST_CASE("Weights too large for a type, and types where they do not belong, are refused") {
  const temporary_folder model;
  auto tensors = stored_weights(random_weights(config));
  auto large = host_matrix<float>(16, 48);
  large(3, 5) = 70000;
  tensors["transformer.h.1.attn.c_attn.weight"] = io::store(large);
  write_model_folder(model.path(), stored_config(config, true), tensors);
  const auto logits = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"logits", "--model", model.path().string(), "--ids", "1,2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_trimtab(arguments);
  };
  CHECK(logits({}).status == 0);
  CHECK(logits({"--weights", "bfloat16"}).status == 0);
  const auto refused = logits({"--weights", "float16"});
  CHECK(refused.status == 1);
  CHECK(refused.error_lines() == 1);
  CHECK_THAT(refused.err, ContainsSubstring("70000") and ContainsSubstring("too large for float16; use bfloat16"));
  const auto unknown = logits({"--weights", "float8"});
  CHECK(unknown.status == 1);
  CHECK_THAT(unknown.err, ContainsSubstring("expected bfloat16|float16|float32|stored"));
  const auto baked = run_trimtab({"bake", "--model", model.path().string(), "--intervention", "x", "--strength", "1",
                                  "--out", "y", "--weights", "float16"});
  CHECK(baked.status == 2);
  CHECK_THAT(baked.err, ContainsSubstring("--dtype says in which type"));
}

}  // namespace trimtab::test::weights_tests
