// SPDX-License-Identifier: Apache-2.0
#include <trimtab/objective/effectiveness.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::effectiveness_tests {

using objective::effectiveness, objective::psi;

namespace {

struct reading {
  double value;
  std::vector<double> gradient;
};

/// Value and gradient of a row of three logits whose second is correct and whose third is wrong.
reading read(effectiveness term, std::vector<double> logits, double beta) {
  std::vector<double> gradient(3);
  double value = 0, one = 1;
  const int correct = 1, wrong = 2;
  const auto run = [&](auto f) {
    f(operand<per_channel<"h">, const double>{logits.data()}, operand<per_row<"beta">, const double>{&beta},
      operand<per_row<"correct">, const int>{&correct}, operand<per_row<"wrong">, const int>{&wrong});
  };
  const eigen_backend<double> backend(1);
  run([&](auto... operands) { backend.values(term, 1, 3, &value, operands...); });
  run([&](auto... operands) {
    backend.gradients(term, 1, 3, operands..., operand<gradient_of<per_channel<"h">>, double>{gradient.data()},
                      operand<gradient_of<per_row<"value">>, const double>{&one});
  });
  return {value, gradient};
}

}  // namespace

TEST_CASE("Effectiveness has the right adjoint in all its forms") {
  for (index_t width : {3, 17, 64})
    for (psi shape : {psi::hinge, psi::identity, psi::softplus})
      for (double margin : {0.0, 1.0}) check_term(effectiveness{.margin = margin, .shape = shape}, width);
}

TEST_CASE("Effectiveness has the right adjoint with sets of answers") {
  for (index_t width : {3, 17, 64})
    for (psi shape : {psi::hinge, psi::identity, psi::softplus})
      check_term(effectiveness{.margin = 1, .shape = shape}, width, 1.5, true);
}

TEST_CASE("Effectiveness is the shortfall of the logit difference from the margin, under psi") {
  const std::vector<double> z{9, 0.5, 2};  // D = -1.5
  CHECK(read({.margin = 1}, z, 1).value == 2.5);
  CHECK(read({.margin = 1}, z, 0.3).value == 2.5);  // only the sign of the strength counts
  CHECK(read({.margin = 1}, z, -1).value == 0);
  CHECK(read({.margin = 1, .shape = psi::identity}, z, -1).value == -0.5);
  CHECK(std::abs(read({.margin = 1, .shape = psi::softplus}, z, 1).value - std::log1p(std::exp(2.5))) < 1e-14);
  CHECK(std::abs(read({.margin = 1, .shape = psi::softplus}, z, -1).value - std::log1p(std::exp(-0.5))) < 1e-14);

  CHECK(read({.margin = 1}, z, 1).gradient == std::vector<double>{0, -1, 1});
  CHECK(read({.margin = 2}, z, -1).gradient == std::vector<double>{0, 1, -1});
  CHECK(read({.margin = 1}, z, -1).gradient == std::vector<double>{0, 0, 0});
}

TEST_CASE("The hinge has slope 0 at its kink") {
  CHECK(read({.margin = 1}, {9, 3, 2}, 1).value == 0);
  CHECK(read({.margin = 1}, {9, 3, 2}, 1).gradient == std::vector<double>{0, 0, 0});
}

TEST_CASE("At strength 0 effectiveness has no direction") {
  for (psi shape : {psi::hinge, psi::identity, psi::softplus})
    CHECK(read({.margin = 1, .shape = shape}, {9, 0.5, 2}, 0).gradient == std::vector<double>{0, 0, 0});
}

TEST_CASE("Softplus bears large shortfalls") {
  CHECK(read({.margin = 0, .shape = psi::softplus}, {0, 0, 1e6}, 1).value == 1e6);
  CHECK(std::abs(read({.margin = 0, .shape = psi::softplus}, {0, 1e6, 0}, 1).value) < 1e-300);
  CHECK(read({.margin = 0, .shape = psi::softplus}, {0, 0, 1e6}, 1).gradient == std::vector<double>{0, -1, 1});
}

TEST_CASE("NaN logits give a NaN effectiveness, not 0") {
  const double nan = std::nan("");
  const std::vector<double> logits{nan, nan, nan};
  for (auto shape : {objective::psi::hinge, objective::psi::identity, objective::psi::softplus}) {
    double value = 0, beta = 1;
    int correct = 0, wrong = 1;
    eigen_backend<double>(1).values(
        objective::effectiveness{.shape = shape}, 1, 3, &value,
        operand<per_channel<"h">, const double>{logits.data(), 3}, operand<per_row<"beta">, const double>{&beta, 1},
        operand<per_row<"correct">, const int>{&correct, 1}, operand<per_row<"wrong">, const int>{&wrong, 1});
    CHECK(std::isnan(value));
  }
}

TEST_CASE("Softplus does not underflow to 0 in float") {
  const std::vector<float> logits{19.0f, 0.0f, 0.0f};  // u = 1 - 19
  float value = 0, beta = 1, share = 1;
  std::vector<float> gradient(3, 0.0f);
  int correct = 0, wrong = 1;
  const auto run = [&](auto f) {
    f(operand<per_channel<"h">, const float>{logits.data(), 3}, operand<per_row<"beta">, const float>{&beta, 1},
      operand<per_row<"correct">, const int>{&correct, 1}, operand<per_row<"wrong">, const int>{&wrong, 1});
  };
  const objective::effectiveness term{.shape = objective::psi::softplus};
  run([&](auto... operands) { eigen_backend<float>(1).values(term, 1, 3, &value, operands...); });
  run([&](auto... operands) {
    eigen_backend<float>(1).gradients(term, 1, 3, operands...,
                                      operand<gradient_of<per_channel<"h">>, float>{gradient.data(), 3},
                                      operand<gradient_of<per_row<"value">>, const float>{&share, 1});
  });
  const double exact = std::exp(-18.0);
  CHECK(std::abs(static_cast<double>(value) / exact - 1) < 1e-6);
  CHECK(std::abs(static_cast<double>(gradient[1]) / exact - 1) < 1e-6);
}

}  // namespace trimtab::test::effectiveness_tests
