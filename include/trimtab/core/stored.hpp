// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>

/// The types in which frozen weights are stored, among them the two 16-bit floating-point types that C++20 lacks.

namespace trimtab {

/// In which type a backend keeps frozen matrices.
enum class weight_type {
  as_in_file,  ///< the narrowest that holds every number of a matrix exactly: no result depends on it
  float32,     ///< and the two below: rounded to it
  float16,
  bfloat16,
};

namespace stored {

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

/// As a backend's argument: `weight_type::as_in_file`.
struct as_in_file {};

template <typename Stored>
inline constexpr weight_type type_of = std::same_as<Stored, float16>    ? weight_type::float16
                                       : std::same_as<Stored, bfloat16> ? weight_type::bfloat16
                                       : std::same_as<Stored, float>    ? weight_type::float32
                                                                        : weight_type::as_in_file;

/// Whether a number is neither infinite nor NaN, by its bits: this also works with -ffinite-math-only.
constexpr bool is_finite(float x) { return (std::bit_cast<std::uint32_t>(x) & 0x7f800000u) != 0x7f800000u; }
constexpr bool is_finite(double x) {
  constexpr auto exponent = std::uint64_t{0x7ff} << 52;
  return (std::bit_cast<std::uint64_t>(x) & exponent) != exponent;
}

constexpr bool is_finite(float16 x) { return (x.bits & 0x7c00u) != 0x7c00u; }
constexpr bool is_finite(bfloat16 x) { return (x.bits & 0x7f80u) != 0x7f80u; }

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

// The functions below are made of few operations without branches, so that loops over a matrix vectorise.

namespace detail {
inline constexpr std::uint32_t sign_bit = 0x80000000u;
inline constexpr std::uint32_t least_normal = 0x38800000u;  ///< 2^-14, below which binary16 has equal steps of 2^-24
inline constexpr std::uint32_t beyond = 0x47800000u;        ///< 2^16

/// How many steps a number below 2^-14 is from 0, and 0 for others.
constexpr float small_steps(std::uint32_t magnitude) {
  return std::bit_cast<float>(magnitude < least_normal ? magnitude : 0u) * 0x1p24f;
}
}  // namespace detail

/// Whether `Stored` holds x exactly, finite and with its sign.
template <typename Stored>
constexpr bool holds(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x), magnitude = bits & ~detail::sign_bit;
  if constexpr (std::same_as<Stored, bfloat16>) {
    return ((bits & 0xffffu) == 0) & is_finite(x);
  } else {
    const float steps = detail::small_steps(magnitude);
    const bool is_normal =
        ((bits & 0x1fffu) == 0) & (magnitude - detail::least_normal < detail::beyond - detail::least_normal);
    return is_normal | ((magnitude < detail::least_normal) & (static_cast<float>(static_cast<int>(steps)) == steps));
  }
}

/// x as `Stored`, which holds it exactly.
template <typename Stored>
constexpr Stored narrowed(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x), magnitude = bits & ~detail::sign_bit;
  if constexpr (std::same_as<Stored, bfloat16>) {
    return {static_cast<std::uint16_t>(bits >> 16)};
  } else {
    const auto small = static_cast<std::uint32_t>(static_cast<int>(detail::small_steps(magnitude)));
    const auto normal = (magnitude >> 13) - (112u << 10);
    return {static_cast<std::uint16_t>((bits & detail::sign_bit) >> 16 |
                                       (magnitude < detail::least_normal ? small : normal))};
  }
}

}  // namespace stored
}  // namespace trimtab
