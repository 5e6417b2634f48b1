// SPDX-License-Identifier: Apache-2.0
#include <trimtab/explain/interchange.hpp>

#include "support/gradients.hpp"

namespace trimtab::test::interchange_tests {

TEST_CASE("interchange has the right adjoint, and is the source at strength 1 and the identity at 0") {
  STATIC_REQUIRE(intervention_policy<explain::interchange>);
  for (index_t width : {1, 3, 17, 64}) {
    const steered_rows rows{width, {1, -1, 0, 2, 1, 0}, {1, 1, -1, 0.5, -1.5, 1}, static_cast<std::uint64_t>(width)};
    check_policy_gradient(explain::interchange{}, rows);
    check_policy_accumulates(explain::interchange{}, width);

    const auto h = random_matrix<float>(2, width, 1).values, source = random_matrix<float>(1, width, 2).values;
    const auto run = [&](double strength) {
      const steered_rows two{width, {0, -1}, {strength}};
      return checks::policy_run<float, explain::interchange>(explain::interchange{}, two).forward(h, source);
    };
    auto expected = h;
    CHECK(same_bits(run(0), expected));
    std::ranges::copy(source, expected.begin());
    CHECK(same_bits(run(1), expected));
  }
}

}  // namespace trimtab::test::interchange_tests
