// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "parity/fixture.hpp"
#include "parity/models.hpp"

#include <trimtab/measure/evaluate.hpp>

#include <map>
#include <vector>

/// What the library gives for a fixture's problems. A problem names its policy, sites and layers when the tests run, so
/// these are compositions that are made at run time; that they do what compositions of types do has tests of its own.

namespace trimtab::test {

using logits_by_strength = std::map<double, host_matrix<double>>;  ///< [prompts, V] at the last positions

struct case_result {
  logits_by_strength logits = {};
  logits_by_strength logits_of_all = {};  ///< the same from a pass that scores every position
  loss_values loss = {};
  tensors gradient = {};
  metrics measured = {};
};

struct fit_result {
  std::vector<loss_values> history = {};
  tensors parameters = {};
};

case_result run_case(const any_model<double>& model, const steered_case& c);

logits_by_strength run_in_float(const any_model<float>& model, const steered_case& c);

fit_result run_fit(const any_model<double>& model, const trajectory& t);

}  // namespace trimtab::test
