// SPDX-License-Identifier: Apache-2.0

#include <trimtab/backend/eigen/transpose.hpp>
#include <trimtab/backend/eigen/widen.hpp>

#include "support/catch.hpp"

#include <cstdint>
#include <cstring>
#include <utility>

namespace trimtab::test::transpose_tests {

namespace {

template <typename Number, typename Vector>
void check_transpose() {
  constexpr int n = sizeof(Vector) / sizeof(Number);
  Vector square[n];
  Number before[n][n], after[n][n];
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) before[i][j] = static_cast<Number>(i * n + j);
  std::memcpy(static_cast<void*>(square), before, sizeof(before));
  eigen::transpose(square, std::make_integer_sequence<int, n>{});
  std::memcpy(after, static_cast<const void*>(square), sizeof(after));
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      CAPTURE(n, i, j);
      CHECK(after[j][i] == before[i][j]);
    }
}

template <typename Number, int Bytes>
struct vector_of {
  typedef Number type __attribute__((vector_size(Bytes)));
};

}  // namespace

TEMPLATE_TEST_CASE("Squares are transposed in vectors of every width", "", float, double, std::uint16_t, std::uint32_t,
                   std::uint64_t) {
  check_transpose<TestType, typename vector_of<TestType, 16>::type>();
  check_transpose<TestType, typename vector_of<TestType, 32>::type>();
  check_transpose<TestType, typename vector_of<TestType, 64>::type>();
}

TEMPLATE_TEST_CASE("Squares are transposed in the packets of products", "", float, double) {
  check_transpose<TestType, eigen::packet<TestType>>();
}

}  // namespace trimtab::test::transpose_tests
