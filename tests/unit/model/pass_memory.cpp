// SPDX-License-Identifier: Apache-2.0
#include <trimtab/model/pass_memory.hpp>

#include <trimtab/backend/eigen.hpp>
#include <trimtab/model/workspace.hpp>

#include "support/catch.hpp"
#include "support/small_models.hpp"

namespace trimtab::test::pass_memory_tests {

namespace {

struct every_site {
  template <hook_site>
  static constexpr bool has = true;
  template <hook_site>
  static bool active(index_t) {
    return true;
  }
  static index_t lowest_layer() { return 0; }
};

}  // namespace

TEST_CASE("What arrives at a hook fits, whether the MLP is wider or narrower than the stream") {
  for (const index_t hidden : {3, 10, 19}) {
    model_config config = small_gpt2::config();
    config.hidden = hidden;
    const eigen_backend<float> backend(1);
    workspace<eigen_backend<float>> memory(backend);
    const hooked_sites hooked(every_site{}, config.layers);
    const auto planned =
        plan_pass<float>(memory, config, {7, 7, 2}, {0, config.layers}, hooked, pass_use::forward_only);
    CHECK(planned.forward.arrived.size() >= 7 * config.width);
    CHECK(planned.forward.arrived.size() >= 7 * hidden);
  }
}

}  // namespace trimtab::test::pass_memory_tests
