// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/version.hpp>
#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/intervention_data.hpp>
#include <trimtab/io/intervention_reader.hpp>
#include <trimtab/io/intervention_version_1.hpp>
#include <trimtab/io/json/json.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

/// Intervention files in and out; intervention_data.hpp says what one holds.

namespace trimtab::io {

/// Reads an intervention file of either version. Throws `io`, or `bad_file` for one that is malformed or holds a number
/// that is not finite.
inline intervention_file read_intervention(const std::filesystem::path& path) {
  return with_memory_for("read the intervention", [&] {
    const detail::intervention_source source(path);
    const auto format = source.metadata("format");
    if (format == intervention_format) return detail::intervention_reader(source).read();
    if (format == intervention_format_1) return detail::intervention_reader_1(source).read();
    source.refuse("should have the format " + std::string(intervention_format) + " or " +
                  std::string(intervention_format_1) + " in its metadata, found " +
                  (format.empty() ? "none" : abbreviated(json(format))));
  });
}

/// Tensors of one type: F64 if asked for or if F32 loses bits, else F32. Throws `bad_argument` for NaN or infinity.
inline std::map<std::string, stored_tensor> stored_tensors(const std::map<std::string, named_tensor>& tensors,
                                                           bool in_double = false) {
  bool fits_float = not in_double;
  for (const auto& [name, tensor] : tensors)
    for (double x : tensor.values) {
      if (not is_finite(x))
        throw error(error_kind::bad_argument, "cannot save '" + name + "': it holds a number that is not finite");
      fits_float = fits_float and static_cast<double>(static_cast<float>(x)) == x;
    }
  std::map<std::string, stored_tensor> stored;
  const auto put = [&]<typename T>(const std::string& name, const named_tensor& tensor, T) {
    host_matrix<T> numbers(1, std::ssize(tensor.values));
    std::ranges::transform(tensor.values, numbers.values.begin(), [](double x) { return static_cast<T>(x); });
    stored[name] = store(numbers, tensor.shape);
  };
  for (const auto& [name, tensor] : tensors) fits_float ? put(name, tensor, float{}) : put(name, tensor, double{});
  return stored;
}

namespace detail {

/// What is known of a model, as JSON; sizes of 0 are left out, because the reader refuses them.
inline std::string text_of(const model_facts& model) {
  auto known = json::object();
  const auto note = [&](const char* key, const auto& value) {
    if (value != std::remove_cvref_t<decltype(value)>()) known[key] = value;
  };
  note("architecture", model.architecture);
  note("residual", model.residual);
  note("layers", model.layers);
  note("width", model.width);
  note("vocabulary", model.vocabulary);
  note("hash", model.hash);
  return known.dump();
}

inline json json_of(const saved_intervention& i) {
  auto entry = json::object();
  entry["site"] = i.site;
  entry["policy"] = i.policy;
  if (i.settings) {
    auto settings = json::object();
    for (const named_setting& one : *i.settings) settings[one.name] = one.value;
    entry["settings"] = settings;
  }
  entry["layers"] = i.layers;
  entry["position_key"] = i.positions.text();
  entry["positions"] = i.positions.count();
  if (i.positions.by() == position_key::kind::role) entry["roles"] = i.positions.roles();
  auto parameters = json::array();
  for (const saved_parameter& p : i.parameters) {
    auto axes = json::array();
    for (const tensor_axis axis : p.axes) axes.push_back(trimtab::name_of(axis));
    parameters.push_back({{"name", p.name}, {"tensor", p.tensor}, {"axes", axes}});
  }
  entry["parameters"] = parameters;
  return entry;
}

}  // namespace detail

/// The content of an intervention file, of version 2. Throws `bad_argument` for numbers that are not finite.
inline std::vector<std::byte> intervention_bytes(const intervention_file& f) {
  std::map<std::string, std::string> metadata;
  metadata["format"] = intervention_format;
  metadata["version"] = version;
  auto interventions = json::array();
  std::map<std::string, named_tensor> tensors;
  for (const saved_intervention& i : f.interventions) {
    interventions.push_back(detail::json_of(i));
    for (const saved_parameter& p : i.parameters) tensors[p.tensor] = p.numbers;
  }
  metadata["interventions"] = interventions.dump();
  const auto same = [&](auto member) {
    return std::ranges::all_of(f.interventions,
                               [&](const auto& i) { return i.*member == f.interventions.front().*member; });
  };
  if (not f.interventions.empty() and same(&saved_intervention::policy))
    metadata["policy"] = f.interventions.front().policy;
  if (not f.interventions.empty() and same(&saved_intervention::positions)) {
    const position_key& key = f.interventions.front().positions;
    metadata["position_key"] = key.text();
    metadata["positions"] = std::to_string(key.count());
    if (key.by() == position_key::kind::role) metadata["roles"] = json(key.roles()).dump();
  }
  if (f.model) metadata["model"] = detail::text_of(*f.model);
  if (not f.made.empty()) metadata["made"] = json(f.made).dump();
  return safetensors_bytes(stored_tensors(tensors, f.in_double), metadata);
}

/// Writes an intervention file, replacing an existing one only when all is written. Throws `io`, and what
/// `intervention_bytes` throws.
inline void write_intervention(const std::filesystem::path& path, const intervention_file& f) {
  with_memory_for("write the intervention", [&] { write_file_atomically(path, intervention_bytes(f)); });
}

}  // namespace trimtab::io
