// SPDX-License-Identifier: Apache-2.0
#include "support/compositions.hpp"

namespace trimtab::test::gradients_neox_parallel_tests {

// Fact 7 of the method: gradients agree with the complex step and with central differences.

TEST_CASE("Gradients of a parallel GPT-NeoX are right at every site under every policy") {
  check_all_sites<small_neox_parallel, 0>();
  check_all_sites<small_neox_parallel, 1>();
  check_all_sites<small_neox_parallel, 2>();
  check_all_sites<small_neox_parallel, 3>();
  check_all_sites<small_neox_parallel, 4>();
}

}  // namespace trimtab::test::gradients_neox_parallel_tests
