// SPDX-License-Identifier: Apache-2.0
#include "support/compositions.hpp"

namespace trimtab::test::gradients_gpt2_tests {

// Fact 7 of the method: gradients agree with the complex step and with central differences.

TEST_CASE("Gradients of GPT-2 are right at every site under every policy") {
  check_all_sites<small_gpt2, 0>();
  check_all_sites<small_gpt2, 1>();
  check_all_sites<small_gpt2, 2>();
  check_all_sites<small_gpt2, 3>();
  check_all_sites<small_gpt2, 4>();
}

}  // namespace trimtab::test::gradients_gpt2_tests
