// SPDX-License-Identifier: Apache-2.0
#include <trimtab/core/random.hpp>
#include <trimtab/measure/pareto.hpp>

#include "support/catch.hpp"

#include <cmath>

namespace trimtab::test::pareto_tests {

namespace {

std::optional<std::size_t> knee_of_all(const std::vector<trade_off>& points) {
  return knee_of(points, front_of(points));
}

/// Points whose figures are few enough to tie.
std::vector<trade_off> random_points(std::size_t count, std::uint64_t seed) {
  random_generator random(seed);
  std::vector<trade_off> points;
  for (std::size_t i = 0; i < count; ++i)
    points.push_back({static_cast<double>(random.below(5)) / 4, static_cast<double>(random.below(5)) / 8,
                      static_cast<index_t>(random.below(5))});
  return points;
}

}  // namespace

TEST_CASE("The front holds the points that no other betters, and equal points together") {
  const std::vector<trade_off> points{{.9, .2, 5}, {.9, .3, 5}, {.5, .1, 5}, {.9, .2, 5}, {.8, .2, 2}, {.7, .2, 2}};
  CHECK(front_of(points) == std::vector<std::size_t>{0, 2, 3, 4});
  CHECK(dominates(points[4], points[5]));
  CHECK_FALSE(dominates(points[0], points[3]));
  CHECK_FALSE(dominates(points[0], points[4]));
  CHECK(front_of({}).empty());
}

TEST_CASE("The knee is the point farthest from the chord between the ends, in scaled figures") {
  // A straight line in flips and places, at one KL, but for the third point: with 3 places it flips almost as often.
  const std::vector<trade_off> points{{1, .1, 9}, {.75, .1, 7}, {.9, .1, 3}, {.2, .1, 2}, {0, .1, 1}};
  CHECK(knee_of_all(points) == 2u);

  // By hand: scaled, the ends are (1, 1, 1) and (0, 0, 0), and the distances from the diagonal are those of
  // (.8, .3, .3) and (.5, .2, .6): √(.82 − 1.96/3) = .408 and √(.65 − 1.69/3) = .294.
  const std::vector<trade_off> cube{{1, 1, 10}, {.8, .3, 3}, {.5, .2, 6}, {0, 0, 0}};
  CHECK(front_of(cube).size() == 4);
  CHECK(knee_of_all(cube) == 1u);
  // Ten times the KL or the places change nothing.
  auto scaled = cube;
  for (trade_off& p : scaled) p.kl *= 10, p.places *= 10;
  CHECK(knee_of_all(scaled) == 1u);

  CHECK(knee_of_all({{.5, .1, 3}}) == 0u);
  CHECK(knee_of_all({{.5, .3, 3}, {.4, .1, 5}}) == 0u);  // both ends are one point
  CHECK(not knee_of_all({}));
}

TEST_CASE("The hypervolume is the share of a grid of cells that the points cover") {
  CHECK(hypervolume(std::vector<trade_off>{{.5, .25, 2}}, 1, 10) == .5 * .75 * 8);
  CHECK(hypervolume({}, 1, 10) == 0);
  for (std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    const auto points = random_points(6, seed);
    const double worst = .5;
    const index_t all = 4;
    double volume = 0;  // of the cells [f, f + 1] / 4 × [k, k + 1] / 8 × [p, p + 1]
    for (int f = 0; f < 4; ++f)
      for (int k = 0; k < 4; ++k)
        for (index_t p = 0; p < all; ++p)
          volume +=
              std::ranges::any_of(
                  points, [&](const trade_off& x) { return x.flip_rate * 4 > f and x.kl * 8 <= k and x.places <= p; })
                  ? 1.0 / 32
                  : 0;
    CAPTURE(seed);
    CHECK(std::abs(hypervolume(points, worst, all) - volume) < 1e-15);
    std::vector<trade_off> front;
    for (std::size_t i : front_of(points)) front.push_back(points[i]);
    CHECK(std::abs(hypervolume(front, worst, all) - volume) < 1e-15);
    CHECK(volume > 0);
  }
}

}  // namespace trimtab::test::pareto_tests
