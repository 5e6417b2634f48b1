// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"

#include <cmath>

namespace trimtab::test::site_geometry_tests {

namespace {

const auto& model() {
  static const auto m = small_model<small_gpt2, double>();
  return m;
}

}  // namespace

TEST_CASE("A scalar changes lengths and no directions") {
  const auto prompts = random_prompts(model().config(), {4, 2, 5});
  const auto composition =
      steer(model(), at(site::attn_z{}, policy::activ_scalar{}, layers::range(1, 2), positions::from_end(3)),
            at(site::resid_pre{}, policy::activ_scalar{}, layers::list({2}), positions::shared()));
  auto values = random_parameters(composition.layout(prompts));
  values.theta[3] = -3;  // layer 1, second from the end, second head: reversed
  const auto geometry = measure_geometry(composition, values, prompts, 0.8);
  REQUIRE(geometry.size() == 2);
  for (const auto& g : geometry)
    for (std::size_t k = 0; k < g.block.layers.size(); ++k)
      for (std::size_t r = 0; r < g.rows[k].size(); ++r) {
        CAPTURE(g.block.site, k, r);
        if (g.rows[k][r] == 0) continue;
        const double gain =
            1 + 0.8 * values.theta[static_cast<std::size_t>(g.block.layer_offset(g.block.layers[k])) + r];
        CHECK(std::abs(g.norm_ratio[k][r] - std::abs(gain)) < 1e-12);
        CHECK(std::abs(g.cosine[k][r] - (gain > 0 ? 1 : -1)) < 1e-12);
        CHECK(std::abs(g.stretch[k][r] - (gain - 1)) < 1e-12);
      }
  // Prompts of 4, 2 and 5 tokens have 3, 3 and 2 rows at the last three places; in the last layer only the end is left.
  CHECK(geometry[0].rows == std::vector<std::vector<index_t>>{{3, 3, 3, 3, 2, 2}, {3, 3, 0, 0, 0, 0}});
  CHECK(geometry[1].rows == std::vector<std::vector<index_t>>{{11}});
}

TEST_CASE("A vector's geometry is that of h + beta v") {
  const auto prompts = random_prompts(model().config(), {3, 2});
  const auto composition =
      steer(model(), at(site::resid_pre{}, policy::steer_vec{}, layers::list({0}), positions::shared()));
  const auto values = random_parameters(composition.layout(prompts), 1, 1);
  const auto outer = random_weights(model().config(), 3).outer<double>();
  double ratio = 0, cosine = 0;
  for (const auto& p : prompts)
    for (std::size_t i = 0; i < p.ids.size(); ++i) {
      double hh = 0, oo = 0, ho = 0;
      for (index_t j = 0; j < 10; ++j) {
        const double h = outer.token_embedding(p.ids[i], j) + outer.position_embedding(static_cast<index_t>(i), j);
        const double out = h - 0.5 * values.theta[static_cast<std::size_t>(j)];
        hh += h * h, oo += out * out, ho += h * out;
      }
      ratio += std::sqrt(oo / hh) / 5;
      cosine += ho / std::sqrt(oo * hh) / 5;
    }
  const auto geometry = measure_geometry(composition, values, prompts, -0.5);
  CHECK(std::abs(geometry[0].norm_ratio[0][0] - ratio) < 1e-13);
  CHECK(std::abs(geometry[0].cosine[0][0] - cosine) < 1e-13);
}

TEST_CASE("What a shared gate computes at each token is seen by other places than its own") {
  const auto prompts = random_prompts(model().config(), {3});
  const auto composition = steer(model(), at(site::resid_pre{}, policy::dyn_scalar<>{}, layers::list({0})));
  const auto values = random_parameters(composition.layout(prompts), 1, 0.5);
  const auto outer = random_weights(model().config(), 3).outer<double>();
  const auto geometry = measure_geometry(composition, values, prompts, 0.5, positions::absolute());
  REQUIRE(geometry[0].stretch[0].size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    double gate = values.theta[10];
    for (index_t j = 0; j < 10; ++j)
      gate += values.theta[static_cast<std::size_t>(j)] *
              (outer.token_embedding(prompts[0].ids[i], j) + outer.position_embedding(static_cast<index_t>(i), j));
    CHECK(std::abs(geometry[0].stretch[0][i] - 0.5 * gate) < 1e-12);
  }
}

}  // namespace trimtab::test::site_geometry_tests
