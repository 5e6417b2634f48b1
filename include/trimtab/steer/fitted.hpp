// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/loss_values.hpp>
#include <trimtab/steer/parameters.hpp>
#include <trimtab/steer/steering.hpp>

#include <string>
#include <vector>

/// The result of a fit: the composition, its parameters and the history of the loss.

namespace trimtab {

template <typename Steering>
struct fitted {
  Steering steering;
  parameters values = {};
  std::vector<loss_values> history = {};   ///< the loss before each step and after the last, without `per_sequence`
  std::vector<std::string> warnings = {};  ///< for the user, one sentence each
};

}  // namespace trimtab
