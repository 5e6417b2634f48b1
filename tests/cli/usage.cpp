// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

using namespace trimtab::test;
using Catch::Matchers::ContainsSubstring;

namespace {

void check_usage(std::vector<std::string> const& arguments, std::string const& sentence) {
  auto const run = run_trimtab(arguments);
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
  check_usage({"completion", "tcsh"}, "'tcsh'; expected bash, fish or zsh");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--roles", "subject"}, "--roles goes with --positions role");
  check_usage({"fit"}, "--model");
  check_usage({"fit", "--model", "m"}, "--task or from --data");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--data", "d"}, "--task or from --data");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--test", "d"}, "--test goes with --data");
  check_usage({"fit", "--model", "m", "--task", "chess"}, "--task is 'chess'; expected ccc|ioi");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--sites", "attn_out,here"}, "--sites is 'attn_out,here'");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--layers", "5-2"}, "--layers is '5-2'");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--steps", "-1"}, "--steps is '-1'");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--lr", "0"}, "--lr is '0'; expected a positive number");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--lambda-f", "nan"}, "--lambda-f is 'nan'");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--strengths", "1,,2"}, "--strengths is ''");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--no-bias"}, "--no-bias goes with");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--threads", "0"}, "--threads is '0'");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--checkpoint-every", "9"}, "goes with --checkpoint");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--out", "f", "--trace", "./f"}, "--out and --trace name the same");
  check_usage({"fit", "--model", "m", "--task", "ioi", "--out", "f", "--resume", "f"}, "--out and --resume name");
  check_usage({"eval", "--model", "m", "--task", "ioi"}, "--intervention");
  check_usage({"logits", "--model", "m"}, "either --prompt or --ids");
  check_usage({"logits", "--model", "m", "--ids", "1,x"}, "--ids is 'x'");
  check_usage({"inspect"}, "what");
  check_usage({"inspect", "a", "b"}, "b");
}

TEST_CASE("Help and version are answers, not mistakes") {
  auto const help = run_trimtab({"--help"});
  CHECK(help.status == 0);
  CHECK_THAT(help.out, ContainsSubstring("tokenize"));
  CHECK_THAT(run_trimtab({"fit", "--help"}).out, ContainsSubstring("--lambda-f"));
  CHECK_THAT(run_trimtab({"--version"}).out, ContainsSubstring("trimtab 0."));
}
