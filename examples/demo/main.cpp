// SPDX-License-Identifier: Apache-2.0

// The demonstration. It steers a small GPT-2 and a small Pythia, which come with the project, on two tasks with the
// paper's three policies, measures the interventions on prompts with unseen entities, and draws where in the model the
// answer is decided.
//
//     demo [PAGE.html [FOLDER]]    writes the report, and the intervention files into the folder

#include "study.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/report/page/html.hpp>
#include <trimtab/report/table.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

int main(int argc, char** argv) try {
  using namespace trimtab;
  const std::string path = argc > 1 ? argv[1] : "trimtab-demo.html";

  std::vector<report::chapter> chapters;
  for (auto study : {demo::study_tiny_gpt2, demo::study_tiny_pythia}) {
    demo::study s = study();
    std::ranges::move(s.chapters, std::back_inserter(chapters));
    if (argc > 2)
      for (const auto& [name, file] : s.files) {
        std::filesystem::create_directories(argv[2]);
        io::write_intervention(std::filesystem::path(argv[2]) / (name + ".safetensors"), file);
      }
  }

  report::table table(report::metrics_header("model, task, policy, prompts"));
  for (const report::chapter& chapter : chapters) {
    for (const report::fit_report& fit : chapter.fits)
      for (const report::measured_set& set : fit.sets) {
        // The untouched model's row comes before the first fit that was measured on this set.
        const bool first = std::ranges::none_of(chapter.fits.data(), &fit, [&](const report::fit_report& other) {
          return std::ranges::count(other.sets, set.name, &report::measured_set::name) > 0;
        });
        if (first) table.add(report::untouched_row(chapter.title + " untouched, " + set.name, set.measured));
        table.add(report::metrics_row(chapter.title + " " + fit.name + ", " + set.name, set.measured, fit.counts));
      }
    table.rule();
  }
  std::cout
      << table.text()
      << "\nflip: how often the steered model prefers the answer that the strength points at; both: at +1 and at -1; "
         "diff: mean\n"
         "logit difference, correct minus wrong; KL: of the steered from the untouched model, without the two answers "
         "and with\n"
         "them; top kept: how often the best other token stays the best; nonzero: parameters left, of so many.\n\n";
  report::write_html(path, "Where the answer is decided", chapters);
  std::cout << "the report with its heat maps: " << path << '\n';
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
