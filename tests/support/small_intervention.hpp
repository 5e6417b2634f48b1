// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/site.hpp>
#include <trimtab/io/intervention_data.hpp>
#include <trimtab/policy/library.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace trimtab::test {

/// An intervention file of one policy at all layers, from its tensors by name.
inline intervention_file small_intervention(const std::string& policy, position_key positions,
                                            const std::map<std::string, named_tensor>& tensors,
                                            std::map<std::string, std::string> made = {}) {
  intervention_file file{.made = std::move(made)};
  const bool one_record = positions.by() == position_key::kind::shared and policy::shares_positions_by_default(policy);
  const auto declared = policy::parameters_of(policy);
  for (const auto& [name, numbers] : tensors) {
    const auto dot = name.find('.');
    const std::string site = name.substr(0, dot);
    saved_parameter parameter{name.substr(dot + 1), name, {tensor_axis::layer}, numbers};
    if (not one_record) parameter.axes.push_back(tensor_axis::position);
    if (site == "attn_z") parameter.axes.push_back(tensor_axis::head);
    if (std::ranges::find(declared, parameter.name, &policy::declared_parameter::name)->is_per_channel)
      parameter.axes.push_back(tensor_axis::channel);
    auto at = std::ranges::find(file.interventions, site, &saved_intervention::site);
    if (at == file.interventions.end()) {
      file.interventions.push_back({.site = site, .policy = policy, .positions = positions});
      for (index_t layer = 0; layer < numbers.shape.front(); ++layer) file.interventions.back().layers.push_back(layer);
      at = std::prev(file.interventions.end());
    }
    at->parameters.push_back(std::move(parameter));
  }
  std::ranges::sort(file.interventions, {}, [](const saved_intervention& i) { return *site::find(i.site); });
  return file;
}

/// One whose parameters are away from zero, so that each of them matters; `shapes` are those of the tensors by name.
inline intervention_file example_intervention(const std::string& policy,
                                              const std::map<std::string, std::vector<index_t>>& shapes,
                                              position_key by) {
  std::map<std::string, named_tensor> tensors;
  double next = 0.1;
  for (const auto& [name, shape] : shapes) {
    auto& tensor = tensors[name];
    tensor.shape = shape;
    index_t size = 1;
    for (index_t n : shape) size *= n;
    for (index_t i = 0; i < size; ++i) tensor.values.push_back(next = std::fmod(next * 7.3 + 0.11, 0.4));
  }
  return small_intervention(policy, std::move(by), tensors);
}

}  // namespace trimtab::test
