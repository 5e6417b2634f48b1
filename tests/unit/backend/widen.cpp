// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen/widen.hpp>

#include "support/catch.hpp"

#include <bit>
#include <cstdint>
#include <type_traits>

namespace trimtab::test::widen_tests {

TEMPLATE_TEST_CASE("A packet is widened exactly, for every finite number of a 16-bit type", "", stored::float16,
                   stored::bfloat16) {
  using Stored = TestType;
  constexpr int lanes = sizeof(eigen::packet<float>) / sizeof(float);
  constexpr int exponents = std::is_same_v<Stored, stored::float16> ? 64 : 512;  // with the sign; two are not finite
  int finite = 0;
  for (std::uint32_t first = 0; first < 0x10000; first += lanes) {
    Stored narrow[lanes];
    for (int i = 0; i < lanes; ++i) narrow[i].bits = static_cast<std::uint16_t>(first + static_cast<std::uint32_t>(i));
    float wide[lanes];
    Eigen::internal::pstoreu(wide, eigen::load<float>(narrow));
    for (int i = 0; i < lanes; ++i) {
      const auto expected = static_cast<float>(narrow[i]);
      if (stored::is_finite(expected) and
          std::bit_cast<std::uint32_t>(expected) != std::bit_cast<std::uint32_t>(wide[i]))
        FAIL_CHECK("bits " << narrow[i].bits << " became " << wide[i]);
      finite += stored::is_finite(expected);
    }
  }
  CHECK(finite == 0x10000 - 2 * 0x10000 / exponents);
}

}  // namespace trimtab::test::widen_tests
