// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/policy.hpp>

#include <concepts>
#include <type_traits>

/// A gate is a number g(h) that is computed from an activation, with parameters of its own. `policy::dyn_scalar` scales
/// the activation by it, `policy::conditional` lets another policy act where it is large.

namespace trimtab {

/// A gate: `value(row)` gives g(h); `backward(row, g, d_g, keep)` takes that value and its gradient, *sets* d_h to
/// keep · d_out + d_g ∂g/∂h, and *adds* d_g ∂g/∂w to the gradient of each parameter w.
///
/// Satisfied by: `gate::linear<>`, `gate::mlp<4>`, `gate::cosine`.
/// Beyond the syntax: with all parameters zero the value is 0. `text`, `start` and `weighs` are as in a policy.
template <typename G>
concept gate_function = std::is_trivially_copyable_v<G> and requires(const G gate, row_archetype<float>& r, float x) {
  { G::parameters.size(index_t{}) } -> std::convertible_to<index_t>;
  { gate.value(r) } -> std::convertible_to<float>;
  gate.backward(r, x, x, x);
};

}  // namespace trimtab
