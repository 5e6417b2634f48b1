// SPDX-License-Identifier: Apache-2.0

#include "bad_input.hpp"

#include <map>

namespace trimtab::test::own_files_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using arguments = std::vector<std::string>;

std::map<std::string, std::string> contents_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (not entry.is_directory()) contents[entry.path().filename()] = content_of(entry.path());
  return contents;
}

/// A model with files beside it, and a check that commands which would overwrite one of them are refused.
class files_beside_a_model {
 public:
  files_beside_a_model() {
    for (const auto name : {"i.safetensors", "test.jsonl", "x.svg"}) model.file(name, "what stood there");
  }

  void check(arguments command, const std::string& sentence) const {
    command.insert(command.begin() + 1, {"--model", model.path()});
    const auto before = contents_of(model.path());
    const auto run = run_trimtab(command);
    CAPTURE(command, run.err);
    CHECK(run.status == 2);
    CHECK(run.out.empty());
    CHECK(run.error_lines() == 1);
    CHECK_THAT(run.err, ContainsSubstring(sentence + " name the same file, '"));
    CHECK((contents_of(model.path()) == before));
  }

  const model_for_cli model = model_for_cli(false);
  std::string data = model.data(), intervention = model.name("i.safetensors"), picture = model.name("x.svg");
};

}  // namespace

TEST_CASE("What a command reads is not what it writes") {
  const files_beside_a_model files;
  const auto loss = [&](const std::string& gradient, const std::string& other) {
    files.check({"loss", "--data", files.data, "--intervention", files.intervention, "--gradient", gradient},
                "--gradient and " + other);
  };
  loss(files.intervention, "--intervention");
  loss(files.data, "--data");
  loss(files.model.name("model.safetensors"), "the model's model.safetensors");
  files.check({"report", "--out", files.intervention, files.picture, files.intervention},
              "--out and '" + files.intervention + "'");
  files.check({"report", "--out", files.data, "--data", files.data, files.intervention}, "--out and --data");
  const auto fit = [&](const std::string& option, const std::string& file, const std::string& other) {
    files.check({"fit", "--data", files.data, "--test", files.model.name("test.jsonl"), option, file},
                option + " and " + other);
  };
  fit("--out", files.data, "--data");
  fit("--report", files.model.name("test.jsonl"), "--test");
  for (const std::string option : {"--out", "--trace", "--report", "--checkpoint"})
    for (const std::string name : {"config.json", "model.safetensors", "tokenizer.json"})
      fit(option, files.model.name(name), "the model's " + name);
}

TEST_CASE("Two outputs must be two files") {
  const files_beside_a_model files;
  files.check({"report", "--out", files.picture, "--heatmap", files.picture, files.intervention},
              "--out and --heatmap");
  files.check({"fit", "--data", files.data, "--heatmap", files.picture, "--trace", files.picture},
              "--heatmap and --trace");
}

TEST_CASE("A file is the same by whatever way it is named") {
  const files_beside_a_model files;
  const auto folder = std::filesystem::path(files.model.path());
  const auto fit = [&](const std::string& out, const std::string& trace, const std::string& other) {
    files.check({"fit", "--data", files.data, "--out", out, "--trace", trace}, "--out and " + other);
  };
  const auto unused = files.model.name("unused");
  fit(files.model.name("new"), files.model.name("./none/../new"), "--trace");
  std::filesystem::create_symlink("not-there", folder / "link");
  fit(files.model.name("link"), files.model.name("not-there"), "--trace");
  std::filesystem::create_symlink("data.jsonl", folder / "link-to-data");
  fit(files.model.name("link-to-data"), unused, "--data");
  std::filesystem::create_hard_link(folder / "data.jsonl", folder / "second-name");
  fit(files.model.name("second-name"), unused, "--data");
  std::filesystem::create_directory_symlink(".", folder / "here");
  fit(files.model.name("here/config.json"), unused, "the model's config.json");

  std::filesystem::rename(folder / "model.safetensors", folder / "part.safetensors");
  files.model.file("model.safetensors.index.json", R"({"weight_map": {"wte.weight": "part.safetensors"}})");
  fit(files.model.name("part.safetensors"), unused, "the model's part.safetensors");
}

TEST_CASE("A fit can resume from and write to the same checkpoint, however it is spelt") {
  const model_for_cli model;
  const auto fit = [&](const std::string& steps, arguments more) {
    more.insert(more.begin(), {"fit", "--model", model.path(), "--data", model.data(), "--steps", steps});
    check_accepted(more);
  };
  fit("1", {"--checkpoint", model.name("c")});
  fit("2", {"--checkpoint", model.name("c"), "--resume", model.name("./c")});
  std::filesystem::create_symlink("c", model.name("link"));
  fit("3", {"--checkpoint", model.name("link"), "--resume", model.name("c")});
}

}  // namespace trimtab::test::own_files_tests
