// SPDX-License-Identifier: Apache-2.0

#include "talk.hpp"

#include "figures.hpp"

#include <trimtab/report/progress.hpp>
#include <trimtab/text/utf8.hpp>

#include <iostream>

namespace trimtab::cli {

std::string stopwatch::text() const {
  return rounded(std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count()) + " s";
}

void tell(std::string const& sentence) { std::cerr << "trimtab: " << text::one_line(sentence) << std::endl; }

void note(common_options const& common, std::string const& sentence) {
  if (common.verbose) tell(sentence);
}

std::string text_of(model_config const& config) {
  return config.architecture + ", " + std::to_string(config.layers) + " layers of width " +
         std::to_string(config.width) + ", " + std::to_string(config.vocabulary) + " tokens";
}

metrics measured(any_composition const& composition, parameters const& values, named_prompts const& set,
                 std::vector<double> const& strengths, common_options const& common) {
  stopwatch const watch;
  report::progress_bar bar("evaluate " + set.name, static_cast<index_t>(set.pairs.size()), not common.quiet);
  auto found = composition.measure(
      values, set.pairs, {.strengths = strengths, .progress = [&](index_t done, index_t) { bar.show(done); }});
  note(common,
       "measured the " + std::to_string(set.pairs.size()) + " prompts of '" + set.name + "' in " + watch.text());
  return found;
}

}  // namespace trimtab::cli
