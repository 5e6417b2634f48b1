// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen.hpp>

#include "support/gradients.hpp"

#include <numeric>

namespace trimtab::test::memory_tests {

TEST_CASE("New memory is zero, and numbers travel unchanged") {
  const eigen_backend<float> backend(1);
  const auto empty = backend.allocate(0);
  CHECK(empty.size() == 0);
  auto memory = backend.allocate(15);
  for (float x : backend.download(memory.view(3, 5)).values) CHECK(x == 0);

  const auto numbers = random_matrix<float>(3, 5, 1);
  const auto there = backend.upload(numbers.view());
  CHECK(same_bits(backend.download(there.view(3, 5)), numbers));
  backend.copy(there.view(3, 5), memory.view(3, 5));
  CHECK(same_bits(backend.download(memory.view(3, 5)), numbers));
  backend.fill(memory.view(1, 15), 2.5f);
  for (float x : backend.download(memory.view(3, 5)).values) CHECK(x == 2.5f);
}

TEST_CASE("Memory that has moved still holds its numbers") {
  eigen::array<double> a(4);
  std::iota(a.data(), a.data() + 4, 1.0);
  const double* const where = a.data();
  eigen::array<double> b(std::move(a));
  CHECK(b.data() == where);
  CHECK(b.data()[3] == 4);
  STATIC_REQUIRE(not std::is_copy_constructible_v<eigen::array<double>>);
}

TEST_CASE("Every scalar has a backend") {
  STATIC_REQUIRE(tensor_backend<eigen_backend<float>>);
  STATIC_REQUIRE(tensor_backend<eigen_backend<double>>);
  STATIC_REQUIRE(tensor_backend<eigen_backend<dual>>);
  CHECK(eigen_backend<float>().threads() >= 1);
}

}  // namespace trimtab::test::memory_tests
