// SPDX-License-Identifier: Apache-2.0
#include <trimtab/row/residual.hpp>

#include "support/gradients.hpp"

namespace trimtab::test::residual_tests {

TEST_CASE("Copies and sums have the right adjoint") {
  for (index_t width : {1, 3, 17, 64}) {
    check_row_function(copy_row{}, width);
    check_row_function(residual{}, width, residual::branch);
  }
}

TEST_CASE("Copies and sums work in place") {
  check_in_place<float>(copy_row{}, 17);
  check_in_place<float>(residual{}, 17, residual::branch);
}

TEST_CASE("A sum sends its gradient to both summands") {
  const auto d_out = random_matrix<double>(2, 5, 1);
  host_matrix<double> d_h(2, 5), d_branch(2, 5);
  eigen_backend<double>(1).backward(residual{}, 2, 5, each_row(grad(name::out), d_out.view()),
                                    each_row(grad(name::h), d_h.view()),
                                    each_row(grad(residual::branch), d_branch.view()));
  CHECK(same_bits(d_h, d_out));
  CHECK(same_bits(d_branch, d_out));
}

TEST_CASE("A copy with selected rows gathers or scatters them") {
  const auto h = random_matrix<double>(4, 3, 1);
  host_matrix<double> gathered(3, 3), scattered(4, 3);
  const std::vector<int> select{2, 0, 3};
  const eigen_backend<double> backend(1);
  backend.forward(copy_row{}, 3, 3, selected_row(name::h, h.view(), select.data()),
                  each_row(name::out, gathered.view()));
  backend.forward(copy_row{}, 3, 3, each_row(name::h, gathered.view()),
                  selected_row(name::out, scattered.view(), select.data()));
  for (index_t j = 0; j < 3; ++j) {
    CHECK(gathered(0, j) == h(2, j));
    CHECK(gathered(1, j) == h(0, j));
    CHECK(scattered(3, j) == h(3, j));
    CHECK(scattered(1, j) == 0);  // not selected
  }
}

}  // namespace trimtab::test::residual_tests
