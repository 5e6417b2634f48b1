// SPDX-License-Identifier: Apache-2.0
#include <trimtab/core/records.hpp>

#include "support/catch.hpp"

namespace trimtab::test::records_tests {

TEST_CASE("The plan brings the rows of a record together, in their order") {
  const record_plan plan({4, -1, 0, 4, 8, 0, -1});
  CHECK(plan.order == std::vector<int>{2, 5, 0, 3, 4});
  CHECK(plan.record_slot == std::vector<int>{0, 4, 8});
  CHECK(plan.piece_begin == std::vector<int>{0, 2, 4, 5});
  CHECK(plan.record_begin == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE("More rows than a piece holds are cut into pieces of 64") {
  std::vector<int> slots(200, 0);
  slots[10] = slots[20] = 7;
  const record_plan plan(slots);
  CHECK(plan.record_slot == std::vector<int>{0, 7});
  CHECK(plan.piece_begin == std::vector<int>{0, 64, 128, 192, 198, 200});
  CHECK(plan.record_begin == std::vector<int>{0, 4, 5});

  const record_plan exact(std::vector<int>(128, 3));
  CHECK(exact.piece_begin == std::vector<int>{0, 64, 128});
  CHECK(exact.record_begin == std::vector<int>{0, 2});
}

TEST_CASE("A plan without rows, or without rows that are steered, is empty") {
  for (const auto& slots : {std::vector<int>{}, std::vector<int>{-1, -1}}) {
    const record_plan plan(slots);
    CHECK(plan.order.empty());
    CHECK(plan.record_slot.empty());
    CHECK(plan.piece_begin == std::vector<int>{0});
    CHECK(plan.record_begin == std::vector<int>{0});
  }
}

}  // namespace trimtab::test::records_tests
