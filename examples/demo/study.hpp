// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/intervention_file.hpp>
#include <trimtab/report/page/fit_report.hpp>

#include <map>
#include <string>
#include <vector>

/// What the demonstration learns about one model: a chapter of the report for each task, and what was learned, by the
/// names of the files to keep it in.

namespace demo {

struct study {
  std::vector<trimtab::report::chapter> chapters = {};
  std::map<std::string, trimtab::intervention_file> files = {};
};

/// Each in a source file of its own, so that two cores compile them side by side.
study study_tiny_gpt2();
study study_tiny_pythia();

}  // namespace demo
