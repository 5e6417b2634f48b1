// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

namespace trimtab::test::terminal_tests {

using Catch::Matchers::ContainsSubstring;

/// What the program prints on a terminal, and what it prints into a file.

namespace {

std::vector<std::string> fit_arguments(const model_for_cli& model, std::vector<std::string> more = {}) {
  std::vector<std::string> all = {"fit",     "--model", model.path(), "--data", model.data(),
                                  "--steps", "3",       "--lambda-m", "0.001"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

const std::string bar = "\r\033[K", bold = "\033[1m", map_colour = ";48;5;";

}  // namespace

TEST_CASE("On a terminal long work shows its progress, and figures have colours") {
  const model_for_cli model;
  const auto shown = run_on_terminal(fit_arguments(model));
  for (const auto label : {"load ", "fit ", "evaluate train "}) CHECK_THAT(shown, ContainsSubstring(bar + label));
  CHECK(has(shown, "/s"));
  CHECK(has(shown, bold));
  CHECK(has(shown, map_colour));
  // Each progress bar is erased in the end.
  CHECK(shown.rfind(bar) > shown.rfind("left"));
}

TEST_CASE("NO_COLOR takes the colours and leaves the rest, and an empty one takes nothing") {
  const model_for_cli model;
  const auto shown = run_on_terminal(fit_arguments(model), {"NO_COLOR=1"});
  CHECK(has(shown, bar + "fit "));
  CHECK(has(shown, "exactly 0"));
  CHECK(not has(shown, bold));
  CHECK(not has(shown, map_colour));
  CHECK(has(run_on_terminal(fit_arguments(model), {"NO_COLOR="}), bold));
  CHECK(not has(run_on_terminal(fit_arguments(model), {"TERM=dumb", "NO_COLOR=1"}), "\033[1"));
}

TEST_CASE("Where there is no terminal there are neither bars nor colours") {
  const model_for_cli model;
  const auto run = run_trimtab(fit_arguments(model));
  CHECK(run.err.empty());
  CHECK(not has(run.out, "\033"));
  CHECK(has(run.out, "attn_out\n"));
  CHECK(has(run.out, "exactly 0"));
}

TEST_CASE("With --quiet the program prints only the figures") {
  const model_for_cli model;
  const auto shown = run_on_terminal(fit_arguments(model, {"--quiet"}), {"NO_COLOR=1"});
  CHECK(not has(shown, bar));
  CHECK(not has(shown, "exactly 0"));
  CHECK(has(shown, "flip rate"));
}

TEST_CASE("With --verbose the program says what is done, on standard error") {
  const model_for_cli model;
  const auto plain = run_trimtab(fit_arguments(model)), verbose = run_trimtab(fit_arguments(model, {"--verbose"}));
  CHECK(verbose.out == plain.out);
  CHECK_THAT(verbose.err, ContainsSubstring("gpt2, 2 layers of width 16, 300 tokens"));
  CHECK_THAT(verbose.err, ContainsSubstring("fit activ-scalar on 3 prompts, absolute positions, 3 steps"));
  CHECK_THAT(verbose.err, ContainsSubstring("measured the 3 prompts of 'train'"));
  CHECK(run_trimtab(fit_arguments(model, {"--verbose", "--json"})).json()["steps"] == 3);
}

TEST_CASE("An error on a terminal is coloured, its sentence is the same") {
  CHECK_THAT(run_on_terminal({"inspect", "no-such-file"}), ContainsSubstring("\033[1;31mtrimtab:\033[0m "));
}

TEST_CASE("Control characters in file names and files never reach the terminal") {
  const model_for_cli model;
  const std::string nasty =
                        "x\x1b[2J\xc2\x9b"
                        "5m\ny",
                    shown =
                        "x\uFFFD[2J\uFFFD"
                        "5m\uFFFDy";
  const std::string line =
      "{\"ids\": [1, 2], \"correct_id\": 5, \"wrong_id\": 6, "
      "\"roles\": {\"\\u009b5m\\u007f\": [0, 1]}}\n";
  const auto out = model.name(nasty), data = model.file(nasty + ".jsonl", line);
  std::filesystem::create_directory_symlink(model.path(), out + "m");
  const auto run =
      run_trimtab({"fit", "--model", out + "m", "--data", data, "--steps", "2", "--positions", "role", "--verbose",
                   "--out", out, "--report", model.name("r.html"), "--checkpoint", out + "c"});
  CAPTURE(run.err);
  CHECK(run.status == 0);
  CHECK_THAT(run.err, ContainsSubstring("read '" + model.path() + "/" + shown + "m'"));
  CHECK(not has(run.err + run.out, "\x1b"));
  CHECK(not has(run.err + run.out, "\xc2\x9b"));
  const auto again = run_trimtab(
      {"fit", "--model", model.path(), "--data", data, "--steps", "2", "--positions", "role", "--resume", out + "c"});
  CHECK(again.err == "trimtab: the checkpoint '" + model.path() + "/" + shown +
                         "c' had made all 2 steps already; ask for more --steps to continue\n");
  const auto report =
      run_trimtab({"report", "--model", model.path(), "--data", data, "--out", model.name(nasty + ".html"), out});
  CHECK_THAT(report.out, ContainsSubstring("written: " + model.path() + "/" + shown + ".html\n"));
  const auto json = run_trimtab({"inspect", out, "--json"});
  CHECK(json.status == 0);
  CHECK(not has(json.out, "\xc2\x9b"));
  CHECK(not has(json.out, "\x7f"));
  CHECK(json.json().dump().find("\xc2\x9b"
                                "5m\x7f") != std::string::npos);
}

TEST_CASE("However long a name in a file is, the complaint can be read") {
  const model_for_cli model;
  const std::string line = "{\"ids\": [1, 2], \"correct_id\": 5, \"wrong_id\": 6}\n";
  const auto run = run_trimtab({"fit", "--model", model.path(), "--data", model.file("d.jsonl", line), "--positions",
                                "role", "--roles", std::string(100'000, 'r')});
  CHECK(run.status == 1);
  CHECK(run.err.size() < 2100);
  CHECK(run.err.ends_with("...\n"));
}

}  // namespace trimtab::test::terminal_tests
