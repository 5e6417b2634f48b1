// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/report/page/fit_report.hpp>

#include <functional>
#include <span>
#include <string>
#include <vector>

/// Options of a report about a fit.

namespace trimtab::report {

struct prompt_set {
  std::string name = {};
  std::span<const prompt_pair> pairs = {};
};

struct describe_options {
  std::string name = {};                   ///< of the fit; by default that of its policies
  std::vector<fact> asked = {};            ///< what the fit itself does not know: task, seed, learning rate
  std::vector<std::string> warnings = {};  ///< about the fit, a sentence each
  std::vector<double> sweep = {-2, -1.75, -1.5, -1.25, -1, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2};
  /// What shows a token as text, such as `token_names_of` a pretrained model; else the composition's model does, which
  /// knows numbers alone.
  std::function<std::string(int)> token = {};
  index_t gate_prompts = 2;  ///< on how many prompts the scalars of a gate are shown
};

}  // namespace trimtab::report
