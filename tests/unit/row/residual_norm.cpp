// SPDX-License-Identifier: Apache-2.0
#include <trimtab/row/residual_norm.hpp>

#include "support/gradients.hpp"

namespace trimtab::test::residual_norm_tests {

namespace {

/// The weighted sum of both results, h + branch and its norm, as a function of h.
struct sum_and_norm {
  index_t width;
  host_matrix<double> branch = random_matrix<double>(3, width, 2), gain = random_matrix<double>(1, width, 3, 0.5, 1),
                      bias = random_matrix<double>(1, width, 4), d_sum = random_matrix<double>(3, width, 5),
                      d_out = random_matrix<double>(3, width, 6);

  template <typename T>
  std::pair<host_matrix<T>, host_matrix<T>> results(const host_matrix<T>& h) const {
    const auto b = converted<T>(branch), g = converted<T>(gain), o = converted<T>(bias);
    host_matrix<T> sum(3, width), out(3, width);
    eigen_backend<T>(1).forward(residual_norm{}, 3, width, each_row(name::h, h.view()),
                                each_row(residual::branch, b.view()), each_row(residual_norm::sum, sum.view()),
                                each_row(name::out, out.view()), all_rows(layer_norm::gain, g.view()),
                                all_rows(layer_norm::bias, o.view()));
    return {sum, out};
  }
  template <typename T>
  T operator()(const std::vector<T>& x) const {
    host_matrix<T> h(3, width);
    h.values = x;
    const auto [sum, out] = results(h);
    T total = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      total += sum.values[i] * d_sum.values[i] + out.values[i] * d_out.values[i];
    return total;
  }
};

}  // namespace

TEST_CASE("A sum and its norm have the right adjoint, along both") {
  for (index_t width : {1, 3, 17, 64}) {
    CAPTURE(width);
    const sum_and_norm f{width};
    const auto h = random_matrix<double>(3, width, 1);
    const auto sum = f.results(h).first;
    auto d_h = random_matrix<double>(3, width, 7);
    eigen_backend<double>(1).backward(residual_norm{}, 3, width, each_row(residual_norm::sum, sum.view()),
                                      each_row(grad(residual_norm::sum), f.d_sum.view()),
                                      each_row(grad(name::out), f.d_out.view()), each_row(grad(name::h), d_h.view()),
                                      all_rows(layer_norm::gain, f.gain.view()));
    check_gradient(f, h.values, d_h.values);
  }
}

TEST_CASE("A fused sum and norm give the bits of the two in turn") {
  const sum_and_norm f{37};
  const auto h = random_matrix<double>(3, 37, 1);
  host_matrix<double> sum(3, 37), out(3, 37);
  const eigen_backend<double> backend(1);
  backend.forward(residual{}, 3, 37, each_row(name::h, h.view()), each_row(residual::branch, f.branch.view()),
                  each_row(name::out, sum.view()));
  backend.forward(layer_norm{}, 3, 37, each_row(name::h, sum.view()), each_row(name::out, out.view()),
                  all_rows(layer_norm::gain, f.gain.view()), all_rows(layer_norm::bias, f.bias.view()));
  const auto both = f.results(h);
  CHECK(same_bits(both.first, sum));
  CHECK(same_bits(both.second, out));
}

}  // namespace trimtab::test::residual_norm_tests
