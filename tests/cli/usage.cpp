// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

namespace trimtab::test::usage_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

void check_usage(const std::vector<std::string>& arguments, const std::string& sentence) {
  const auto run = run_trimtab(arguments);
  CAPTURE(arguments, run.err);
  CHECK(run.status == 2);
  CHECK(run.out.empty());
  CHECK(run.error_lines() == 1);
  CHECK_THAT(run.err, ContainsSubstring(sentence));
}

}  // namespace

TEST_CASE("Wrong usage ends with status 2 and one sentence") {
  check_usage({}, "subcommand");
  check_usage({"fly"}, "there is no command 'fly' (see");
  check_usage({"fti"}, "there is no command 'fti'; did you mean 'fit'?");
  check_usage({"fit", "--modle", "m"}, "there is no option '--modle'; did you mean '--model'?");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--wings=2"}, "there is no option '--wings=2' (see");
  check_usage({"help", "evla"}, "did you mean 'eval'?");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--roles", "subject"}, "--roles goes with --positions role");
  check_usage({"fit"}, "--model");
  check_usage({"fit", "--model", "m"}, "(see trimtab help fit)");
  check_usage({"eval", "--model", "m", "--task", "ioi", "--intervention", "f", "--per-prompt"},
              "give --json, or --per");
  check_usage({"explain", "--model", "m", "--task", "ioi", "--method", "gradient", "--per-prompt"}, "give --json");
  check_usage(
      {"explain", "--model", "m", "--task", "ioi", "--method", "gradient", "--per-prompt", "--heatmap", "a.csv"},
      "give --json");
  check_usage({"help", "evla"}, "(see trimtab help)");
  check_usage({"explain", "--model", "m", "--data", "d", "--method", "gradient", "--test", "5"}, "goes with --task");
  check_usage({"generate", "--model", "m", "--prompt", "a", "--logprobs"}, "give --json");
  check_usage({"fit", "--model", "m"}, "--task or from --data");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--data", "d"}, "--task or from --data");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--test", "d"}, "--test goes with --data");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--no-bias"}, "--no-bias goes with");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--rank", "2"}, "--rank goes with --policy low-rank");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--policy", "low-rank", "--gate", "mlp"},
              "--gate goes with --policy dyn-scalar or conditional");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--lambda-r", "2"}, "--lambda-r goes with --retain");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--strengths", "0"}, "give at least one other");
  check_usage({"sweep", "--model", "m", "--task", "ioi", "--vary", "lr=1,2", "--path-end", "0.1"},
              "--path-end goes with --path");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--checkpoint-every", "9"}, "goes with --checkpoint");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--out", "f", "--trace", "./f"},
              "--out and --trace name the same");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--out", "f", "--resume", "f"}, "--out and --resume name");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--precision", "bf16"}, "bf16 goes with --backend cuda");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--backend", "cuda", "--precision", "double"},
              "double goes with --backend eigen");
  check_usage({"eval", "--model", "m", "--task", "ioi"}, "--intervention");
  check_usage({"logits", "--model", "m"}, "either --prompt or --ids");
  check_usage({"logits", "--model", "m", "--ids", "1", "--strength", "1"}, "--strength goes with --intervention");
  check_usage({"generate", "--model", "m", "--prompt", "a", "--strength=-1"}, "--strength goes with --intervention");
  check_usage({"inspect"}, "what");
  check_usage({"inspect", "a", "b"}, "b");
}

TEST_CASE("An option that ends in = has an empty value and does not take the next word") {
  std::istringstream options(run_trimtab({"__complete", "fit", "--"}).out);
  int count = 0;
  for (std::string line; std::getline(options, line); ++count) {
    const auto option = line.substr(0, line.find('\t'));
    const auto run = run_trimtab({"fit", "--model", "m", "--task", "ioi", option + "=", "--quiet"});
    CAPTURE(option, run.err);
    const bool is_usage = run.err.find("takes no value") != run.err.npos or option == "--roles";
    CHECK(run.status == (is_usage ? 2 : 1));
    CHECK(run.out.empty());
    CHECK(run.error_lines() == 1);
    CHECK_THAT(run.err, ContainsSubstring(is_usage ? option : option + " is ''; expected "));
  }
  CHECK(count > 30);
  // The value of an option, and a word after --, is not an option.
  CHECK_THAT(run_trimtab({"logits", "--model", "m", "--prompt", "--json="}).err,
             ContainsSubstring("'m' is neither a folder nor"));
  CHECK_THAT(run_trimtab({"inspect", "--", "--json="}).err, ContainsSubstring("'--json='"));
}

TEST_CASE("Help and version are answers, not mistakes") {
  const auto help = run_trimtab({"--help"});
  CHECK(help.status == 0);
  CHECK_THAT(help.out, ContainsSubstring("tokenize"));
  CHECK_THAT(run_trimtab({"fit", "--help"}).out, ContainsSubstring("--lambda-f"));
  CHECK_THAT(run_trimtab({"--version"}).out, ContainsSubstring("trimtab 0."));
}

TEST_CASE("generate takes options only where they go together") {
  const auto usage = [](std::vector<std::string> more, const std::string& sentence) {
    std::vector<std::string> all = {"generate", "--model", "m"};
    all.insert(all.end(), more.begin(), more.end());
    check_usage(all, sentence);
  };
  usage({"--prompt", "a", "--ids", "1"}, "give one of --prompt, --ids and --prompts");
  usage({}, "give one of --prompt, --ids and --prompts");
  usage({"--prompt", "a", "--strengths", "1"}, "--strengths goes with --intervention");
  usage({"--prompt", "a", "--phase", "prompt"}, "--phase goes with --intervention");
  usage({"--prompt", "a", "--as-processed"}, "--as-processed goes with --intervention");
  usage({"--prompt", "a", "--intervention", "i", "--strength", "1", "--strengths", "1"},
        "give either --strength or --strengths");
}

}  // namespace trimtab::test::usage_tests
