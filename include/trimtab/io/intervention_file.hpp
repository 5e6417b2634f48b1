// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/version.hpp>
#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/intervention_data.hpp>
#include <trimtab/io/intervention_reader.hpp>
#include <trimtab/io/json/json.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// Intervention files in and out; intervention_data.hpp says what one holds.

namespace trimtab {
namespace io {

/// Reads an intervention file. Throws `io`, or `bad_file` for one that is malformed or holds a number that is not
/// finite.
inline intervention_file read_intervention(const std::filesystem::path& path) {
  return detail::intervention_reader(path).read();
}

/// Numbers as a file holds them: F32 where that loses nothing, else F64, all alike.
inline std::map<std::string, stored_tensor> stored_tensors(const std::map<std::string, named_tensor>& tensors,
                                                           bool always_double = false) {
  bool fits_float = not always_double;
  for (const auto& [name, tensor] : tensors)
    for (double x : tensor.values) {
      if (not is_finite(x))
        throw error(error_kind::bad_argument, "'" + name + "' holds a number that is not finite and is not saved");
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

/// What is known of a model, as JSON: a size of 0 would be refused where it is read.
inline std::string text_of(const model_facts& model) {
  auto known = json::object();
  const auto note = [&](const char* key, const auto& value) {
    if (value != std::remove_cvref_t<decltype(value)>()) known[key] = value;
  };
  note("architecture", model.architecture);
  note("layers", model.layers);
  note("width", model.width);
  note("vocabulary", model.vocabulary);
  note("hash", model.hash);
  return known.dump();
}

}  // namespace detail

/// The content of an intervention file. Throws `bad_argument` for numbers that are not finite.
inline std::vector<std::byte> intervention_bytes(const intervention_file& f) {
  auto metadata = f.made;
  metadata["format"] = intervention_format;
  metadata["version"] = version;
  metadata["policy"] = f.policy;
  metadata["position_key"] = f.positions.text();
  metadata["positions"] = std::to_string(f.positions.count());
  if (f.positions.by() == position_key::kind::role) metadata["roles"] = json(f.positions.roles()).dump();
  if (not f.layers.empty()) metadata["layers"] = json(f.layers).dump();
  if (f.model) metadata["model"] = detail::text_of(*f.model);
  return safetensors_bytes(stored_tensors(f.tensors), metadata);
}

/// Writes an intervention file, replacing one that stands there only when all is written. Throws `io`, and what
/// `intervention_bytes` throws.
inline void write_intervention(const std::filesystem::path& path, const intervention_file& f) {
  write_file_atomically(path, intervention_bytes(f));
}

}  // namespace io
}  // namespace trimtab
