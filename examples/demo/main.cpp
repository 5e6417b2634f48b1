// SPDX-License-Identifier: Apache-2.0

// The demonstration: on a small GPT-2 and a small Pythia that come with the project, steer two tasks with the paper's
// three policies, measure them on prompts with unseen entities, and draw where in the model the answer is decided.

#include "study.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/io/atomic_file.hpp>
#include <trimtab/report/heat_map.hpp>
#include <trimtab/report/table.hpp>

#include <cstdio>
#include <exception>
#include <iostream>

int main(int argc, char** argv) try {
  using namespace trimtab;
  const std::string path = argc > 1 ? argv[1] : "trimtab-demo.html";

  report::table table(report::metrics_header("model, task, policy, prompts"));
  std::string page;
  for (auto study : {demo::study_tiny_gpt2, demo::study_tiny_pythia}) {
    const demo::study s = study();
    for (auto const& row : s.rows) row.empty() ? table.rule() : table.add(row);
    page += s.heat_maps;
  }
  std::cout
      << table.text()
      << "\nflip: how often the steered model prefers the answer that the strength points at; both: at +1 and at -1; "
         "diff: mean\n"
         "logit difference, correct minus wrong; KL: of the steered from the untouched model, without the two answers "
         "and with\n"
         "them; top kept: how often the best other token stays the best; nonzero: parameters left, of so many.\n\n";
  io::write_file_atomically(path, report::html_page("Where the answer is decided",
                                                    "<pre>" + report::escaped(table.text()) + "</pre>\n" + page));
  std::cout << "heat maps: " << path << '\n';
} catch (std::exception const& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
