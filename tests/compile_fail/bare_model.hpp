// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen.hpp>
#include <trimtab/model/gpt2.hpp>
#include <trimtab/model/gpt_neox.hpp>
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/steer_vec.hpp>
#include <trimtab/steer/steering.hpp>

/// Types of models whose functions are not called: a composition is checked against the architecture only.

namespace test {

using bare_gpt2 = trimtab::gpt2<trimtab::eigen_backend<float>>;
using bare_pythia = trimtab::gpt_neox<trimtab::eigen_backend<float>>;

}  // namespace test

using namespace trimtab;
