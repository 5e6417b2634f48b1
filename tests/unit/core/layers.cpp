// SPDX-License-Identifier: Apache-2.0
#include <trimtab/core/layers.hpp>

#include "support/refusal.hpp"

namespace trimtab::test::layers_tests {

using list = std::vector<index_t>;

TEST_CASE("Layers are chosen before the model is known") {
  CHECK(layers::all().resolve(4) == list{0, 1, 2, 3});
  CHECK(layers::none().resolve(4) == list{});
  CHECK(layers::range(1, 3).resolve(4) == list{1, 2, 3});
  CHECK(layers::range(2, 2).resolve(4) == list{2});
  CHECK(layers::list({3, 0, 3}).resolve(4) == list{0, 3});  // in rising order, each once
}

TEST_CASE("A layer that the model lacks is refused") {
  CHECK_THAT(refusal(error_kind::bad_argument, [] { layers::range(2, 4).resolve(4); }),
             Catch::Matchers::ContainsSubstring("the model has no layer 4; its layers are 0 to 3"));
  CHECK_THAT(refusal(error_kind::bad_argument, [] { layers::list({-1}).resolve(4); }),
             Catch::Matchers::ContainsSubstring("no layer -1"));
}

TEST_CASE("An invalid range is refused") {
  CHECK_THAT(refusal(error_kind::bad_argument, [] { layers::range(3, 2); }),
             Catch::Matchers::ContainsSubstring("the layer range 3 to 2 is empty"));
  CHECK_THAT(refusal(error_kind::bad_argument, [] { layers::range(-1, 2); }),
             Catch::Matchers::ContainsSubstring("the layer range -1 to 2 begins before layer 0"));
  CHECK_THAT(refusal(error_kind::bad_argument, [] { layers::range(0, 2'000'000'000); }),
             Catch::Matchers::ContainsSubstring("has more layers than any model"));
}

}  // namespace trimtab::test::layers_tests
