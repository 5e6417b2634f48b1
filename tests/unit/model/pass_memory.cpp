// SPDX-License-Identifier: Apache-2.0
#include <trimtab/model/pass_memory.hpp>

#include <trimtab/backend/eigen.hpp>
#include <trimtab/model/workspace.hpp>

#include "support/catch.hpp"
#include "support/small_models.hpp"

namespace trimtab::test::pass_memory_tests {

namespace {

/// Hooks at every site, which work in place in layer 1.
struct every_site {
  template <hook_site>
  static constexpr bool has = true;
  template <hook_site>
  static bool active(index_t) {
    return true;
  }
  template <hook_site>
  static bool in_place(index_t layer) {
    return layer == 1;
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

TEST_CASE("Hooks that work in place need no memory, but where a pass is observed or saves its activations") {
  const model_config config = small_gpt2::config();
  const auto needs = [&](bool watching, pass_use use, index_t layers) {
    const eigen_backend<float> backend(1);
    workspace<eigen_backend<float>> memory(backend);
    const hooked_sites hooked(every_site{}, config.layers, watching);
    const auto planned = plan_pass<float>(memory, config, {7, 7, 2}, {0, layers}, hooked, use);
    return planned.layers[static_cast<std::size_t>(layers - 1)].arrived[site_index<site::attn_out>].size() > 0;
  };
  CHECK_FALSE(needs(false, pass_use::forward_only, 2));
  CHECK(needs(true, pass_use::forward_only, 2));
  CHECK(needs(false, pass_use::forward_and_backward, 2));
  CHECK(needs(false, pass_use::forward_only, 1));
}

}  // namespace trimtab::test::pass_memory_tests
