// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "parity/fixture.hpp"
#include "parity/models.hpp"

#include <trimtab/measure/evaluate.hpp>

#include <map>
#include <vector>

/// What the library computes for the cases of a fixture. The policy, sites and layers of a case are read from a file,
/// so these compositions are made at run time; other tests check that they give what compositions of types give.

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
