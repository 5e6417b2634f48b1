// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/intervention_data.hpp>
#include <trimtab/policy/library.hpp>

#include <vector>

/// The parameters of an intervention in a file as its policy declares them, which tells the variants of a policy apart.

namespace trimtab {

inline std::vector<policy::declared_parameter> declared_parameters(const saved_intervention& i) {
  std::vector<policy::declared_parameter> all;
  for (const saved_parameter& p : i.parameters)
    all.push_back({p.name, static_cast<int>(p.extent(tensor_axis::row)), p.has(tensor_axis::channel)});
  return all;
}

}  // namespace trimtab
