// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/files/dtype.hpp>

#include "support/catch.hpp"
#include "support/stored_model.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

namespace trimtab::test::dtype_tests {

TEST_CASE("binary16 has the values of IEEE 754") {
  const auto value = [](unsigned bits) { return static_cast<float>(io::float16{static_cast<std::uint16_t>(bits)}); };
  STATIC_REQUIRE(static_cast<float>(io::float16{0x3c00}) == 1.0f);
  CHECK(value(0xc000) == -2.0f);
  CHECK(value(0x3555) == 0x1.554p-2f);  // the nearest to 1/3
  CHECK(value(0x7bff) == 65504.0f);     // the largest
  CHECK(value(0x0400) == 0x1p-14f);     // the smallest normal
  CHECK(value(0x03ff) == 0x3ffp-24f);   // the largest subnormal
  CHECK(value(0x0001) == 0x1p-24f);     // the smallest
  CHECK(std::signbit(value(0x8000)));
  CHECK(value(0x7c00) == std::numeric_limits<float>::infinity());
  CHECK(value(0xfc00) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(value(0x7e00)));

  // All 16-bit patterns, compared with the definition.
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const auto exponent = static_cast<int>(bits >> 10 & 31);
    const auto fraction = static_cast<double>(bits & 1023);
    const auto magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) continue;
    if (static_cast<double>(value(bits)) != (bits < 0x8000 ? magnitude : -magnitude)) FAIL("bits " << bits);
    if (to_float16_bits(value(bits)) != bits) FAIL("back from bits " << bits);
  }
}

TEST_CASE("bfloat16 is the upper half of a float") {
  CHECK(static_cast<float>(io::bfloat16{0x3f80}) == 1.0f);
  CHECK(static_cast<float>(io::bfloat16{0xc049}) == -3.140625f);
  CHECK(static_cast<float>(io::bfloat16{0x0001}) == 0x1p-133f);
  CHECK(std::isnan(static_cast<float>(io::bfloat16{0x7fc0})));
  CHECK(to_bfloat16_bits(3.14159265f) == 0x4049);
}

TEST_CASE("A number is stored as the nearest one, ties to even") {
  const auto half = [](double x) { return io::nearest<io::float16>(x).bits; };
  const auto brain = [](double x) { return io::nearest<io::bfloat16>(x).bits; };
  for (unsigned bits = 0; bits < 0x10000; ++bits) {  // every number of either type is its own nearest
    const auto exact = static_cast<std::uint16_t>(bits);
    const auto of_half = static_cast<double>(static_cast<float>(io::float16{exact}));
    const auto of_brain = static_cast<double>(static_cast<float>(io::bfloat16{exact}));
    if (of_half == of_half) REQUIRE(half(of_half) == bits);
    if (of_brain == of_brain) REQUIRE(brain(of_brain) == bits);
  }
  CHECK(half(1 + 0x1p-11) == 0x3c00);            // a tie, down to even
  CHECK(half(1 + 3 * 0x1p-11) == 0x3c02);        // a tie, up to even
  CHECK(half(1 + 0x1p-11 + 0x1p-50) == 0x3c01);  // in one rounding: by way of float it would be a tie
  CHECK(half(-0x1p-25) == 0x8000);
  CHECK(half(0x1p-25 + 0x1p-70) == 0x0001);
  CHECK(half(65519.9) == 0x7bff);
  CHECK(half(65520) == 0x7c00);
  CHECK(half(-1e300) == 0xfc00);
  CHECK(brain(1 + 0x1p-8) == 0x3f80);
  CHECK(brain(3.3895e38) == 0x7f7f);
  CHECK(brain(3.4e38) == 0x7f80);
  CHECK(half(std::numeric_limits<double>::infinity()) == 0x7c00);
  CHECK((half(std::numeric_limits<double>::quiet_NaN()) & 0x7fff) == 0x7e00);
  CHECK(io::nearest<float>(0.1) == 0.1f);
  CHECK(io::nearest<double>(0.1) == 0.1);
}

TEST_CASE("Every dtype has a name, and its name finds it") {
  for (std::size_t i = 0; i < 15; ++i) {
    const auto type = static_cast<io::dtype>(i);
    CHECK(io::dtype_named(io::name_of(type)) == type);
    CHECK(io::visit_dtype(type, [&]<typename T>(std::type_identity<T>) { CHECK(sizeof(T) == io::bytes_of(type)); }) ==
          not io::name_of(type).starts_with("F8"));
  }
  CHECK(io::name_of(io::dtype::bf16) == "BF16");
  CHECK(io::name_of(io::dtype::u8) == "U8");
  CHECK(io::name_of(io::dtype::f8_e5m2) == "F8_E5M2");
  CHECK_FALSE(io::dtype_named("f32"));
}

TEST_CASE("Finite is what is neither infinite nor NaN") {
  for (const auto x : {0.0, -0.0, 1e308, 5e-324, -1.0}) CHECK(io::is_finite(x));
  for (const auto x : {0.0f, -0.0f, 3e38f, 1e-45f, -1.0f}) CHECK(io::is_finite(x));
  for (const auto x : {std::nan(""), -std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    CHECK_FALSE(io::is_finite(x));
    CHECK_FALSE(io::is_finite(static_cast<float>(x)));
  }
}

}  // namespace trimtab::test::dtype_tests
