// SPDX-License-Identifier: Apache-2.0
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/objective/retention.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::faithfulness_tests {

using objective::faithfulness, objective::kl_direction, objective::vocabulary;

namespace {

constexpr int correct = 1, wrong = 3;

template <typename T>
T value_of(faithfulness term, const std::vector<T>& logits, const std::vector<T>& reference) {
  T value = 0;
  eigen_backend<T>(1).values(
      term, 1, static_cast<index_t>(logits.size()), &value, operand<per_channel<"h">, const T>{logits.data()},
      operand<per_channel<"reference">, const T>{reference.data()}, operand<per_row<"correct">, const int>{&correct},
      operand<per_row<"wrong">, const int>{&wrong});
  return value;
}

template <typename T>
std::vector<T> gradient_of_row(faithfulness term, const std::vector<T>& logits, const std::vector<T>& reference) {
  std::vector<T> gradient(logits.size());
  const T one = 1;
  eigen_backend<T>(1).gradients(
      term, 1, static_cast<index_t>(logits.size()), operand<per_channel<"h">, const T>{logits.data()},
      operand<per_channel<"reference">, const T>{reference.data()},
      operand<gradient_of<per_channel<"h">>, T>{gradient.data()}, operand<per_row<"correct">, const int>{&correct},
      operand<per_row<"wrong">, const int>{&wrong}, operand<gradient_of<per_row<"value">>, const T>{&one});
  return gradient;
}

/// The KL divergence of two rows of logits, over all tokens or over all but the answers.
double kl(const std::vector<double>& p_logits, const std::vector<double>& q_logits, bool masked) {
  std::vector<double> p, q;
  double p_sum = 0, q_sum = 0;
  for (std::size_t j = 0; j < p_logits.size(); ++j) {
    if (masked and (j == correct or j == wrong)) continue;
    p_sum += p.emplace_back(std::exp(p_logits[j]));
    q_sum += q.emplace_back(std::exp(q_logits[j]));
  }
  double sum = 0;
  for (std::size_t j = 0; j < p.size(); ++j) sum += p[j] / p_sum * std::log(p[j] / p_sum / (q[j] / q_sum));
  return sum;
}

std::vector<faithfulness> every_variant() {
  std::vector<faithfulness> all;
  for (vocabulary over : {vocabulary::masked, vocabulary::full})
    for (kl_direction direction : {kl_direction::forward, kl_direction::reverse}) all.push_back({over, direction});
  return all;
}

}  // namespace

TEST_CASE("Faithfulness has the right adjoint with sets of answers, and so has retention") {
  for (index_t width : {7, 17, 64})
    for (const faithfulness& term : every_variant()) check_term(term, width, 1.5, true);
  for (index_t width : {3, 17, 64}) check_term(objective::retention{}, width);
}

TEST_CASE("Retention is the divergence over the whole vocabulary") {
  const std::vector<double> z{1, 2, 0.5, -1}, reference{0, 1, 3, 2};
  double value = 0;
  eigen_backend<double>(1).values(
      objective::retention{}, 1, 4, &value, operand<per_channel<"h">, const double>{z.data()},
      operand<per_channel<"reference">, const double>{reference.data()},
      operand<per_row<"correct">, const int>{&correct}, operand<per_row<"wrong">, const int>{&wrong});
  CHECK(std::abs(value - kl(reference, z, false)) < 1e-14);
}

TEST_CASE("Faithfulness has the right adjoint in all its forms") {
  for (index_t width : {4, 5, 17, 64})
    for (faithfulness term : every_variant()) check_term(term, width);
}

TEST_CASE("Faithfulness is a Kullback-Leibler divergence") {
  const auto z = random_matrix<double>(1, 9, 1, 2).values, z0 = random_matrix<double>(1, 9, 2, 2).values;
  for (faithfulness term : every_variant()) {
    const bool masked = term.over == vocabulary::masked;
    const double expected = term.direction == kl_direction::forward ? kl(z0, z, masked) : kl(z, z0, masked);
    CHECK(std::abs(value_of(term, z, z0) - expected) < 1e-14);
  }
}

TEST_CASE("The masked divergence does not see the answers") {
  auto z = random_matrix<double>(1, 9, 1, 2).values;
  const auto z0 = random_matrix<double>(1, 9, 2, 2).values;
  const auto before = value_of({}, z, z0);
  z[correct] = 50, z[wrong] = -50;
  CHECK(value_of({}, z, z0) == before);
  const auto gradient = gradient_of_row<double>({}, z, z0);
  CHECK(gradient[correct] == 0);
  CHECK(gradient[wrong] == 0);
}

TEST_CASE("The divergence from itself is zero, and so is its gradient") {
  const auto z = random_matrix<float>(1, 501, 1, 3).values;
  for (faithfulness term : every_variant()) {
    CHECK(value_of(term, z, z) == 0);
    for (float g : gradient_of_row(term, z, z)) CHECK(std::abs(g) < 1e-12f);
  }
}

TEST_CASE("With no token besides the answers the divergence is 0") {
  const std::vector<double> z4{1, 2, 3, 4}, y4{4, 3, 2, 1};
  for (kl_direction direction : {kl_direction::forward, kl_direction::reverse}) {
    const faithfulness term{vocabulary::masked, direction};
    const int first = 0, second = 1, third = 2;
    for (index_t width : {2, 3}) {
      double value = -1, one = 1;
      std::vector<double> gradient(4);
      const int other = width == 3 ? third : second;
      const operand<per_row<"correct">, const int> c{&first};
      const operand<per_row<"wrong">, const int> w{&other};
      const operand<per_channel<"h">, const double> h{z4.data()};
      const operand<per_channel<"reference">, const double> reference{y4.data()};
      const eigen_backend<double> backend(1);
      backend.values(term, 1, width, &value, h, reference, c, w);
      backend.gradients(term, 1, width, h, reference, c, w,
                        operand<gradient_of<per_channel<"h">>, double>{gradient.data()},
                        operand<gradient_of<per_row<"value">>, const double>{&one});
      CHECK(value == 0);
      CHECK(gradient == std::vector<double>(4));
    }
  }
}

TEST_CASE("Logits far apart give a finite divergence") {
  std::vector<float> z(9, -1e4f), z0(9, -1e4f);
  z[0] = 1e4f, z0[2] = 1e4f;
  for (faithfulness term : every_variant()) {
    CHECK(std::isfinite(value_of(term, z, z0)));
    CHECK(value_of(term, z, z0) > 1e4f);
    for (float g : gradient_of_row(term, z, z0)) CHECK(std::isfinite(g));
  }
}

}  // namespace trimtab::test::faithfulness_tests
