// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/low_rank.hpp>

#include "support/gradients.hpp"

namespace trimtab::test::low_rank_tests {

using policy::low_rank;

TEST_CASE("low_rank has the right adjoint and is the identity with zeros") {
  SECTION("of rank 1") { check_policy(low_rank<1>{}); }
  SECTION("of rank 4") { check_policy(low_rank<4>{}); }
}

TEST_CASE("low_rank is h + beta W'(R h + b)") {
  const std::vector<double> h{1, -2};
  const std::vector<double> theta{1, 0, 0,   3,     // W, its rows what is written
                                  2, 1, 0.5, -0.5,  // R, its rows what is read: R h = (0, 1.5)
                                  4, -1};           // b
  const checks::policy_run<double, low_rank<2>> run({}, {2, {0}, {2}});
  CHECK(run.forward(h, theta) == std::vector<double>{1 + 2 * 4, -2 + 2 * 3 * 0.5});
}

TEST_CASE("low_rank starts at W = 0, the identity whatever it reads") {
  STATIC_REQUIRE(starts_at_identity<low_rank<2>>());
  STATIC_REQUIRE(weighing_of<low_rank<2>>(low_rank<2>::write) == weighing::each);
  STATIC_REQUIRE(weighing_of<low_rank<2>>(low_rank<2>::read) == weighing::none);
  STATIC_REQUIRE(weighing_of<low_rank<2>>(low_rank<2>::bias) == weighing::none);
  random_generator random(1);
  const std::vector<double> h{0.3, -2, 7};
  std::vector<double> theta;
  low_rank<2>::parameters.apply(3, [&](auto... p) {
    const auto fill = [&](auto place) {
      for (index_t j = 0; j < place.extent; ++j) theta.push_back(start_of<low_rank<2>>(place.name, random, 3));
    };
    (fill(p), ...);
  });
  CHECK(std::ranges::count(theta, 0.0) == 6 + 2);
  const checks::policy_run<double, low_rank<2>> run({}, {3, {0}, {1}});
  CHECK(run.forward(h, theta) == h);
}

}  // namespace trimtab::test::low_rank_tests
