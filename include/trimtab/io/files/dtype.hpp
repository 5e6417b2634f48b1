// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

/// The element types of safetensors files, and the two 16-bit floating-point types that C++20 lacks. Files are
/// little-endian, and so are all machines that this library runs on.

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

constexpr std::optional<dtype> dtype_named(std::string_view name) {
  for (std::size_t i = 0; i < detail::dtypes.size(); ++i)
    if (detail::dtypes[i].name == name) return static_cast<dtype>(i);
  return std::nullopt;
}

/// For messages: "F64, F32, ...".
inline std::string dtype_names() { return text::joined(detail::dtypes, ", ", &dtype_description::name); }

/// IEEE binary16: sign, 5 bits of exponent (bias 15), 10 bits of fraction.
struct float16 {
  std::uint16_t bits = 0;

  constexpr explicit operator float() const {
    const auto sign = (bits & 0x8000u) << 16;
    const auto exponent = (bits >> 10) & 0x1fu;
    const auto fraction = bits & 0x3ffu;
    // A subnormal binary16 is a multiple of 2^-24, which binary32 represents as a normal number. Both cases are
    // computed before one is selected, so that compilers can vectorise.
    const auto subnormal = std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<int>(fraction)) * 0x1p-24f);
    const auto normal = (exponent == 0x1fu ? 0xffu : exponent + (127u - 15u)) << 23 | fraction << 13;
    const auto magnitude = exponent == 0 ? subnormal : normal;
    return std::bit_cast<float>(sign | magnitude);
  }
};

/// The upper half of an IEEE binary32.
struct bfloat16 {
  std::uint16_t bits = 0;

  constexpr explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

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

/// Whether a number is neither infinite nor NaN, by its bits: this also works with -ffinite-math-only.
constexpr bool is_finite(float x) { return (std::bit_cast<std::uint32_t>(x) & 0x7f800000u) != 0x7f800000u; }
constexpr bool is_finite(double x) {
  constexpr auto exponent = std::uint64_t{0x7ff} << 52;
  return (std::bit_cast<std::uint64_t>(x) & exponent) != exponent;
}

namespace detail {

/// The bits of the nearest number of a type with 16 bits, `exponent_bits` of them for the exponent. Ties go to even,
/// and what is too large becomes infinite.
inline std::uint16_t nearest_bits(double x, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits;
  const int lowest = 2 - (1 << (exponent_bits - 1));  // exponent of the smallest normal number
  const std::int64_t infinity = ((std::int64_t{1} << exponent_bits) - 1) << fraction_bits;
  const std::int64_t sign = std::signbit(x) ? 0x8000 : 0;
  if (not is_finite(x)) {
    const bool is_number = (std::bit_cast<std::uint64_t>(x) << 12) == 0;
    return static_cast<std::uint16_t>(sign | infinity | (is_number ? 0 : 1 << (fraction_bits - 1)));
  }
  const int exponent = x == 0 ? lowest : std::max(std::ilogb(x), lowest);
  const std::int64_t steps = std::llrint(std::ldexp(std::fabs(x), fraction_bits - exponent));
  const std::int64_t bits = (static_cast<std::int64_t>(exponent - lowest) << fraction_bits) + steps;
  return static_cast<std::uint16_t>(sign | std::min(bits, infinity));
}

}  // namespace detail

/// The nearest number that `Stored` holds; infinite where x is beyond its range.
template <typename Stored>
Stored nearest(double x) {
  if constexpr (std::same_as<Stored, float16>)
    return {detail::nearest_bits(x, 5)};
  else if constexpr (std::same_as<Stored, bfloat16>)
    return {detail::nearest_bits(x, 8)};
  else
    return static_cast<Stored>(x);
}

/// What a stored number can become: `float`, `double`, or any scalar made from a `double`. Integers are left out: a
/// stored 1e30 has no value there.
template <typename T>
concept readable_scalar = std::constructible_from<T, double> and not std::integral<T>;

}  // namespace trimtab::io
