// SPDX-License-Identifier: Apache-2.0
#include "support/compositions.hpp"

namespace trimtab::test::gradients_neox_sequential_tests {

// Fact 7 of the method: gradients agree with the complex step and with central differences.

TEST_CASE("Gradients of a sequential GPT-NeoX are right at every site under every policy") {
  check_all_sites<small_neox_sequential, 0>();
  check_all_sites<small_neox_sequential, 1>();
  check_all_sites<small_neox_sequential, 2>();
  check_all_sites<small_neox_sequential, 3>();
  check_all_sites<small_neox_sequential, 4>();
}

}  // namespace trimtab::test::gradients_neox_sequential_tests
