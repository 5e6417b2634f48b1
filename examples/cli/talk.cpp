// SPDX-License-Identifier: Apache-2.0

#include "talk.hpp"

#include "figures.hpp"
#include "ranks.hpp"

#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/text/utf8.hpp>

#include <iostream>

namespace trimtab::cli {

double stopwatch::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}
std::string stopwatch::text() const { return rounded(seconds()) + " s"; }

void tell(const std::string& sentence) {
  if (is_first_rank()) std::cerr << "trimtab: " << text::one_line(sentence) << std::endl;
}

void warn(const std::string& sentence) { tell("warning: " + sentence); }

void note(const common_options& common, const std::string& sentence) {
  if (common.verbose) tell(sentence);
}

std::string text_of(const model_config& config) {
  return config.architecture + ", " + std::to_string(config.layers) + " layers of width " +
         std::to_string(config.width) + ", " + std::to_string(config.vocabulary) + " tokens";
}

metrics measured(const any_composition& composition, const parameters& values, const named_prompts& set,
                 const std::vector<double>& strengths, const common_options& common, index_t memory,
                 const any_communicator& ranks) {
  const stopwatch watch;
  report::progress_bar bar("evaluate " + set.name, static_cast<index_t>(set.pairs.size()), not common.quiet);
  auto found = composition.measure(values, set.pairs,
                                   {.strengths = strengths,
                                    .memory = memory,
                                    .progress = [&](index_t done, index_t) { bar.show(done); },
                                    .ranks = ranks});
  note(common, "measured the " + counted(set.pairs.size(), "prompt") + " of '" + set.name + "' in " + watch.text());
  return found;
}

}  // namespace trimtab::cli
