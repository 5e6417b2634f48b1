// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/measure/metrics.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/steer/fitted.hpp>

#include <string>
#include <vector>

/// What a report shows of a fit, as plain values: gathered by describe.hpp, drawn by html.hpp.

namespace trimtab::report {

/// A setting of the fit, such as "steps" and "200".
struct fact {
  std::string name = {};
  std::string value = {};

  friend bool operator==(const fact&, const fact&) = default;
};

/// A prompt pair as text.
struct shown_prompt {
  std::vector<std::string> tokens = {};
  std::string correct = {}, wrong = {};
  std::string text = {};  ///< empty for a prompt that was given as ids

  friend bool operator==(const shown_prompt&, const shown_prompt&) = default;
};

/// A set of prompts and its metrics at β = +1 and −1.
struct measured_set {
  std::string name = {};
  std::vector<shown_prompt> prompts = {};
  metrics measured = {};
};

struct fit_report {
  std::string name = {};  ///< "activ-scalar"
  std::vector<fact> asked = {};
  std::vector<std::string> warnings = {};  ///< about the fit, a sentence each
  parameter_counts counts = {};
  std::vector<measured_set> sets = {};  ///< train first
  std::vector<map_group> maps = {};
  std::vector<loss_values> history = {};  ///< empty for an intervention that was loaded
  std::string swept = {};                 ///< the set that the strengths were swept on
  metrics sweep = {};                     ///< at strengths from −2 to +2
};

/// Fits that are shown side by side.
struct chapter {
  std::string title = {};
  std::vector<fit_report> fits = {};
  std::string lead = {};  ///< markup above the fits, such as that of a sweep
};

}  // namespace trimtab::report
