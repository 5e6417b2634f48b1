// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"
#include "model.hpp"

#include <chrono>
#include <string>

/// The messages of a command while it works, all on standard error: progress bars on a terminal, warnings, and with
/// --verbose what was done and how long it took.

namespace trimtab::cli {

class stopwatch {
 public:
  double seconds() const;
  /// "0.31 s"
  std::string text() const;

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// The first rank prints one line on standard error, with the control characters in names of files replaced.
void tell(const std::string& sentence);

/// Does the same for a warning, also with --quiet.
void warn(const std::string& sentence);

/// Prints it with --verbose only.
void note(const common_options& common, const std::string& sentence);

/// "gpt2, 12 layers of width 768, 50257 tokens"
std::string text_of(const model_config& config);

/// Measures one set of prompts, with a progress bar. The last two are those of `evaluate_options`.
metrics measured(const any_composition& composition, const parameters& values, const named_prompts& set,
                 const std::vector<double>& strengths, const common_options& common, index_t memory = 0,
                 const any_communicator& ranks = {});

}  // namespace trimtab::cli
