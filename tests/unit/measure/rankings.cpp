// SPDX-License-Identifier: Apache-2.0
#include <trimtab/measure/rankings.hpp>

#include "support/catch.hpp"

namespace trimtab::test::rankings_tests {

namespace {

/// Kendall's τ-b by its definition, over all pairs.
double kendall_of_pairs(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0, untied_a = 0, untied_b = 0;
  const auto sign = [](double x) { return (x > 0) - (x < 0); };
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const int x = sign(a[i] - a[j]), y = sign(b[i] - b[j]);
      sum += x * y, untied_a += x != 0, untied_b += y != 0;
    }
  return sum / std::sqrt(untied_a * untied_b);
}

}  // namespace

TEST_CASE("Equal numbers share the mean of their ranks") {
  CHECK(ranks_of(std::vector<double>{3, 1, 3, 7}) == std::vector<double>{2.5, 4, 2.5, 1});
  CHECK(order_by(std::vector<double>{3, 1, 3, 7}) == std::vector<std::size_t>{3, 0, 2, 1});
  CHECK(sizes_of(std::vector<double>{-2, std::nan(""), 1}) == std::vector<double>{2, 0, 1});
}

TEST_CASE("Rankings that agree, and those that are opposite") {
  const std::vector<double> a{0.1, 5, 3, 2}, reversed{9, 1, 2, 3}, squares{0.01, 25, 9, 4}, same{1, 1, 1, 1};
  CHECK(spearman(a, squares) == 1);
  CHECK(kendall(a, squares) == 1);
  CHECK(spearman(a, reversed) == -1);
  CHECK(kendall(a, reversed) == -1);
  CHECK(spearman(a, same) == 0);
  CHECK(kendall(a, same) == 0);
}

TEST_CASE("Ties count half in Spearman's rho, and as in the definition of Kendall's tau-b") {
  // Ranks 1, 2.5, 2.5, 4 and 1, 4, 2.5, 2.5: deviations (−3, 0, 0, 3) / 2 and (−3, 3, 0, 0) / 2.
  CHECK(std::abs(spearman(std::vector<double>{1, 2, 2, 4}, std::vector<double>{1, 3, 2, 2}) - 0.5) < 1e-15);
  const std::vector<double> a{1, 2, 2, 4, 5, 7, 7, 7}, b{3, 1, 4, 1, 5, 9, 2, 6};
  CHECK(std::abs(kendall(a, b) - kendall_of_pairs(a, b)) < 1e-15);
  random_generator random(3);
  for (std::size_t count : {2u, 3u, 7u, 40u, 101u}) {
    std::vector<double> x, y;
    for (std::size_t i = 0; i < count; ++i) {
      x.push_back(i == 0 ? -1.0 : static_cast<double>(random.below(5)));
      y.push_back(i == 0 ? -1.0 : static_cast<double>(random.below(9)));
    }
    CHECK(std::abs(kendall(x, y) - kendall_of_pairs(x, y)) < 1e-14);
  }
}

TEST_CASE("The overlap is that of the first k places") {
  const std::vector<double> a{5, 4, 3, 2, 1}, b{1, 4, 5, 2, 3};
  CHECK(overlap(a, b, 1) == 0);
  CHECK(overlap(a, b, 2) == 0.5);
  CHECK(overlap(a, b, 3) == 2.0 / 3);
  CHECK(overlap(a, b, 5) == 1);
  CHECK(overlap(a, b, 0) == 0);
}

TEST_CASE("ROC area and recall count places that decide the answer") {
  const std::vector<bool> decides{true, false, true, false, false};
  CHECK(roc_area(std::vector<double>{5, 1, 4, 0, 2}, decides) == 1);
  CHECK(roc_area(std::vector<double>{0, 1, 0, 2, 3}, decides) == 0);
  CHECK(roc_area(std::vector<double>{1, 1, 1, 1, 1}, decides) == 0.5);
  CHECK(std::abs(roc_area(std::vector<double>{3, 2, 1, 1, 0}, decides) - (3 + 1.5) / 6) < 1e-15);
  CHECK(std::isnan(roc_area(std::vector<double>{3, 2, 1, 1, 0}, std::vector<bool>(5))));
  CHECK(recall(std::vector<double>{5, 1, 4, 0, 2}, decides, 2) == 1);
  CHECK(recall(std::vector<double>{5, 1, 0, 0, 2}, decides, 2) == 0.5);
  CHECK(recall(std::vector<double>{0, 0, 0, 0, 0}, decides, 2) == 0);
  CHECK(precision(std::vector<double>{5, 1, 4, 0, 2}, decides, 2) == 1);
  CHECK(precision(std::vector<double>{5, 1, 4, 0, 2}, decides, 4) == 0.5);
  CHECK(precision(std::vector<double>{5, 0, 0, 0, 0}, decides, 4) == 1);  // what has no number is not ranked
  CHECK(std::isnan(precision(std::vector<double>{0, 0, 0, 0, 0}, decides, 2)));
}

TEST_CASE("The agreement of mean scores has intervals over prompts") {
  const double none = std::nan("");
  const std::vector<std::vector<double>> alike(4, {1, -2, 3}), apart{{1, -2, 3}, {3, 1, -1}, {none, 5, 1}};
  const std::vector<double> other{0, 0.5, -1};
  const auto sure = compare_rankings(alike, other, 1);
  CHECK(sure.spearman.value == 1);
  CHECK(sure.spearman.low == 1);
  CHECK(sure.spearman.high == 1);
  CHECK(sure.overlap.value == 1);
  const auto unsure = compare_rankings(apart, other, 1);
  // The means are 2, 4/3 and 1.
  CHECK(std::abs(unsure.spearman.value - (-1)) < 1e-15);
  CHECK(std::abs(unsure.kendall.value - (-1)) < 1e-15);
  CHECK(unsure.overlap.value == 0);
  CHECK(unsure.spearman.low == -1);
  CHECK(unsure.spearman.high > 0.4);
}

TEST_CASE("Areas are those of the trapezoids") {
  const faithfulness_curve curve{{0, 0.5, 1}, {0, 0.8, 1.2}};
  CHECK(std::abs(curve.area() - (0.2 + 0.5)) < 1e-15);
  CHECK(std::abs(curve.area_to_one() - (0.3 + 0.1)) < 1e-15);
}

}  // namespace trimtab::test::rankings_tests
