// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

using namespace trimtab::test;
using Catch::Matchers::ContainsSubstring;

/// What a person at a terminal sees, and what a file gets instead.

namespace {

std::vector<std::string> fit_arguments(model_for_cli const& model, std::vector<std::string> more = {}) {
  std::vector<std::string> all = {"fit",     "--model", model.path(), "--data", model.data(),
                                  "--steps", "3",       "--lambda-m", "0.001"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

bool has(std::string const& text, std::string const& part) { return text.find(part) != text.npos; }

std::string const bar = "\r\033[K", bold = "\033[1m", map_colour = ";48;5;";

}  // namespace

TEST_CASE("On a terminal long work shows its progress, and figures have colours") {
  model_for_cli const model;
  auto const shown = run_on_terminal(fit_arguments(model));
  for (auto const label : {"load ", "fit ", "evaluate train "}) CHECK_THAT(shown, ContainsSubstring(bar + label));
  CHECK(has(shown, "/s"));
  CHECK(has(shown, bold));
  CHECK(has(shown, map_colour));
  // Each bar is taken back in the end.
  CHECK(shown.rfind(bar) > shown.rfind("left"));
}

TEST_CASE("NO_COLOR takes the colours and leaves the rest; an empty one takes nothing") {
  model_for_cli const model;
  auto const shown = run_on_terminal(fit_arguments(model), {"NO_COLOR=1"});
  CHECK(has(shown, bar + "fit "));
  CHECK(has(shown, "exactly 0"));
  CHECK(not has(shown, bold));
  CHECK(not has(shown, map_colour));
  CHECK(has(run_on_terminal(fit_arguments(model), {"NO_COLOR="}), bold));
  CHECK(not has(run_on_terminal(fit_arguments(model), {"TERM=dumb", "NO_COLOR=1"}), "\033[1"));
}

TEST_CASE("Where there is no terminal there are neither bars nor colours") {
  model_for_cli const model;
  auto const run = run_trimtab(fit_arguments(model));
  CHECK(run.err.empty());
  CHECK(not has(run.out, "\033"));
  CHECK(has(run.out, "attn_out\n"));
  CHECK(has(run.out, "exactly 0"));
}

TEST_CASE("With --quiet the program leaves the figures alone") {
  model_for_cli const model;
  auto const shown = run_on_terminal(fit_arguments(model, {"--quiet"}), {"NO_COLOR=1"});
  CHECK(not has(shown, bar));
  CHECK(not has(shown, "exactly 0"));
  CHECK(has(shown, "flip rate"));
}

TEST_CASE("With --verbose the program says what is done, on standard error") {
  model_for_cli const model;
  auto const plain = run_trimtab(fit_arguments(model)), verbose = run_trimtab(fit_arguments(model, {"--verbose"}));
  CHECK(verbose.out == plain.out);
  CHECK_THAT(verbose.err, ContainsSubstring("gpt2, 2 layers of width 16, 300 tokens"));
  CHECK_THAT(verbose.err, ContainsSubstring("fit activ-scalar on 3 prompts, absolute positions, 3 steps"));
  CHECK_THAT(verbose.err, ContainsSubstring("measured the 3 prompts of 'train'"));
  CHECK(run_trimtab(fit_arguments(model, {"--verbose", "--json"})).json()["steps"] == 3);
}

TEST_CASE("An error on a terminal is coloured, its sentence is the same") {
  CHECK_THAT(run_on_terminal({"inspect", "no-such-file"}), ContainsSubstring("\033[1;31mtrimtab:\033[0m "));
}
