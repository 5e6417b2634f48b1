// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

/// What the demonstration learns about one model: table rows and heat maps, one set for each task.

namespace demo {

struct study {
  std::vector<std::vector<std::string>> rows = {};  ///< as report::metrics_header; an empty row is a line across
  std::string heat_maps = {};                       ///< HTML
};

/// Each in a source file of its own, so that two cores compile them side by side.
study study_tiny_gpt2();
study study_tiny_pythia();

}  // namespace demo
