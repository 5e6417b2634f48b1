// SPDX-License-Identifier: Apache-2.0
#include <trimtab/train/adam.hpp>

#include "support/gradients.hpp"
#include "support/refusal.hpp"

#include <cmath>

namespace trimtab::test::adam_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

constexpr index_t records = 3, size = 5;

/// The gradients of step t; that of record 1 is 0, so it must not move.
std::vector<double> gradients_of(index_t t) {
  auto g = random_matrix<double>(1, records * size, static_cast<std::uint64_t>(t)).values;
  for (std::size_t j = size; j < 2 * size; ++j) g[j] = 0;
  return g;
}

template <typename T>
std::vector<double> trajectory(const adam& by, penalty p, index_t steps, double start = 0) {
  std::vector<T> theta(records * size, static_cast<T>(start)), first(theta.size()), second(theta.size());
  for (index_t t = 1; t <= steps; ++t) {
    const auto host = gradients_of(t);
    std::vector<T> gradient(host.begin(), host.end());
    const auto record = [&](std::vector<T>& v) { return matrix_view<T>{v.data(), records, size}; };
    eigen_backend<T>(1).forward(by.update(t, p), records, size, each_row(name::theta, record(theta)),
                                each_row(grad(name::theta), record(gradient)),
                                each_row(name::first_moment, record(first)),
                                each_row(name::second_moment, record(second)));
  }
  return {theta.begin(), theta.end()};
}

/// The root s of Σ (u_j / (s + t_j))² = 1, by bisection.
double group_root(const std::vector<double>& u, const std::vector<double>& t) {
  double low = 0, high = 0;
  for (double x : u) high += std::abs(x);
  for (int k = 0; k < 200; ++k) {
    const double middle = (low + high) / 2;
    double sum = 0;
    for (std::size_t j = 0; j < u.size(); ++j) sum += std::pow(u[j] / (middle + t[j]), 2);
    (sum > 1 ? low : high) = middle;
  }
  return low;
}

/// Kingma and Ba's algorithm with the penalty's proximal step, written out.
std::vector<double> written_out(const adam& by, penalty p, index_t steps, double start = 0) {
  std::vector<double> theta(records * size, start), m(theta.size()), v(theta.size());
  for (index_t t = 1; t <= steps; ++t) {
    auto g = gradients_of(t);
    if (by.subgradient)
      for (std::size_t j = 0; j < g.size(); ++j) {
        if (p.norm != parameter_norm::group) {
          g[j] += theta[j] > 0 ? p.weight : theta[j] < 0 ? -p.weight : 0;
          continue;
        }
        double square = 0;
        for (std::size_t k = j / size * size; k < (j / size + 1) * size; ++k) square += theta[k] * theta[k];
        if (square > 0) g[j] += p.weight * theta[j] / std::sqrt(square);
      }
    std::vector<double> threshold;
    for (std::size_t j = 0; j < g.size(); ++j) {
      m[j] = by.beta_1 * m[j] + (1 - by.beta_1) * g[j];
      v[j] = by.beta_2 * v[j] + (1 - by.beta_2) * g[j] * g[j];
      const double m_hat = m[j] / (1 - std::pow(by.beta_1, t)), v_hat = v[j] / (1 - std::pow(by.beta_2, t));
      const double eta = by.learning_rate / (std::sqrt(v_hat) + by.epsilon);
      theta[j] -= eta * m_hat;
      threshold.push_back(eta * p.weight);
    }
    if (by.subgradient or p.weight == 0) continue;
    if (p.norm != parameter_norm::group) {
      for (std::size_t j = 0; j < theta.size(); ++j)
        theta[j] = std::copysign(std::max(0.0, std::abs(theta[j]) - threshold[j]), theta[j]);
      continue;
    }
    for (std::size_t r = 0; r < theta.size(); r += size) {
      const auto begin = theta.begin() + static_cast<std::ptrdiff_t>(r);
      const std::vector<double> u(begin, begin + size), t_j(threshold.begin() + static_cast<std::ptrdiff_t>(r),
                                                            threshold.begin() + static_cast<std::ptrdiff_t>(r) + size);
      const double s = group_root(u, t_j);
      for (std::size_t j = 0; j < size; ++j) theta[r + j] = s <= 1e-300 ? 0 : u[j] * s / (s + t_j[j]);
    }
  }
  return theta;
}

}  // namespace

TEST_CASE("Adam follows its definition, with every form of the penalty") {
  for (penalty p : {penalty{}, penalty{0.2, parameter_norm::sum}, penalty{0.2, parameter_norm::mean},
                    penalty{0.3, parameter_norm::group}})
    for (bool subgradient : {false, true}) {
      const adam by{.learning_rate = 0.05, .subgradient = subgradient};
      CAPTURE(p.weight, static_cast<int>(p.norm), subgradient);
      const auto expected = written_out(by, p, 25);
      CHECK(largest(expected) > 0.01);
      CHECK(largest_difference(trajectory<double>(by, p, 25), expected) < 1e-13);
      CHECK(largest_difference(trajectory<float>(by, p, 25), expected) < (subgradient ? 0.1 : 1e-5));
      CHECK(largest_difference(trajectory<double>(by, p, 25, 0.7), written_out(by, p, 25, 0.7)) < 1e-13);
    }
}

TEST_CASE("Adam's decays and epsilon are its own") {
  const adam by{.learning_rate = 0.01, .beta_1 = 0.5, .beta_2 = 0.9, .epsilon = 0.1};
  CHECK(largest_difference(trajectory<double>(by, {}, 10), written_out(by, {}, 10)) < 1e-14);
}

TEST_CASE("The first step has the length of the learning rate") {
  const auto theta = trajectory<double>(adam{.learning_rate = 0.03}, {}, 1);
  const auto g = gradients_of(1);
  for (std::size_t j = 0; j < theta.size(); ++j)
    CHECK(std::abs(theta[j] + (g[j] > 0 ? 0.03 : g[j] < 0 ? -0.03 : 0)) < 1e-7);
}

TEST_CASE("A parameter whose gradient was always 0 stays where it is") {
  for (penalty p : {penalty{}, penalty{0.2, parameter_norm::sum}, penalty{0.2, parameter_norm::group}}) {
    const auto theta = trajectory<double>(adam{}, p, 10);
    for (std::size_t j = size; j < 2 * size; ++j) CHECK(theta[j] == 0);
  }
}

TEST_CASE("A penalty stronger than the gradient keeps exact zeros, and the subgradient does not") {
  for (parameter_norm norm : {parameter_norm::sum, parameter_norm::group}) {
    CHECK(trajectory<float>(adam{}, {100, norm}, 20) == std::vector<double>(records * size));
    const auto dithering = trajectory<float>(adam{.subgradient = true}, {100, norm}, 20);
    CHECK(largest(dithering) > 0);
  }
}

TEST_CASE("The learning rate warms up evenly and falls along half a cosine") {
  const adam plain{.learning_rate = .5};
  CHECK((plain.rate(1) == .5 and plain.rate(100'000) == .5));
  const adam both{.learning_rate = .5, .warmup = 4, .cosine = 10};
  CHECK((both.rate(1) == .125 and both.rate(3) == .375 and both.rate(4) == .5 and both.rate(5) == .5));
  CHECK(std::abs(both.rate(8) - .25) < 1e-15);
  CHECK(std::abs(both.rate(10) - .25 * (1 - std::sqrt(.75))) < 1e-15);
  CHECK((both.rate(11) < 1e-16 and both.rate(500) < 1e-16));
  CHECK(adam{.learning_rate = .5, .cosine = 2}.rate(1) == .5);
  CHECK(both.update(3, {}).learning_rate == .375);
  // Only those that are set tell two fits apart, so that older checkpoints go on.
  CHECK(settings_of(both).size() == settings_of(plain).size() + 2);
}

TEST_CASE("Settings with which no step can be made are refused") {
  for (const adam wrong : {adam{.warmup = -1}, adam{.cosine = -1}, adam{.warmup = 3, .cosine = 3}})
    CHECK_THAT(refusal(error_kind::bad_argument, [&] { wrong.check(); }), ContainsSubstring("it must be"));
  const auto sentence = [](const adam& by) { return refusal(error_kind::bad_argument, [&] { by.check(); }); };
  for (double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    CHECK_THAT(sentence({.learning_rate = bad}), ContainsSubstring("learning rate") && ContainsSubstring("positive"));
    CHECK_THAT(sentence({.epsilon = bad}), ContainsSubstring("epsilon"));
  }
  for (double bad : {1.0, -0.1, std::nan("")}) {
    CHECK_THAT(sentence({.beta_1 = bad}), ContainsSubstring("beta_1"));
    CHECK_THAT(sentence({.beta_2 = bad}), ContainsSubstring("beta_2"));
  }
  CHECK_NOTHROW(adam{}.check());
}

}  // namespace trimtab::test::adam_tests
