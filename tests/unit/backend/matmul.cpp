// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen/matmul.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::matmul_tests {

namespace {

/// y = x W + b, number by number, with W [in, out].
template <typename T>
host_matrix<double> naive(const host_matrix<T>& x, const host_matrix<T>& w, const host_matrix<T>& b) {
  host_matrix<double> y(x.rows, w.cols);
  for (index_t i = 0; i < x.rows; ++i)
    for (index_t j = 0; j < w.cols; ++j) {
      y(i, j) = b.empty() ? 0 : static_cast<double>(b(0, j));
      for (index_t k = 0; k < x.cols; ++k) y(i, j) += static_cast<double>(x(i, k)) * static_cast<double>(w(k, j));
    }
  return y;
}

template <typename T>
host_matrix<T> transposed(const host_matrix<T>& m) {
  host_matrix<T> t(m.cols, m.rows);
  for (index_t i = 0; i < m.rows; ++i)
    for (index_t j = 0; j < m.cols; ++j) t(j, i) = m(i, j);
  return t;
}

/// A matrix with a margin of memory before and after it, which must stay as it is.
template <typename T>
struct guarded {
  static constexpr index_t margin = 32;
  std::vector<T> memory;
  matrix_view<T> view;

  guarded(index_t rows, index_t cols)
      : memory(static_cast<std::size_t>(rows * cols + 2 * margin), T(7)), view{memory.data() + margin, rows, cols} {}

  bool intact() const {
    for (std::size_t i = 0; i < margin; ++i)
      if (memory[i] != T(7) or memory[memory.size() - 1 - i] != T(7)) return false;
    return true;
  }
  host_matrix<T> inside() const {
    host_matrix<T> m(view.rows, view.cols);
    std::copy_n(view.data, view.size(), m.values.data());
    return m;
  }
};

template <typename T>
host_matrix<T> product(const eigen_backend<T>& backend, const eigen::linear<T>& w, const host_matrix<T>& x,
                       bool adjoint = false) {
  guarded<T> y(x.rows, adjoint ? w.inputs() : w.outputs());
  if (adjoint)
    backend.multiply_backward(w, x.view(), y.view);
  else
    backend.multiply(w, x.view(), y.view);
  CHECK(y.intact());
  return y.inside();
}

template <typename T>
double distance(const host_matrix<T>& a, const host_matrix<double>& b) {
  return largest_difference(converted<double>(a).values, b.values) / std::max(1.0, largest(b.values));
}

template <typename T>
constexpr double tolerance = std::is_same_v<T, float> ? 2e-6 : 2e-15;

}  // namespace

TEMPLATE_TEST_CASE("Products agree with a naive product for every number of rows and odd columns", "", float, double) {
  using T = TestType;
  const eigen_backend<T> backend(1);
  for (auto [in, out] : {std::pair<index_t, index_t>{1, 1}, {3, 5}, {7, 16}, {16, 7}, {33, 31}, {64, 65}, {5, 130}}) {
    const auto w = random_matrix<T>(in, out, 1), b = random_matrix<T>(1, out, 2);
    const auto linear = backend.prepare(w.view(), b.view());
    for (index_t rows = 1; rows <= 40; ++rows) {
      CAPTURE(in, out, rows);
      const auto x = random_matrix<T>(rows, in, 3), d_y = random_matrix<T>(rows, out, 4);
      CHECK(distance(product(backend, linear, x), naive(x, w, b)) < tolerance<T>);
      CHECK(distance(product(backend, linear, d_y, true), naive(d_y, transposed(w), {})) < tolerance<T>);
    }
  }
}

TEMPLATE_TEST_CASE(
    "Products of several parts of rows and slices of the depth agree with a naive product, whoever takes them", "",
    float, double) {
  using T = TestType;
  const index_t deep = 2 * eigen::tile<T>::depth + 5, odd = 3 * eigen::tile<T>::columns + 1;
  const index_t many = 2 * eigen::turned_over<T>::part_rows + 3;
  for (auto [in, out] : {std::pair{deep, odd}, {odd, deep}}) {
    const auto w = random_matrix<T>(in, out, 1), b = random_matrix<T>(1, out, 2), turned = transposed(w);
    const auto linear = eigen_backend<T>(1).prepare(w.view(), b.view());
    for (index_t rows : {index_t{1}, many / 2, many}) {
      const auto x = random_matrix<T>(rows, in, 3), d_y = random_matrix<T>(rows, out, 4);
      const auto y = naive(x, w, b), d_x = naive(d_y, turned, {});
      for (int threads : {1, 2, 3, 8}) {
        CAPTURE(in, out, rows, threads);
        CHECK(distance(product(eigen_backend<T>(threads), linear, x), y) < tolerance<T>);
        CHECK(distance(product(eigen_backend<T>(threads), linear, d_y, true), d_x) < tolerance<T>);
      }
    }
  }
}

TEST_CASE("A transposed weight gives the same bits, and a missing bias is none") {
  const eigen_backend<float> backend(1);
  const auto w = random_matrix<float>(13, 37, 1), b = random_matrix<float>(1, 37, 2),
             x = random_matrix<float>(9, 13, 3);
  const auto plain = backend.prepare(w.view(), b.view());
  const auto turned = backend.prepare(transposed(w).view(), b.view(), true);
  CHECK(turned.inputs() == 13);
  CHECK(turned.outputs() == 37);
  CHECK(same_bits(product(backend, plain, x), product(backend, turned, x)));
  CHECK(distance(product(backend, backend.prepare(w.view(), {}), x), naive(x, w, {})) < 2e-6);
}

TEMPLATE_TEST_CASE("A row alone and the same row in a batch give the same bits", "", float, double) {
  using T = TestType;
  const eigen_backend<T> backend(1);
  const auto w = random_matrix<T>(50, 43, 1), b = random_matrix<T>(1, 43, 2), x = random_matrix<T>(40, 50, 3);
  const auto linear = backend.prepare(w.view(), b.view());
  const auto together = product(backend, linear, x);
  for (index_t i = 0; i < x.rows; ++i)
    for (index_t count : {1, 2, 5, 7}) {
      if (i + count > x.rows) continue;
      host_matrix<T> some(count, 50), expected(count, 43);
      std::copy_n(x.view().row(i), some.values.size(), some.values.data());
      std::copy_n(together.view().row(i), expected.values.size(), expected.values.data());
      if (not same_bits(product(backend, linear, some), expected)) FAIL_CHECK("rows " << i << " to " << i + count - 1);
    }
}

TEMPLATE_TEST_CASE("Products have the same bits on any number of threads", "", float, double) {
  using T = TestType;
  const auto w = random_matrix<T>(50, 300, 1), b = random_matrix<T>(1, 300, 2), x = random_matrix<T>(97, 50, 3);
  const auto linear = eigen_backend<T>(1).prepare(w.view(), b.view());
  const auto d_y = product(eigen_backend<T>(1), linear, x), d_x = product(eigen_backend<T>(1), linear, d_y, true);
  for (int threads : {2, 3, 8}) {
    CHECK(same_bits(product(eigen_backend<T>(threads), linear, x), d_y));
    CHECK(same_bits(product(eigen_backend<T>(threads), linear, d_y, true), d_x));
  }
}

TEST_CASE("A product carries derivatives") {
  const eigen_backend<dual> backend(1);
  const auto w = random_matrix<double>(5, 3, 1), x = random_matrix<double>(2, 5, 2);
  auto z = converted<dual>(x);
  z(1, 4).imag = 1e-40;
  const auto complex_w = converted<dual>(w);
  const auto y = product(backend, backend.prepare(complex_w.view(), {}), z);
  for (index_t j = 0; j < 3; ++j) {
    CHECK(y(0, j).imag == 0);
    CHECK(std::abs(y(1, j).imag / 1e-40 - w(4, j)) < 1e-15);
  }
}

}  // namespace trimtab::test::matmul_tests
