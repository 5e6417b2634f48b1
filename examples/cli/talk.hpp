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
void tell(const std::string& sentence);

/// The same, with --verbose only.
void note(const common_options& common, const std::string& sentence);

/// "gpt2, 12 layers of width 768, 50257 tokens"
std::string text_of(const model_config& config);

/// Measures one set of prompts, with a progress bar.
metrics measured(const any_composition& composition, const parameters& values, const named_prompts& set,
                 const std::vector<double>& strengths, const common_options& common);

}  // namespace trimtab::cli
