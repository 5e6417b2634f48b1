// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/intervention_data.hpp>
#include <trimtab/report/page/fit_report.hpp>

#include <map>
#include <string>
#include <vector>

/// The results of the demonstration on one model: a chapter of the report for each task, and the intervention files by
/// name.

namespace demo {

struct study {
  std::vector<trimtab::report::chapter> chapters = {};
  std::map<std::string, trimtab::intervention_file> files = {};
};

/// In studies.cpp.
study study_tiny_gpt2();
study study_tiny_pythia();

}  // namespace demo
