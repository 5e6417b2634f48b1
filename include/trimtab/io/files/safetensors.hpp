// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/files/dtype.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/files/safetensors_header.hpp>
#include <trimtab/io/json/json_text.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Reading and writing safetensors files: named arrays of numbers with a checked header (see safetensors_header.hpp).
/// The reader loads the header, keeps the file open and converts each tensor piece by piece: if the file is replaced or
/// shortened meanwhile, it reads the old content or throws. Writing replaces a file as a whole (atomic_file.hpp).

namespace trimtab::io {

/// What a reader does with infinities and NaN.
enum class non_finite { refuse, allow };

class safetensors_file {
 public:
  /// Opens and checks the file at `path`. Throws `error(io)` or `error(bad_file)`.
  explicit safetensors_file(std::filesystem::path path) : file_(std::move(path)), header_(read_header(file_)) {}

  const std::filesystem::path& path() const { return file_.path(); }
  const auto& metadata() const { return header_.metadata; }
  /// Every tensor's dtype, shape and place by its name, in the order of names.
  const auto& tensors() const { return header_.tensors; }
  bool contains(std::string_view name) const { return header_.tensors.contains(name); }
  const std::vector<index_t>& shape(std::string_view name) const { return entry(name).shape; }
  dtype type(std::string_view name) const { return entry(name).type; }

  /// The stored bytes of a tensor.
  std::vector<std::byte> bytes(std::string_view name) const {
    const auto& place = entry(name);
    std::vector<std::byte> content(place.end - place.begin);
    file_.read(header_.data_begin + place.begin, content);
    return content;
  }

  /// Reads a tensor's bytes from an offset on, as long as this object is there; several threads may at once.
  std::function<void(std::size_t, std::span<std::byte>)> reader(std::string_view name) const {
    return [this, begin = header_.data_begin + entry(name).begin](std::size_t offset, std::span<std::byte> to) {
      file_.read(begin + offset, to);
    };
  }

  /// The numbers of a tensor: a scalar as [1, 1], rank 1 as [1, n], higher ranks as [product of the leading, last].
  template <readable_scalar T>
  host_matrix<T> read(std::string_view name, non_finite policy = non_finite::refuse) const {
    const auto& place = entry(name);
    index_t rows = 1;
    for (std::size_t i = 0; i + 1 < place.shape.size(); ++i) rows *= place.shape[i];
    auto result = host_matrix<T>(rows, place.shape.empty() ? 1 : place.shape.back());
    bool all_finite = true;
    const bool known = visit_dtype(place.type, [&]<typename Stored>(std::type_identity<Stored>) {
      all_finite = convert<Stored>(header_.data_begin + place.begin, result.values);
    });
    if (not known)
      throw error(error_kind::bad_file, described(name) + " is of dtype " + std::string(name_of(place.type)) +
                                            ", which cannot be read as numbers");
    if (not all_finite and policy == non_finite::refuse)
      refuse_non_finite<std::conditional_t<std::same_as<T, float>, float, double>>(name);
    return result;
  }

 private:
  const tensor_entry& entry(std::string_view name) const {
    const auto found = header_.tensors.find(name);
    if (found == header_.tensors.end())
      throw error(error_kind::bad_file, "'" + path().string() + "' holds no tensor " + text::in_quotes(name, '\''));
    return found->second;
  }
  std::string described(std::string_view name) const {
    return "tensor " + text::in_quotes(name, '\'') + " of '" + path().string() + "'";
  }

  /// Fills `values` with the numbers that lie from `offset` on; true where every one is finite, as stored and as
  /// converted.
  template <typename Stored, typename T>
  bool convert(std::size_t offset, std::vector<T>& values) const {
    constexpr std::size_t at_once = (std::size_t{1} << 18) / sizeof(Stored);  // a piece stays in the cache
    std::vector<Stored> piece(std::min(at_once, values.size()));
    bool all_finite = true;
    for (std::size_t done = 0; done < values.size();) {
      const auto stored = std::span(piece).first(std::min(at_once, values.size() - done));
      file_.read(offset + done * sizeof(Stored), std::as_writable_bytes(stored));
      all_finite &= convert<Stored>(stored, std::span(values).subspan(done));
      done += stored.size();
    }
    return all_finite;
  }
  template <typename Stored, typename T>
  static bool convert(std::span<const Stored> stored, std::span<T> values) {
    bool all_finite = true;
    for (std::size_t i = 0; i < stored.size(); ++i) {
      using widened = std::conditional_t<std::is_arithmetic_v<Stored>, Stored, float>;
      const auto number = static_cast<double>(static_cast<widened>(stored[i]));
      if constexpr (std::same_as<T, float>) {
        values[i] = static_cast<float>(number);
        all_finite &= is_finite(values[i]);
      } else {
        values[i] = T(number);
        all_finite &= is_finite(number);
      }
    }
    return all_finite;
  }

  /// `Real` is `float` where a number may be finite in the file and not after its conversion.
  template <typename Real>
  [[noreturn]] void refuse_non_finite(std::string_view name) const {
    const auto numbers = read<Real>(name, non_finite::allow);
    const auto first = std::ranges::find_if_not(numbers.values, [](Real value) { return is_finite(value); });
    auto position = first - numbers.values.begin();
    auto index = shape(name);
    for (auto axis = index.rbegin(); axis != index.rend(); ++axis) position /= std::exchange(*axis, position % *axis);
    throw error(error_kind::bad_file, described(name) + " holds a number that is not finite at " + shape_text(index));
  }

  static safetensors_header read_header(const input_file& file) {
    const auto name = file.path().string();
    std::array<std::byte, sizeof(std::uint64_t)> first = {};
    if (file.size() >= first.size()) file.read(0, first);
    std::string text(safetensors_header_length(first, file.size(), name), '\0');
    file.read(first.size(), std::as_writable_bytes(std::span(text)));
    return parse_safetensors_header(text, file.size(), name);
  }

  input_file file_;
  safetensors_header header_;
};

/// A tensor to be written.
struct stored_tensor {
  dtype type = dtype::f32;
  std::vector<index_t> shape = {};
  std::vector<std::byte> bytes = {};
};

/// `matrix` as a tensor to be written, F32 or F64 by its type; `shape` is its own unless another of the same size is
/// given.
template <std::floating_point T>
stored_tensor store(const host_matrix<T>& matrix, std::vector<index_t> shape) {
  static_assert(std::same_as<T, float> or std::same_as<T, double>);
  assert(std::accumulate(shape.begin(), shape.end(), index_t{1}, std::multiplies{}) == matrix.view().size());
  const auto raw = std::as_bytes(std::span(matrix.values));
  return {std::same_as<T, float> ? dtype::f32 : dtype::f64, std::move(shape), {raw.begin(), raw.end()}};
}
template <std::floating_point T>
stored_tensor store(const host_matrix<T>& matrix) {
  return store(matrix, {matrix.rows, matrix.cols});
}

/// The beginning of a safetensors file up to its data, and where the data of each tensor goes: sets `begin` and `end`
/// in `tensors`. As in the format's own library wider types come first and the header ends on a multiple of 8 bytes, so
/// that every tensor is aligned in memory; the same input gives the same bytes.
inline std::string begin_safetensors(std::map<std::string, tensor_entry>& tensors,
                                     const std::map<std::string, std::string>& metadata) {
  assert(not tensors.contains("__metadata__"));  // the one name that the format keeps for itself
  std::vector<std::pair<const std::string, tensor_entry>*> order;
  order.reserve(tensors.size());
  for (auto& tensor : tensors) order.push_back(&tensor);
  std::ranges::stable_sort(order, std::ranges::greater{}, [](const auto* one) { return bytes_of(one->second.type); });
  json header = json::object();
  if (not metadata.empty()) header["__metadata__"] = metadata;
  std::size_t size = 0;
  for (auto* one : order) {
    auto& [name, tensor] = *one;
    tensor.begin = size;
    for (size = bytes_of(tensor.type); const index_t extent : tensor.shape) size *= static_cast<std::size_t>(extent);
    tensor.end = size += tensor.begin;
    header[name] = {
        {"dtype", name_of(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {tensor.begin, tensor.end}}};
  }
  auto text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const auto length = std::uint64_t{text.size()};
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

/// The whole content of a safetensors file.
inline std::vector<std::byte> safetensors_bytes(const std::map<std::string, stored_tensor>& tensors,
                                                const std::map<std::string, std::string>& metadata = {}) {
  std::map<std::string, tensor_entry> places;
  std::size_t size = 0;
  for (const auto& [name, tensor] : tensors) {
    places[name] = {tensor.type, tensor.shape};
    size += tensor.bytes.size();
  }
  const auto beginning = begin_safetensors(places, metadata);
  std::vector<std::byte> bytes(beginning.size() + size);
  std::ranges::copy(std::as_bytes(std::span(beginning)), bytes.begin());
  for (const auto& [name, tensor] : tensors)
    std::ranges::copy(tensor.bytes, bytes.begin() + static_cast<std::ptrdiff_t>(beginning.size() + places[name].begin));
  return bytes;
}

/// Writes a safetensors file, replacing an existing one only when all is written. Throws `error(io)`.
inline void write_safetensors(const std::filesystem::path& path, const std::map<std::string, stored_tensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  write_file_atomically(path, safetensors_bytes(tensors, metadata));
}

}  // namespace trimtab::io
