// SPDX-License-Identifier: Apache-2.0
#include <trimtab/steer/observe.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::observe_tests {

TEMPLATE_TEST_CASE("Activations are those of every token in every block, and the stream adds up", "", small_gpt2,
                   small_neox_parallel) {
  const auto model = small_model<TestType, double>();
  const auto& config = model.config();
  const auto prompts = random_prompts(config, {4, 1, 3});
  const auto found = activations(model, std::span<const prompt_pair>(prompts),
                                 {"resid_pre", "attn_out", "mlp_out", "resid_post", "attn_z"});
  REQUIRE(found.size() == 5);
  for (const auto& [name, blocks] : found) {
    CAPTURE(name);
    REQUIRE(std::ssize(blocks) == config.layers);
    for (const auto& block : blocks) {
      CHECK(block.rows == (name == "attn_z" ? 8 * config.heads : 8));
      CHECK(block.cols == (name == "attn_z" ? config.width / config.heads : config.width));
    }
  }
  for (std::size_t l = 0; l < static_cast<std::size_t>(config.layers); ++l) {
    const auto &before = found.at("resid_pre")[l].values, &after = found.at("resid_post")[l].values;
    const auto &attention = found.at("attn_out")[l].values, &mlp = found.at("mlp_out")[l].values;
    for (std::size_t i = 0; i < before.size(); ++i)
      CHECK(std::abs(before[i] + attention[i] + mlp[i] - after[i]) < 1e-12);
    if (l > 0) CHECK(before == found.at("resid_post")[l - 1].values);
  }
}

TEST_CASE("Observing a steered model shows the activations before and after each intervention") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = random_prompts(model.config(), {4, 2});
  const auto composition =
      steer(model, at(site::attn_out{}, policy::activ_scalar{}, layers::list({1}), positions::from_end(1)));
  const parameters values{composition.layout(prompts), {0.25}};
  int seen = 0;
  observe(composition, values, prompts, -1.0, [&]<typename Site>(Site, index_t layer, auto h, auto out) {
    if (Site::text != "attn_out" or layer != 1) return;
    ++seen;
    REQUIRE(h.rows == 6);
    for (const index_t row : {0, 1, 2, 3, 4, 5})
      for (index_t j = 0; j < h.cols; ++j) {
        const bool last = row == 3 or row == 5;
        CHECK(std::abs(out.row(row)[j] - (last ? 0.75 : 1) * h.row(row)[j]) < 1e-14);
      }
  });
  CHECK(seen == 1);
}

TEST_CASE("A site that the model lacks has no activations to keep") {
  const auto model = small_model<small_neox_parallel, float>();
  const auto prompts = random_prompts(model.config(), {2});
  for (const std::string name : {"resid_mid", "attn_ou"})
    CHECK(refusal(error_kind::bad_argument, [&] {
            activations(model, std::span<const prompt_pair>(prompts), {name});
          }).find("has no site '" + name + "'") != std::string::npos);
}

}  // namespace trimtab::test::observe_tests
