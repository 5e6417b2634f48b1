// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/settings.hpp>
#include <trimtab/core/version.hpp>
#include <trimtab/io/intervention_data.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/io/json/json_text.hpp>
#include <trimtab/text/csv_field.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>

/// Interventions as text that other programs read: a line of CSV for each number, or JSON with nested lists.

namespace trimtab::io {

namespace detail {

/// The numbers as lists in lists, the first axis outermost.
inline json nested(const named_tensor& tensor, std::size_t axis, std::size_t& next) {
  if (axis == tensor.shape.size()) return tensor.values[next++];
  auto list = json::array();
  for (index_t k = 0; k < tensor.shape[axis]; ++k) list.push_back(nested(tensor, axis + 1, next));
  return list;
}

}  // namespace detail

/// "site,policy,tensor,parameter,layer,position,head,row,channel,value", a line for each number of the intervention's
/// layers; a column is empty where the parameter lacks the axis.
inline std::string intervention_csv(const intervention_file& file) {
  constexpr std::array axes{tensor_axis::layer, tensor_axis::position, tensor_axis::head, tensor_axis::row,
                            tensor_axis::channel};
  std::string text = "site,policy,tensor,parameter,layer,position,head,row,channel,value\n";
  for (const saved_intervention& i : file.interventions)
    for (const saved_parameter& p : i.parameters) {
      const auto beginning =
          i.site + "," + text::csv_field(i.policy) + "," + text::csv_field(p.tensor) + "," + text::csv_field(p.name);
      for (std::size_t n = 0; n < p.numbers.values.size(); ++n) {
        std::array<std::string, axes.size()> at{};
        auto rest = static_cast<index_t>(n);
        index_t layer = 0;
        for (std::size_t k = p.axes.size(); k-- > 0;) {
          layer = rest % p.numbers.shape[k];
          at[static_cast<std::size_t>(p.axes[k])] = std::to_string(layer);
          rest /= p.numbers.shape[k];
        }
        if (not std::ranges::binary_search(i.layers, layer)) continue;
        text += beginning;
        for (const auto& one : at) text += "," + one;
        text += "," + setting_text(p.numbers.values[n]) + "\n";
      }
    }
  return text;
}

/// {"format": "trimtab-intervention-json-1", "interventions": as in an intervention file, each parameter with "values",
/// lists in lists by its axes, "model", "made"}
inline std::string intervention_json(const intervention_file& file) {
  json all{{"format", "trimtab-intervention-json-1"}, {"version", version}, {"interventions", json::array()}};
  for (const saved_intervention& i : file.interventions) {
    auto entry = detail::json_of(i);
    for (std::size_t k = 0; k < i.parameters.size(); ++k) {
      std::size_t next = 0;
      entry["parameters"][k]["values"] = detail::nested(i.parameters[k].numbers, 0, next);
    }
    all["interventions"].push_back(std::move(entry));
  }
  if (file.model) all["model"] = parse_json(detail::text_of(*file.model), "the model");
  if (not file.made.empty()) all["made"] = file.made;
  return all.dump(1) + "\n";
}

}  // namespace trimtab::io
