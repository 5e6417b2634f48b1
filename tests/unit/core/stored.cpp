// SPDX-License-Identifier: Apache-2.0
#include <trimtab/core/stored.hpp>

#include "support/catch.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace trimtab::test::stored_tests {

TEMPLATE_TEST_CASE("A float is held by a 16-bit type exactly where the nearest number is itself", "", stored::float16,
                   stored::bfloat16) {
  using Stored = TestType;
  int held = 0;
  const auto check = [&](float x) {
    const float again = static_cast<float>(stored::nearest<Stored>(x));
    const bool same = std::bit_cast<std::uint32_t>(again) == std::bit_cast<std::uint32_t>(x) and stored::is_finite(x);
    if (stored::holds<Stored>(x) != same) FAIL_CHECK("held or not: " << x);
    if (same and stored::narrowed<Stored>(x).bits != stored::nearest<Stored>(x).bits) FAIL_CHECK("other bits: " << x);
    held += same;
  };
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {  // every number of the type, and floats beside it
    const float x = static_cast<float>(Stored{static_cast<std::uint16_t>(bits)});
    check(x);
    if (not stored::is_finite(x)) continue;
    check(std::nextafter(x, std::numeric_limits<float>::infinity()));
    check(std::nextafter(x, 0.0f));
  }
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 65521)
    check(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  CHECK(held > 60000);
}

}  // namespace trimtab::test::stored_tests
