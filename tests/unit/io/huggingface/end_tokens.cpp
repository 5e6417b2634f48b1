// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/huggingface/end_tokens.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

#include <map>
#include <string>
#include <vector>

namespace trimtab::test::end_tokens_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using ids = std::vector<int>;

/// `generation` and `config` are the contents of the two files; empty: there is no file.
ids end_of(const std::string& generation, const std::string& config,
           const std::map<std::string, int>& named = {{"bos_token", 1}, {"eos_token", 7}}) {
  const temporary_folder folder;
  if (not generation.empty()) folder.file("generation_config.json", generation);
  if (not config.empty()) folder.file("config.json", config);
  return io::read_end_tokens(folder.path(), named).ids;
}

}  // namespace

TEST_CASE("end tokens come from generation_config.json, else from config.json, else from the tokenizer") {
  CHECK(end_of(R"({"eos_token_id": 778})", R"({"eos_token_id": 3})") == ids{778});
  CHECK(end_of(R"({"eos_token_id": [1865, 778]})", R"({"eos_token_id": 3})") == ids{1865, 778});
  CHECK(end_of(R"({"eos_token_id": null})", R"({"eos_token_id": 3})").empty());
  CHECK(end_of(R"({"eos_token_id": []})", R"({"eos_token_id": 3})").empty());
  CHECK(end_of(R"({"max_length": 9})", R"({"eos_token_id": 3})") == ids{3});
  CHECK(end_of("", R"({"eos_token_id": [3, 4]})") == ids{3, 4});
  CHECK(end_of("", R"({"eos_token_id": null})").empty());
  CHECK(end_of("", "{}") == ids{7});
  CHECK(end_of("", "") == ids{7});
  CHECK(end_of("", "", {}).empty());
  CHECK(end_of("", R"({"eos_token_id": -1})") == ids{-1});
}

TEST_CASE("what states the end tokens is named") {
  const temporary_folder folder;
  CHECK(io::read_end_tokens(folder.path(), {}).stated_by.empty());
  CHECK_THAT(io::read_end_tokens(folder.path(), {{"eos_token", 7}}).stated_by, ContainsSubstring("the tokenizer in '"));
  folder.file("config.json", R"({"eos_token_id": 3})");
  CHECK(io::read_end_tokens(folder.path(), {}).stated_by == (folder.path() / "config.json").string());
}

TEST_CASE("what is no token id is refused with file and key") {
  for (const std::string value : {"\"7\"", "1.5", "[1, \"2\"]", "{}", "[[1]]", "2147483648", "18446744073709551615"}) {
    const temporary_folder folder;
    folder.file("generation_config.json", "{\"eos_token_id\": " + value + "}");
    CHECK_THAT(
        refusal(error_kind::bad_config, [&] { io::read_end_tokens(folder.path(), {}); }),
        ContainsSubstring("generation_config.json': \"eos_token_id\" should be a token id, a list of token ids or "
                          "null"));
  }
}

TEST_CASE("what a folder says of generation and nothing uses is told") {
  const auto not_used = [](const std::string& generation, const std::string& config) {
    const temporary_folder folder;
    if (not generation.empty()) folder.file("generation_config.json", generation);
    folder.file("config.json", config);
    return io::read_end_tokens(folder.path(), {}).not_used;
  };
  using keys = std::vector<std::string>;
  CHECK(
      not_used(
          R"({"_from_model_config": true, "bos_token_id": 1, "do_sample": false, "top_k": 50, "forced_eos_token_id": 3})",
          R"({"num_beams": 4})") == keys{"forced_eos_token_id", "top_k"});
  CHECK(not_used("", R"({"num_beams": 4, "min_length": 0, "repetition_penalty": 1.0, "suppress_tokens": [1]})") ==
        keys{"num_beams", "suppress_tokens"});
}

}  // namespace trimtab::test::end_tokens_tests
