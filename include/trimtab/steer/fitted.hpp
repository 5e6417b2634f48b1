// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/loss.hpp>
#include <trimtab/steer/parameters.hpp>
#include <trimtab/steer/steering.hpp>

#include <string>
#include <vector>

/// What a fit gives: the composition with its parameters, and how the loss went.

namespace trimtab {

template <typename Steering>
struct fitted {
  Steering steering;
  parameters values = {};
  std::vector<loss_values> history = {};   ///< the loss before each step and after the last, without `per_sequence`
  std::vector<std::string> warnings = {};  ///< what whoever asked for the fit should know
};

}  // namespace trimtab
