// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/atomic_file.hpp>
#include <trimtab/io/dtype.hpp>
#include <trimtab/io/json.hpp>
#include <trimtab/io/mapped_file.hpp>
#include <trimtab/io/safetensors_header.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Safetensors files, in and out: named arrays of numbers with a checked header (see safetensors_header.hpp). Reading maps
/// the file and converts one tensor at a time; writing replaces a file as a whole (atomic_file.hpp).

namespace trimtab::io {

/// What a reader does with infinities and NaN.
enum class non_finite { refuse, allow };

class safetensors_file {
 public:
  /// Opens and checks the file at `path`. Throws `error(io)` or `error(bad_file)`.
  explicit safetensors_file(std::filesystem::path path)
      : file_(std::move(path)), header_(parse_safetensors_header(file_.bytes(), file_.path().string())) {}

  std::filesystem::path const& path() const { return file_.path(); }
  auto const& metadata() const { return header_.metadata; }
  /// Every tensor's dtype, shape and place by its name, in the order of names.
  auto const& tensors() const { return header_.tensors; }
  bool contains(std::string_view name) const { return header_.tensors.contains(name); }
  std::vector<index_t> const& shape(std::string_view name) const { return entry(name).shape; }

  /// The bytes of a tensor as they lie in the file, aligned to nothing.
  std::span<std::byte const> bytes(std::string_view name) const {
    auto const& place = entry(name);
    return file_.bytes().subspan(header_.data_begin + place.begin, place.end - place.begin);
  }

  /// The numbers of a tensor: a scalar as [1, 1], rank 1 as [1, n], higher ranks as [product of the leading, last].
  template <readable_scalar T>
  host_matrix<T> read(std::string_view name, non_finite policy = non_finite::refuse) const {
    auto const& place = entry(name);
    index_t rows = 1;
    for (std::size_t i = 0; i + 1 < place.shape.size(); ++i) rows *= place.shape[i];
    auto result = host_matrix<T>(rows, place.shape.empty() ? 1 : place.shape.back());
    bool all_finite = true;
    bool const known = visit_dtype(place.type, [&]<typename Stored>(std::type_identity<Stored>) {
      all_finite = convert<Stored>(bytes(name).data(), result.values);
    });
    if (not known)
      throw error(error_kind::bad_file, described(name) + " is of dtype " + std::string(name_of(place.type)) +
                                            ", which cannot be read as numbers");
    if (not all_finite and policy == non_finite::refuse) refuse_non_finite(name, result);
    return result;
  }

 private:
  tensor_entry const& entry(std::string_view name) const {
    auto const found = header_.tensors.find(name);
    if (found == header_.tensors.end())
      throw error(error_kind::bad_file, "'" + path().string() + "' holds no tensor '" + std::string(name) + "'");
    return found->second;
  }
  std::string described(std::string_view name) const {
    return "tensor '" + std::string(name) + "' of '" + path().string() + "'";
  }

  /// Fills `values` from unaligned memory; true where every number is finite, as stored and as converted.
  template <typename Stored, typename T>
  static bool convert(std::byte const* source, std::vector<T>& values) {
    bool all_finite = true;
    for (auto& value : values) {
      Stored stored;
      std::memcpy(&stored, source, sizeof stored);
      source += sizeof stored;
      using widened = std::conditional_t<std::is_arithmetic_v<Stored>, Stored, float>;
      if constexpr (std::is_floating_point_v<T>) {
        value = static_cast<T>(static_cast<widened>(stored));
        all_finite &= is_finite(value);
      } else {
        auto const number = static_cast<double>(static_cast<widened>(stored));
        value = T(number);
        all_finite &= is_finite(number);
      }
    }
    return all_finite;
  }

  template <typename T>
  [[noreturn]] void refuse_non_finite(std::string_view name, host_matrix<T> const& converted) const {
    // The search is done again with `double`, in which only a stored NaN or infinity is not finite.
    index_t position = 0;
    if constexpr (std::is_floating_point_v<T>) {
      auto const finite = [](T value) { return is_finite(value); };
      position = std::ranges::find_if_not(converted.values, finite) - converted.values.begin();
    } else {
      auto const numbers = read<double>(name, non_finite::allow);
      auto const finite = [](double value) { return is_finite(value); };
      position = std::ranges::find_if_not(numbers.values, finite) - numbers.values.begin();
    }
    auto where = shape(name);
    for (auto axis = where.size(); axis-- > 0;) position = (std::div(position, std::exchange(where[axis], position % where[axis]))).quot;
    throw error(error_kind::bad_file, described(name) + " holds a number that is not finite at " + shape_text(where));
  }

  mapped_file file_;
  safetensors_header header_;
};
