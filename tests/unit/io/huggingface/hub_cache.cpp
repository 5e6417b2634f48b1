// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/huggingface/hub_cache.hpp>

#include "support/catch.hpp"
#include "support/hub_cache.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace trimtab::test::hub_cache_tests {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;

namespace {

const std::string first(40, 'a'), second = "0123456789abcdef0123456789abcdef01234567", third(40, '3');

/// Goes into a folder until the end of the scope.
class working_in {
 public:
  explicit working_in(const std::filesystem::path& folder) { std::filesystem::current_path(folder); }
  working_in(const working_in&) = delete;
  working_in& operator=(const working_in&) = delete;
  ~working_in() { std::filesystem::current_path(before_); }

 private:
  std::filesystem::path before_ = std::filesystem::current_path();
};

/// A model `o/m` with two commits: main is the older one, the tag v2 and the pull request 1 are the newer one. It is the
/// cache of this process, which works in an empty folder.
struct cached {
  hub_cache cache = {};
  temporary_folder folder = {};
  working_in here = working_in(folder.path());
  environment_with where = {"HF_HUB_CACHE", cache.path()};

  cached() {
    for (const auto& hash : {first, second})
      for (const auto name : {"config.json", "model.safetensors", "tokenizer.json"}) cache.add("o/m", hash, name, "{}");
    cache.refer("o/m", "main", first);
    cache.refer("o/m", "v2", second + "\n");
    cache.refer("o/m", "refs/pr/1", second);
  }
  std::string refused(const std::string& name, error_kind kind = error_kind::io) const {
    return refusal(kind, [&] { io::model_path(name); });
  }
  void erase(const std::string& hash, const std::string& name) const {
    REQUIRE(std::filesystem::remove(cache.snapshot("o/m", hash) / name));
  }
};

}  // namespace

TEST_CASE("Names on the Hub are told from paths as huggingface_hub does") {
  for (const auto name : {"gpt2", "openai-community/gpt2", "EleutherAI/pythia-70m", "a/b_c.d-e", "123"})
    CHECK(io::detail::is_hub_id(name));
  for (const auto name :
       {"",     "/",  "gpt2/", "/gpt2", "./gpt2", "../gpt2", "a/b/c", "a//b", ".",        "..",   "a--b",
        "a..b", "-a", "a-",    "a/.b",  "a/b.",   "a.git",   "a b",   "a\nb", "\xc3\xa9", "a\\b", "~"})
    CHECK_FALSE(io::detail::is_hub_id(name));
  const std::string longest(96, 'a');
  CHECK(io::detail::is_hub_id(longest + "/" + longest));
  CHECK_FALSE(io::detail::is_hub_id(longest + "a"));
  CHECK_FALSE(io::detail::is_hub_id("a/" + longest + "a"));
}

TEST_CASE("The first variable that is set and not empty says where the cache is") {
  const std::vector<std::pair<std::string, std::string>> variables = {{"HF_HUB_CACHE", ""},
                                                                      {"HUGGINGFACE_HUB_CACHE", ""},
                                                                      {"HF_HOME", "/hub"},
                                                                      {"XDG_CACHE_HOME", "/huggingface/hub"},
                                                                      {"HOME", "/.cache/huggingface/hub"}};
  std::vector<std::unique_ptr<environment_with>> set;
  for (const auto& [name, below] : variables) set.push_back(std::make_unique<environment_with>(name, "/of/" + name));
  for (const auto& [name, below] : variables) {
    CHECK(io::detail::hub_cache_folder() == "/of/" + name + below);
    set.push_back(std::make_unique<environment_with>(name, set.size() % 2 == 0 ? std::optional("") : std::nullopt));
  }
  CHECK(io::detail::hub_cache_folder() == std::nullopt);
  {
    const environment_with home("HOME", "/me"), cache("HF_HOME", "~/models");
    CHECK(io::detail::hub_cache_folder() == "/me/models/hub");
  }
  const environment_with cache("HF_HOME", "~/models");
  CHECK(io::detail::hub_cache_folder() == "~/models/hub");
  while (not set.empty()) set.pop_back();  // the last first, so that each restores what it found
}

TEST_CASE("A name is the snapshot of main, and a revision that of a branch, a tag or a commit") {
  const cached c;
  const auto path_of = [&](const std::string& hash) { return c.cache.snapshot("o/m", hash); };
  CHECK(io::model_path("o/m") == path_of(first));
  CHECK(io::model_path("o/m@main") == path_of(first));
  CHECK(io::model_path("o/m@v2") == path_of(second));
  CHECK(io::model_path("o/m@refs/pr/1") == path_of(second));
  CHECK(io::model_path("o/m@" + second) == path_of(second));
  c.cache.refer("o/m", "main", second);
  CHECK(io::model_path("o/m") == path_of(second));

  hub_cache plain;
  plain.add("m", third, "config.json", "{}");
  plain.add("m", third, "model.safetensors", "");
  plain.refer("m", "main", third);
  const environment_with where("HF_HUB_CACHE", plain.path());
  CHECK(io::model_path("m") == plain.snapshot("m", third));
}

TEST_CASE("What exists, and what cannot be a name, is a path") {
  const cached c;
  for (const auto name : {"o/m/", "./o/m", "/o/m", "a/b/c", "", "..", "x--y", "@", "@main", "/o/m@v2"})
    CHECK(io::model_path(name) == name);
  std::filesystem::create_directories("o/m");
  CHECK(io::model_path("o/m") == "o/m");
  CHECK(io::model_path("o/m@v2") == c.cache.snapshot("o/m", second));
  std::filesystem::create_directories("o/m@v2");
  CHECK(io::model_path("o/m@v2") == "o/m@v2");
  c.folder.file("gpt2", "a file");
  CHECK(io::model_path("gpt2") == "gpt2");
}

TEST_CASE("A model that is nowhere is refused with both places and the command that downloads it") {
  const cached c;
  const auto here = std::filesystem::current_path().string();
  CHECK(c.refused("a/b") == "'a/b' is neither a folder nor a model in the Hugging Face cache: there is no '" + here +
                                "/a/b', and no '" + c.cache.path() +
                                "/models--a--b/refs/main'; `hf download a/b` downloads it");
  CHECK_THAT(c.refused("o/m@v3"), ContainsSubstring("no '" + c.cache.path() + "/models--o--m/refs/v3'") and
                                      EndsWith("; `hf download o/m --revision v3` downloads it"));
  CHECK_THAT(c.refused("o/m@" + third), ContainsSubstring("/models--o--m/snapshots/" + third + "'") and
                                            ContainsSubstring("`hf download o/m --revision " + third + "`"));
  CHECK_THAT(c.refused("gpt2"), ContainsSubstring("/models--gpt2/refs/main'"));
  const environment_with cache("HF_HUB_CACHE", ""), legacy("HUGGINGFACE_HUB_CACHE", ""), hf("HF_HOME", std::nullopt),
      xdg("XDG_CACHE_HOME", std::nullopt), home("HOME", std::nullopt);
  CHECK_THAT(c.refused("o/m"), ContainsSubstring("there is no '" + here +
                                                 "/o/m', and neither HF_HUB_CACHE, HF_HOME nor "
                                                 "HOME says where the cache is; `hf download o/m` downloads it"));
}

TEST_CASE("A revision that would lead out of the cache is refused") {
  const cached c;
  std::filesystem::create_directories(c.cache.of("o/m") / "refs" / "a");
  for (const std::string revision :
       {"", "..", ".", "../refs/main", "a/../main", "a/./b", "/etc/passwd", "a//b", "main/", "a\nb", "a\x7f"})
    CHECK_THAT(c.refused("o/m@" + revision, error_kind::bad_argument),
               ContainsSubstring("the revision of 'o/m' is '") and
                   ContainsSubstring("expected a branch, a tag or the hash of a commit"));
}

TEST_CASE("A ref that holds no commit is refused") {
  const cached c;
  const std::vector<std::string> contents = {
      "", "main", "../../x", second + second, "A" + second.substr(1), second.substr(1)};
  for (const std::string& content : contents) {
    c.cache.refer("o/m", "odd", content);
    CHECK_THAT(c.refused("o/m@odd", error_kind::bad_file),
               ContainsSubstring("refs/odd' should hold a commit hash of 40 hexadecimal digits"));
  }
  c.cache.refer("o/m", "odd", "main");
  CHECK_THAT(c.refused("o/m@odd", error_kind::bad_file), EndsWith(", found \"main\""));
  std::filesystem::create_directories(c.cache.of("o/m") / "refs" / "folder");
  CHECK_THAT(c.refused("o/m@folder"), ContainsSubstring("is a folder where a file was expected"));
}

TEST_CASE("A snapshot that an interrupted download left is refused with the command that completes it") {
  const cached c;
  const auto incomplete = [&](const std::string& missing) {
    return "the snapshot '" + c.cache.snapshot("o/m", second).string() + "' of 'o/m' is incomplete, it lacks " +
           missing + "; `hf download o/m --revision v2` downloads the rest";
  };
  const auto blob = [&](const std::string& name) { return c.cache.of("o/m") / "blobs" / name; };

  // A tokenizer is missed only while something is being downloaded.
  c.erase(second, "tokenizer.json");
  CHECK(io::model_path("o/m@v2") == c.cache.snapshot("o/m", second));
  c.folder.file("content", "");
  std::filesystem::rename("content", blob("9.incomplete"));
  CHECK(c.refused("o/m@v2") == incomplete("'tokenizer.json'"));
  CHECK(io::model_path("o/m") == c.cache.snapshot("o/m", first));
  for (const auto name : {"vocab.json", "merges.txt"}) c.folder.file(name, "");
  for (const auto name : {"vocab.json", "merges.txt"})
    std::filesystem::rename(name, c.cache.snapshot("o/m", second) / name);
  CHECK(io::model_path("o/m@v2") == c.cache.snapshot("o/m", second));

  std::filesystem::create_symlink("../../blobs/none", c.cache.snapshot("o/m", second) / "generation_config.json");
  CHECK(c.refused("o/m@v2") == incomplete("'generation_config.json'"));
  c.erase(second, "generation_config.json");

  c.erase(second, "model.safetensors");
  CHECK(c.refused("o/m@v2") == incomplete("'model.safetensors'"));
  CHECK(io::model_path("o/m@v2", io::snapshot_use::tokenizer) == c.cache.snapshot("o/m", second));
  std::filesystem::create_symlink("../../blobs/none", c.cache.snapshot("o/m", second) / "model.safetensors");
  CHECK(c.refused("o/m@v2") == incomplete("'model.safetensors'"));
  c.erase(second, "model.safetensors");

  const auto index = c.folder.file("i", R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}})");
  std::filesystem::rename(index, c.cache.snapshot("o/m", second) / "model.safetensors.index.json");
  for (const auto name : {"1.safetensors", "2.safetensors"}) {
    CHECK(c.refused("o/m@v2") == incomplete("'" + std::string(name) + "'"));
    std::filesystem::rename(c.folder.file(name, ""), c.cache.snapshot("o/m", second) / name);
  }
  CHECK(io::model_path("o/m@v2") == c.cache.snapshot("o/m", second));

  // Weights in another format are a matter of whoever reads the folder.
  c.erase(second, "model.safetensors.index.json");
  CHECK(c.refused("o/m@v2") == incomplete("'model.safetensors'"));
  std::filesystem::rename(c.folder.file("pytorch_model.bin", ""),
                          c.cache.snapshot("o/m", second) / "pytorch_model.bin");
  CHECK(io::model_path("o/m@v2") == c.cache.snapshot("o/m", second));

  c.erase(second, "config.json");
  CHECK(c.refused("o/m@v2") == incomplete("'config.json'"));
  std::filesystem::remove_all(c.cache.snapshot("o/m", second));
  CHECK(c.refused("o/m@v2") == incomplete("all its files"));
  CHECK_THAT(c.refused("o/m@" + second), ContainsSubstring("is neither a folder nor a model"));
}

}  // namespace trimtab::test::hub_cache_tests
