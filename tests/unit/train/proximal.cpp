// SPDX-License-Identifier: Apache-2.0
#include <trimtab/train/proximal.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::proximal_tests {

namespace {

constexpr per_channel<"step"> step{};

/// The proximal step alone, with the given thresholds.
struct shrinking {
  parameter_norm norm;

  constexpr void forward(row auto& r) const {
    shrink(r, norm, [&](auto j) { return r(step, j); });
  }
};

struct with_subgradient {
  parameter_norm norm;

  constexpr void forward(row auto& r) const { add_subgradient(r, 0.5, norm); }
};

template <typename T>
std::vector<T> shrunk(parameter_norm norm, std::vector<T> u, const std::vector<T>& thresholds) {
  eigen_backend<T>(1).forward(shrinking{norm}, 1, static_cast<index_t>(u.size()),
                              operand<per_channel<"theta">, T>{u.data()},
                              operand<per_channel<"step">, const T>{thresholds.data()});
  return u;
}

/// The proximal step for a record whose numbers are weighed by these units.
struct shrinking_units {
  parameter_norm norm;
  record_units units;

  constexpr void forward(row auto& r) const {
    shrink(
        r, norm, [&](auto j) { return r(step, j); }, units);
  }
};

double norm(const std::vector<double>& x) {
  double square = 0;
  for (double v : x) square += v * v;
  return std::sqrt(square);
}

/// The function that the proximal point minimises, with thresholds t_j: Σ (θ_j − u_j)² / (2 t_j) + ‖θ‖.
double energy(const std::vector<double>& theta, const std::vector<double>& u, const std::vector<double>& t) {
  double sum = norm(theta);
  for (std::size_t j = 0; j < u.size(); ++j) sum += (theta[j] - u[j]) * (theta[j] - u[j]) / (2 * t[j]);
  return sum;
}

std::vector<double> positive(index_t n, std::uint64_t seed, double scale) {
  auto t = random_matrix<double>(1, n, seed).values;
  for (double& x : t) x = scale * std::exp(x);
  return t;
}

}  // namespace

TEST_CASE("The sum of absolute values shrinks each number by its own threshold, to an exact 0") {
  const std::vector<double> u{3, -3, 0.5, -0.5, 0, 1}, t{1, 2, 0.6, 0.6, 0.1, 1};
  const std::vector<double> expected{2, -1, 0, 0, 0, 0};
  CHECK(shrunk(parameter_norm::sum, u, t) == expected);
  CHECK(shrunk(parameter_norm::mean, u, t) == expected);  // the weight already carries the count
  for (double x : shrunk(parameter_norm::sum, u, t)) CHECK_FALSE((x == 0 and std::signbit(x)));
}

TEST_CASE("The proximal point of the Euclidean norm meets its optimality condition") {
  int zeros = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const auto n = static_cast<index_t>(1 + seed % 19);
    const auto u = random_matrix<double>(1, n, seed).values,
               t = positive(n, seed + 100, std::pow(10.0, static_cast<double>(seed % 7) - 4));
    const auto theta = shrunk(parameter_norm::group, u, t);
    CAPTURE(seed, n);
    if (norm(theta) == 0) {
      // 0 is optimal where the slope of the smooth part at 0 lies in the unit ball.
      std::vector<double> slope;
      for (std::size_t j = 0; j < u.size(); ++j) slope.push_back(u[j] / t[j]);
      CHECK(norm(slope) <= 1);
      ++zeros;
      continue;
    }
    double worst = 0;
    for (std::size_t j = 0; j < u.size(); ++j)
      worst = std::max(worst, std::abs(theta[j] - u[j] + t[j] * theta[j] / norm(theta)));
    CHECK(worst <= 1e-14 * (1 + norm(u)));
  }
  CHECK(zeros > 5);
  CHECK(zeros < 50);
}

TEST_CASE("No point near the proximal point is better") {
  random_generator random(3);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto u = random_matrix<double>(1, 3, seed).values, t = positive(3, seed + 100, 0.3);
    const auto theta = shrunk(parameter_norm::group, u, t);
    const double least = energy(theta, u, t);
    CHECK(least <= energy({0, 0, 0}, u, t));
    for (int k = 0; k < 300; ++k) {
      auto near = theta;
      for (double& x : near) x += (k < 150 ? 1e-4 : 0.5) * random.normal();
      if (not(energy(near, u, t) >= least)) FAIL_CHECK("seed " << seed << ", try " << k);
    }
  }
}

TEST_CASE("With equal thresholds the group is shrunk by one factor") {
  const std::vector<double> u{3, 4};
  CHECK(largest_difference(shrunk(parameter_norm::group, u, {1, 1}), {2.4, 3.2}) < 1e-15);
  CHECK(shrunk(parameter_norm::group, u, {5, 5}) == std::vector<double>{0, 0});
  CHECK(shrunk(parameter_norm::group, u, {5.1, 6}) == std::vector<double>{0, 0});
  CHECK(shrunk(parameter_norm::group, std::vector<double>{0, 0}, {0.1, 0.1}) == std::vector<double>{0, 0});
}

TEST_CASE("Tiny thresholds leave the parameters as they are") {
  for (float t : {1e-6f, 1e-12f, 1e-20f, 1e-30f}) {
    CAPTURE(t);
    const std::vector<float> u{0.3f, -1.2f, 0, 1e-3f};
    const auto theta = shrunk(parameter_norm::group, u, {t, t, t / 10, t * 10});
    for (std::size_t j = 0; j < u.size(); ++j) CHECK(std::abs(theta[j] - u[j]) <= 2e-6f);
  }
  const std::vector<float> u{1e-10f, 1};  // with a threshold far above the first number, and one far below the second
  const auto theta = shrunk(parameter_norm::group, u, {1e6f, 1e-20f});
  CHECK(std::abs(theta[1] - 1) < 1e-6f);
  CHECK(std::abs(theta[0]) < 1e-15f);
}

TEST_CASE("The subgradient of a norm is added to the gradient, and is 0 at 0") {
  std::vector<double> theta{3, -4, 0}, gradient{1, 1, 1};
  const auto run = [&](parameter_norm by) {
    auto g = gradient;
    eigen_backend<double>(1).forward(with_subgradient{by}, 1, 3, operand<per_channel<"theta">, double>{theta.data()},
                                     operand<gradient_of<per_channel<"theta">>, double>{g.data()});
    return g;
  };
  CHECK(run(parameter_norm::sum) == std::vector<double>{1.5, 0.5, 1});
  CHECK(run(parameter_norm::mean) == std::vector<double>{1.5, 0.5, 1});
  CHECK(largest_difference(run(parameter_norm::group), {1.3, 0.6, 1}) < 1e-15);
  theta = {0, 0, 0};
  CHECK(run(parameter_norm::group) == gradient);
}

TEST_CASE("Of a record that is weighed in parts, each part has its own proximal point") {
  const std::vector<int> unit{0, -1, 1, 2, 1, -1, 2};
  const std::vector<double> u{3, 5, 3, 1, 4, -7, 0}, t{1, 1, 2, 3, 2, 1, 3};
  const auto run = [&](parameter_norm by) {
    auto theta = u;
    eigen_backend<double>(1).forward(shrinking_units{by, {unit.data(), 2}}, 1, std::ssize(theta),
                                     operand<per_channel<"theta">, double>{theta.data()},
                                     operand<per_channel<"step">, const double>{t.data()});
    return theta;
  };
  CHECK(largest_difference(run(parameter_norm::sum), {2, 5, 3 * 0.6, 0, 4 * 0.6, -7, 0}) < 1e-14);
  CHECK(same_bits(run(parameter_norm::mean), run(parameter_norm::sum)));
  const auto group = shrunk(parameter_norm::group, std::vector<double>{3, 3, 1, 4, 0}, {1, 2, 3, 2, 3});
  CHECK(largest_difference(run(parameter_norm::group), {group[0], 5, group[1], group[2], group[3], -7, group[4]}) <
        1e-14);
}

TEST_CASE("NaN parameters stay NaN") {
  for (auto norm : {parameter_norm::sum, parameter_norm::mean, parameter_norm::group}) {
    host_matrix<double> u(1, 2), steps(1, 2);
    u.values = {std::nan(""), 5};
    steps.values = {0.1, 0.1};
    eigen_backend<double>(1).forward(shrinking{norm}, 1, 2, each_row(name::theta, u.view()),
                                     each_row(step, steps.view()));
    CHECK(std::isnan(u(0, 0)));
  }
}

}  // namespace trimtab::test::proximal_tests
