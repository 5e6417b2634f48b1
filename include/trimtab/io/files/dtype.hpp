// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/stored.hpp>
#include <trimtab/text/joined.hpp>

#include <array>
#include <bit>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

/// The element types of safetensors files. Files are little-endian, and so are all machines that this library runs on.

namespace trimtab::io {

static_assert(std::endian::native == std::endian::little, "safetensors files are read and written without byte swaps");

enum class dtype { f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean, f8_e4m3, f8_e5m2 };

struct dtype_description {
  std::string_view name;
  std::size_t bytes;
};

namespace detail {
inline constexpr std::array<dtype_description, 15> dtypes = {{{"F64", 8},
                                                              {"F32", 4},
                                                              {"F16", 2},
                                                              {"BF16", 2},
                                                              {"I64", 8},
                                                              {"I32", 4},
                                                              {"I16", 2},
                                                              {"I8", 1},
                                                              {"U64", 8},
                                                              {"U32", 4},
                                                              {"U16", 2},
                                                              {"U8", 1},
                                                              {"BOOL", 1},
                                                              {"F8_E4M3", 1},
                                                              {"F8_E5M2", 1}}};
}  // namespace detail

constexpr std::string_view name_of(dtype type) { return detail::dtypes[static_cast<std::size_t>(type)].name; }
constexpr std::size_t bytes_of(dtype type) { return detail::dtypes[static_cast<std::size_t>(type)].bytes; }

/// Whether the type is for real numbers and can be read as such. Integers stand for masks, ids or quantized numbers.
constexpr bool is_real(dtype type) {
  return type == dtype::f64 or type == dtype::f32 or type == dtype::f16 or type == dtype::bf16;
}

/// The type as one in which frozen weights are kept, if it is one.
constexpr std::optional<weight_type> kept_type(dtype type) {
  switch (type) {
    case dtype::f32: return weight_type::float32;
    case dtype::f16: return weight_type::float16;
    case dtype::bf16: return weight_type::bfloat16;
    default: return std::nullopt;
  }
}

constexpr std::optional<dtype> dtype_named(std::string_view name) {
  for (std::size_t i = 0; i < detail::dtypes.size(); ++i)
    if (detail::dtypes[i].name == name) return static_cast<dtype>(i);
  return std::nullopt;
}

/// For messages: "F64, F32, ...".
inline std::string dtype_names() { return text::joined(detail::dtypes, ", ", &dtype_description::name); }

using stored::bfloat16;
using stored::float16;
using stored::is_finite;
using stored::nearest;

/// Calls `visitor(std::type_identity<Stored>{})` with the C++ type of `type`; false for the types without one (F8).
template <typename Visitor>
constexpr bool visit_dtype(dtype type, Visitor&& visitor) {
  switch (type) {
    case dtype::f64: visitor(std::type_identity<double>{}); return true;
    case dtype::f32: visitor(std::type_identity<float>{}); return true;
    case dtype::f16: visitor(std::type_identity<float16>{}); return true;
    case dtype::bf16: visitor(std::type_identity<bfloat16>{}); return true;
    case dtype::i64: visitor(std::type_identity<std::int64_t>{}); return true;
    case dtype::i32: visitor(std::type_identity<std::int32_t>{}); return true;
    case dtype::i16: visitor(std::type_identity<std::int16_t>{}); return true;
    case dtype::i8: visitor(std::type_identity<std::int8_t>{}); return true;
    case dtype::u64: visitor(std::type_identity<std::uint64_t>{}); return true;
    case dtype::u32: visitor(std::type_identity<std::uint32_t>{}); return true;
    case dtype::u16: visitor(std::type_identity<std::uint16_t>{}); return true;
    case dtype::u8:
    case dtype::boolean: visitor(std::type_identity<std::uint8_t>{}); return true;
    case dtype::f8_e4m3:
    case dtype::f8_e5m2: return false;
  }
  assert(false);
  return false;
}

/// What a stored number can become: `float`, `double`, or any scalar made from a `double`. Integers are left out: a
/// stored 1e30 has no value there.
template <typename T>
concept readable_scalar = std::constructible_from<T, double> and not std::integral<T>;

}  // namespace trimtab::io
