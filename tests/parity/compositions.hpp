// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "parity/fixture.hpp"
#include "parity/models.hpp"

#include <trimtab/measure/evaluate.hpp>
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/affine.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/steer_vec.hpp>

#include <map>
#include <vector>

/// What the library gives for a fixture's problems. A problem names its sites and layers when the tests run, a
/// composition when it is compiled: so each policy is composed with every site of the architecture, and sites that are
/// not asked for have no layers. The definitions are in compositions_of.hpp; one source file a policy instantiates
/// them, to share the work among compilers.

namespace trimtab::test {

/// The gates of dyn_scalar in the fixtures.
namespace gates {
using policy::gate, policy::squash;
inline constexpr gate plain{};
inline constexpr gate no_bias{.bias = false};
inline constexpr gate tanh{.squash_by = squash::tanh};
inline constexpr gate rms{.rms_normalised = true};
inline constexpr gate tanh_rms{.squash_by = squash::tanh, .rms_normalised = true};
}  // namespace gates

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

template <typename Policy>
case_result run_case(const any_model<double>& model, const steered_case& c);

template <typename Policy>
logits_by_strength run_in_float(const any_model<float>& model, const steered_case& c);

template <typename Policy>
fit_result run_fit(const any_model<double>& model, const trajectory& t);

}  // namespace trimtab::test
