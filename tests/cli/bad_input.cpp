// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

using namespace trimtab::test;
using Catch::Matchers::ContainsSubstring;

namespace {

void check_refused(std::vector<std::string> const& arguments, std::string const& sentence,
                   std::string const& input = "") {
  auto const run = run_trimtab(arguments, input);
  CAPTURE(arguments, run.err);
  CHECK(run.status == 1);
  CHECK(run.out.empty());
  CHECK(run.error_lines() == 1);
  CHECK_THAT(run.err, ContainsSubstring(sentence));
}

}  // namespace

TEST_CASE("Bad input ends with status 1, one sentence, and nothing on standard output") {
  model_for_cli const model, parallel(true), wordless(false, false);
  auto const m = model.path(), d = model.data();
  auto const several =
      model.file("several.jsonl", "\n{\"prompt\": \"a\", \"correct\": \" Montevideo\", \"wrong\": \" b\"}\n");
  auto const other_length = model.file("longer.jsonl", "{\"ids\": [1, 2], \"correct_id\": 1, \"wrong_id\": 2}\n");
  auto const text = model.file("text.jsonl", "{\"prompt\": \"a\", \"correct\": \"b\", \"wrong\": \"c\"}\n");

  check_refused({"fit", "--model", "/nowhere", "--data", d}, "/nowhere");
  check_refused({"fit", "--model", m, "--data", m + "/missing.jsonl"}, "missing.jsonl");
  check_refused({"fit", "--model", m, "--data", several}, "several.jsonl, line 2' has \" Montevideo\" as \"correct\"");
  check_refused({"fit", "--model", m, "--data", d, "--layers", "1-2"}, "layer 2 was asked for");
  check_refused({"fit", "--model", m, "--data", d, "--test", other_length, "--steps", "1"}, "absolute positions");
  check_refused({"fit", "--model", m, "--data", d, "--out", "/nowhere/file"}, "there is no folder");
  check_refused({"fit", "--model", m, "--data", d, "--report", "no-such-folder/r.html"}, "no folder");
  check_refused({"fit", "--model", parallel.path(), "--data", d, "--sites", "resid_mid"}, "no resid_mid");
  check_refused({"fit", "--model", wordless.path(), "--data", text}, "holds no tokenizer");
  check_refused({"fit", "--model", wordless.path(), "--task", "ccc"}, "holds no tokenizer");
  check_refused({"eval", "--model", m, "--data", d, "--intervention", d}, "not a valid safetensors file");
  check_refused({"logits", "--model", m, "--ids", "1,300"}, "token id 300");
  check_refused({"logits", "--model", m, "--ids", "1,2,3,4,5,6,7,8,9,10,11,12,13"}, "at most 12");
  check_refused({"logits", "--model", m, "--prompt", ""}, "the prompt is empty");
  check_refused({"logits", "--model", wordless.path(), "--prompt", "a"}, "holds no tokenizer");
  check_refused({"tokenize", "--model", wordless.path()}, "holds no tokenizer");
  check_refused({"tokenize", "--model", m}, "standard input, line 2", "\"good\"\nbad\n");
  check_refused({"inspect", "/nowhere"}, "/nowhere");
}

TEST_CASE("An intervention of another model is refused with the reason") {
  model_for_cli const model, other(true);
  auto const file = model.name("i.safetensors");
  REQUIRE(run_trimtab({"fit", "--model", model.path(), "--data", model.data(), "--steps", "1", "--out", file}).status ==
          0);
  check_refused({"eval", "--model", other.path(), "--data", model.data(), "--intervention", file}, "architecture gpt2");
  check_refused({"generate", "--model", model.path(), "--prompt", "a", "--intervention", file}, "absolute positions");
  check_refused({"logits", "--model", model.path(), "--ids", "1,2", "--intervention", file}, "absolute positions");
}
