// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/files/dtype.hpp>
#include <trimtab/io/json/json_text.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The header of a safetensors file (https://github.com/huggingface/safetensors, "Format"): 8 bytes with the length N
/// of the header, N bytes of JSON {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ..., "__metadata__":
/// {string: string}}, and then the data, which the tensors cover without gap or overlap. A parsed header has been
/// checked against the size of the file, so readers of tensors need no checks.

namespace trimtab::io {

struct tensor_entry {
  dtype type = dtype::f32;
  std::vector<index_t> shape = {};
  std::size_t begin = 0;  ///< of its bytes, counted from the start of the data
  std::size_t end = 0;
};

struct safetensors_header {
  std::map<std::string, tensor_entry, std::less<>> tensors = {};
  std::map<std::string, std::string, std::less<>> metadata = {};
  std::size_t data_begin = 0;  ///< where in the file the data start
};

/// For messages: "[2, 3]"; of a longer shape only the first 8 axes.
inline std::string shape_text(const std::vector<index_t>& shape) {
  const auto text_of = [](index_t size) { return std::to_string(size); };
  const auto first = std::span(shape).first(std::min(shape.size(), std::size_t{8}));
  return "[" + text::joined(first, ", ", text_of) + (shape.size() > 8 ? ", ...]" : "]");
}

/// The longest header, in bytes, that the format's own library allows.
inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;

namespace detail {

[[noreturn]] inline void refuse_safetensors(const std::string& file, const std::string& reason) {
  throw error(error_kind::bad_file, "'" + file + "' is not a valid safetensors file: " + reason);
}

/// One entry of the header, its shape and offsets checked against each other but not yet against the file.
inline tensor_entry parse_tensor_entry(const std::string& name, const json& entry, const std::string& file) {
  const auto refuse = [&](const std::string& reason) {
    refuse_safetensors(file, "tensor " + abbreviated(name) + " " + reason);
  };
  if (not entry.is_object()) refuse("should be described by an object, found " + abbreviated(entry));
  for (const auto key : {"dtype", "shape", "data_offsets"})
    if (not entry.contains(key)) refuse("lacks \"" + std::string(key) + "\"");
  for (const auto& [key, value] : entry.items())
    if (key != "dtype" and key != "shape" and key != "data_offsets") refuse("has an unknown entry " + abbreviated(key));

  // nlohmann keeps what has no sign and no fraction as unsigned, and what does not fit in 64 bits as floating point.
  const auto whole_numbers = [&](const char* key) {
    const auto& list = entry.at(key);
    const auto is_size = [](const json& value) {
      return value.is_number_unsigned() and value.get<std::uint64_t>() <= std::numeric_limits<index_t>::max();
    };
    if (not list.is_array() or not std::ranges::all_of(list, is_size))
      refuse("should have a list of whole numbers as \"" + std::string(key) + "\", found " + abbreviated(list));
    return list.get<std::vector<index_t>>();
  };
  tensor_entry result;
  const auto& type = entry.at("dtype");
  const auto known = type.is_string() ? dtype_named(type.get<std::string>()) : std::nullopt;
  if (not known) refuse("has dtype " + abbreviated(type) + "; expected one of " + dtype_names());
  result.type = *known;
  result.shape = whole_numbers("shape");
  const auto offsets = whole_numbers("data_offsets");
  if (offsets.size() != 2) refuse("should have two \"data_offsets\", found " + shape_text(offsets));
  if (offsets[1] < offsets[0]) refuse("ends before it begins: data_offsets " + shape_text(offsets));
  result.begin = static_cast<std::size_t>(offsets[0]);
  result.end = static_cast<std::size_t>(offsets[1]);

  auto bytes = static_cast<index_t>(bytes_of(result.type));
  for (const auto size : result.shape) {
    if (size != 0 and bytes > std::numeric_limits<index_t>::max() / size)
      refuse("has a shape that is too large: " + shape_text(result.shape));
    bytes *= size;
  }
  if (bytes != offsets[1] - offsets[0])
    refuse("of shape " + shape_text(result.shape) + " and dtype " + std::string(name_of(result.type)) + " needs " +
           std::to_string(bytes) + " bytes, but its data_offsets hold " + std::to_string(offsets[1] - offsets[0]));
  return result;
}

/// The tensors, in the order of their offsets, must cover all `size` bytes of the data exactly once.
inline void check_coverage(const safetensors_header& header, std::size_t size, const std::string& file) {
  std::vector<std::pair<const std::string*, const tensor_entry*>> order;
  for (const auto& [name, entry] : header.tensors) order.emplace_back(&name, &entry);
  std::ranges::sort(order, {}, [](const auto& one) { return std::pair(one.second->begin, one.second->end); });
  std::size_t covered = 0;
  for (const auto& [name, entry] : order) {
    if (entry->begin != covered)
      refuse_safetensors(
          file, "tensor " + abbreviated(*name) + " begins at byte " + std::to_string(entry->begin) + " of the data, " +
                    (entry->begin < covered ? "inside the tensor before it, which" : "but the tensor before it") +
                    " ends at " + std::to_string(covered));
    if (entry->end > size)
      refuse_safetensors(file, "tensor " + abbreviated(*name) + " ends at byte " + std::to_string(entry->end) +
                                   " of the data, but the file holds only " + std::to_string(size) +
                                   "; it may be truncated");
    covered = entry->end;
  }
  if (covered != size)
    refuse_safetensors(file, std::to_string(size - covered) + " bytes after the last tensor belong to no tensor");
}

}  // namespace detail

/// The length of the header that follows the first 8 bytes of a file of this size. Throws `error(bad_file)`.
inline std::size_t safetensors_header_length(std::span<const std::byte> first_8, std::size_t file_size,
                                             const std::string& file) {
  std::uint64_t length = 0;
  if (file_size < sizeof length or first_8.size() < sizeof length)
    detail::refuse_safetensors(file, "it has " + std::to_string(file_size) + " bytes, too few for any header");
  std::memcpy(&length, first_8.data(), sizeof length);
  if (std::memcmp(first_8.data(), "version ", sizeof length) == 0)
    detail::refuse_safetensors(file, "it seems to be a Git LFS pointer; fetch the file itself with git lfs pull");
  if (length > safetensors_header_limit)
    detail::refuse_safetensors(file, "its header claims " + std::to_string(length) + " bytes, the format allows " +
                                         std::to_string(safetensors_header_limit));
  if (length > file_size - sizeof length)
    detail::refuse_safetensors(file, "its header claims " + std::to_string(length) + " bytes, but only " +
                                         std::to_string(file_size - sizeof length) + " follow; it may be truncated");
  return static_cast<std::size_t>(length);
}

/// Reads and checks the JSON of the header of a file of this size. Throws `error(bad_file)`.
inline safetensors_header parse_safetensors_header(std::string_view text, std::size_t file_size,
                                                   const std::string& file) {
  if (not text.starts_with('{')) detail::refuse_safetensors(file, "its header does not start with '{'");
  safetensors_header header;
  header.data_begin = sizeof(std::uint64_t) + text.size();
  const auto contents = parse_json(text, file);
  for (const auto& [name, entry] : contents.items()) {
    if (name != "__metadata__") {
      header.tensors.emplace(name, detail::parse_tensor_entry(name, entry, file));
      continue;
    }
    if (entry.is_null()) continue;  // the format's own library reads it as none
    if (not entry.is_object())
      detail::refuse_safetensors(file, "__metadata__ should be an object, found " + abbreviated(entry));
    for (const auto& [key, value] : entry.items()) {
      if (not value.is_string())
        detail::refuse_safetensors(
            file, "the metadata " + abbreviated(key) + " should be a string, found " + abbreviated(value));
      header.metadata.emplace(key, value.get<std::string>());
    }
  }
  detail::check_coverage(header, file_size - header.data_begin, file);
  return header;
}

/// The same for a whole file in memory.
inline safetensors_header parse_safetensors_header(std::span<const std::byte> bytes, const std::string& file) {
  const auto length = safetensors_header_length(bytes, bytes.size(), file);
  const auto text = std::string_view(reinterpret_cast<const char*>(bytes.data()) + sizeof(std::uint64_t), length);
  return parse_safetensors_header(text, bytes.size(), file);
}

}  // namespace trimtab::io
