// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"
#include "model.hpp"

#include <chrono>
#include <string>

/// What a command tells while it works, all of it on standard error: with --verbose what is done and how long it took,
/// and on a terminal how far it is.

namespace trimtab::cli {

class stopwatch {
 public:
  /// "0.31 s"
  std::string text() const;

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A line, whatever stands in the names of files that it tells of.
void tell(std::string const& sentence);

/// The same, with --verbose only.
void note(common_options const& common, std::string const& sentence);

/// "gpt2, 12 layers of width 768, 50257 tokens"
std::string text_of(model_config const& config);

/// Measures one set of prompts, with a progress bar.
metrics measured(any_composition const& composition, parameters const& values, named_prompts const& set,
                 std::vector<double> const& strengths, common_options const& common);

}  // namespace trimtab::cli
