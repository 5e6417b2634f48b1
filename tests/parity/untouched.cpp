// SPDX-License-Identifier: Apache-2.0

#include "parity/fixture.hpp"
#include "parity/models.hpp"
#include "parity/recorder.hpp"
#include "support/catch.hpp"

#include <trimtab/steer/steered.hpp>

namespace trimtab::test::untouched_tests {

TEST_CASE("untouched logits are those of the reference") {
  const std::string name = GENERATE(from_range(fixture_names));
  const std::string batch = GENERATE(as<std::string>{}, "ragged", "equal");
  CAPTURE(name, batch);
  const fixture& expected = read_fixture(name);
  const auto ids = ids_of(expected.batches.at(batch));
  const host_matrix<double>& every_position = expected.unsteered.at(batch);

  std::visit(
      [&](const auto& model) {
        CHECK(difference(logits(model, ids, scored::all), every_position) <= 1e-10);

        const host_matrix<double> last = logits(model, ids, scored::last);
        index_t row = -1;
        for (std::size_t n = 0; n < ids.size(); ++n) {
          row += static_cast<index_t>(ids[n].size());
          CAPTURE(n);
          CHECK(difference(rows_of(last.view(), static_cast<index_t>(n), 1), rows_of(every_position.view(), row, 1)) <=
                1e-10);
        }
      },
      read_model<double>(expected.folder));
}

TEST_CASE("untouched activations are those of the reference") {
  const std::string name = GENERATE(from_range(fixture_names));
  const fixture& expected = read_fixture(name);
  const std::vector<std::vector<int>> ids{expected.recorded.ids};
  const auto found =
      std::visit([&](const auto& model) { return record(model, ids); }, read_model<double>(expected.folder));

  CHECK(found.at.size() == expected.activations.size());
  for (const auto& [place, h] : expected.activations) {
    CAPTURE(name, place);
    CHECK(difference(found.at.at(place), h) <= 1e-10);
  }
}

}  // namespace trimtab::test::untouched_tests
