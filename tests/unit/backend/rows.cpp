// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen/rows.hpp>
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/policy/affine.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/sequence.hpp>
#include <trimtab/row/layer_norm.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::rows_tests {

namespace {

/// Writes the results of a row's sum, maximum and other verbs to `out`.
struct probe {
  constexpr void forward(row auto& r) const {
    const auto sum = r.sum([&](auto j) { return r.h(j); });
    const auto max = r.max([&](auto j) { return r.h(j); });
    r.each([&](auto j) { r.out(j) = 0; });
    r.each(r.width() / 2, [&](auto j) { r.out(j) = 1; });
    r.at(0, [&](auto j) { r.out(j) = sum; });
    if (r.width() > 1) r.at(r.width() - 1, [&](auto j) { r.out(j) = max; });
  }
};

template <typename T>
struct layer_norm_run {
  host_matrix<T> out, d_h;

  layer_norm_run(int threads, const host_matrix<T>& h, const host_matrix<T>& gain, const host_matrix<T>& bias)
      : out(h.rows, h.cols), d_h(h.rows, h.cols) {
    const eigen_backend<T> backend(threads);
    backend.forward(layer_norm{}, h.rows, h.cols, each_row(name::h, h.view()), each_row(name::out, out.view()),
                    all_rows(layer_norm::gain, gain.view()), all_rows(layer_norm::bias, bias.view()));
    backend.backward(layer_norm{}, h.rows, h.cols, each_row(name::h, h.view()), each_row(grad(name::out), out.view()),
                     each_row(grad(name::h), d_h.view()), all_rows(layer_norm::gain, gain.view()));
  }
};

template <typename T, typename P>
void check_threads(P policy, const steered_rows& s) {
  const checks::policy_run<T, P> run(policy, s);
  const auto h = random_matrix<T>(s.count(), s.width, 1).values, d_out = random_matrix<T>(s.count(), s.width, 2).values;
  const auto parameters = checks::random_parameters<P>(s);
  const std::vector<T> theta(parameters.begin(), parameters.end());
  const auto out = run.forward(h, theta), d = run.backward(h, theta, d_out);
  for (int threads : {2, 3, 8}) {
    CHECK(same_bits(run.forward(h, theta, threads), out));
    CHECK(same_bits(run.backward(h, theta, d_out, threads), d));
  }
}

}  // namespace

TEST_CASE("each, sum and max visit every channel at any width") {
  for (index_t width = 1; width <= 70; ++width) {
    CAPTURE(width);
    auto h = random_matrix<double>(1, width, static_cast<std::uint64_t>(width));
    for (double& x : h.values) x -= 10;  // all below 0: a maximum must not start at 0
    double sum = 0;
    for (double x : h.values) sum += x;
    host_matrix<double> out(1, width);
    eigen_backend<double>(1).forward(probe{}, 1, width, each_row(name::h, h.view()), each_row(name::out, out.view()));
    CHECK(std::abs(out(0, 0) - sum) < 1e-12);
    if (width > 1) CHECK(out(0, width - 1) == std::ranges::max(h.values));
    for (index_t j = 1; j + 1 < width; ++j)
      if (out(0, j) != (j < width / 2 ? 1 : 0)) FAIL_CHECK("channel " << j);
  }
}

TEMPLATE_TEST_CASE("Row functions give a row the same bits wherever it lies", "", float, double) {
  using T = TestType;
  for (index_t width : {1, 5, 16, 67}) {
    const auto h = random_matrix<T>(9, width, 1), gain = random_matrix<T>(1, width, 2),
               bias = random_matrix<T>(1, width, 3);
    const layer_norm_run<T> together(1, h, gain, bias);
    for (index_t i = 0; i < h.rows; ++i) {
      host_matrix<T> row(1, width);
      std::copy_n(h.view().row(i), width, row.values.data());
      const layer_norm_run<T> alone(1, row, gain, bias);
      CHECK(std::equal(alone.out.values.begin(), alone.out.values.end(), together.out.view().row(i)));
      CHECK(std::equal(alone.d_h.values.begin(), alone.d_h.values.end(), together.d_h.view().row(i)));
    }
  }
}

TEMPLATE_TEST_CASE("Row functions have the same bits on any number of threads", "", float, double) {
  using T = TestType;
  const auto h = random_matrix<T>(300, 67, 1), gain = random_matrix<T>(1, 67, 2), bias = random_matrix<T>(1, 67, 3);
  const layer_norm_run<T> one(1, h, gain, bias);
  for (int threads : {2, 3, 8}) {
    const layer_norm_run<T> many(threads, h, gain, bias);
    CHECK(same_bits(many.out, one.out));
    CHECK(same_bits(many.d_h, one.d_h));
  }
}

TEMPLATE_TEST_CASE("Policies have the same bits on any number of threads, gradients of shared records too", "", float,
                   double) {
  using T = TestType;
  steered_rows s{67, {}, {}};
  for (int i = 0; i < 300; ++i) {
    s.record.push_back(i % 7 == 0 ? -1 : i % 3 == 0 ? 1 : 0);  // two records, both of several pieces
    s.beta.push_back(i % 2 == 0 ? 1 : -1);
  }
  check_threads<T>(policy::affine{}, s);
  check_threads<T>(policy::sequence{policy::affine{}, policy::dyn_scalar<>{}}, s);
}

TEMPLATE_TEST_CASE("Terms have the same bits on any number of threads", "", float, double) {
  using T = TestType;
  const index_t rows = 40, width = 501;
  const auto h = random_matrix<T>(rows, width, 1), reference = random_matrix<T>(rows, width, 2);
  const std::vector<int> correct(static_cast<std::size_t>(rows), 3), wrong(static_cast<std::size_t>(rows), 5);
  const T one = 1;
  const auto run = [&](int threads) {
    const eigen_backend<T> backend(threads);
    host_matrix<T> values(1, rows), gradient(rows, width);
    const operand<per_row<"correct">, const int> c{correct.data(), 1};
    const operand<per_row<"wrong">, const int> w{wrong.data(), 1};
    backend.values(objective::faithfulness{}, rows, width, values.values.data(), each_row(name::h, h.view()),
                   each_row(name::reference, reference.view()), c, w);
    backend.gradients(objective::faithfulness{}, rows, width, each_row(name::h, h.view()),
                      each_row(name::reference, reference.view()), each_row(grad(name::h), gradient.view()), c, w,
                      operand<gradient_of<per_row<"value">>, const T>{&one});
    return std::pair(values, gradient);
  };
  const auto [values, gradient] = run(1);
  for (int threads : {2, 3, 8}) {
    const auto [many_values, many_gradient] = run(threads);
    CHECK(same_bits(many_values, values));
    CHECK(same_bits(many_gradient, gradient));
  }
}

TEST_CASE("The gradient of a record that no row uses is not written") {
  // The caller clears the gradient; `intervene_backward` writes only the records in the plan.
  const steered_rows s{2, {0, 2}, {1, 1}};
  const checks::policy_run<double, policy::affine> run({}, s);
  const auto h = random_matrix<double>(2, 2, 1).values;
  const auto d = run.backward(h, std::vector<double>(9, 0.1), h);
  for (std::size_t j = 0; j < 9; ++j) CHECK(std::isnan(d[4 + j]) == (j / 3 == 1));
}

}  // namespace trimtab::test::rows_tests
