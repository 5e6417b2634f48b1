// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/steer_vec.hpp>
#include <trimtab/steer/steering.hpp>

/// Models without weights or backend: what a composition is checked against is the architecture alone.

namespace test {

template <typename Architecture>
struct bare_model {
  using architecture = Architecture;
  trimtab::model_config config() const { return {}; }
};
using bare_gpt2 = bare_model<trimtab::gpt2_architecture>;
using bare_pythia = bare_model<trimtab::gpt_neox_architecture<>>;

}  // namespace test

using namespace trimtab;
