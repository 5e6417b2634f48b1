// SPDX-License-Identifier: Apache-2.0
#include "parity/cuda/compare.hpp"
#include "support/compositions.hpp"

#include <trimtab/explain/certificate.hpp>
#include <trimtab/train/path.hpp>
#include <trimtab/train/sweep.hpp>
#include <trimtab/train/trainer.hpp>

namespace trimtab::test::sweep_tests {

namespace {

template <typename B>
auto model_on(const B& backend) {
  return small_gpt2::model<B>(random_weights(small_gpt2::config(), 3), backend);
}

template <typename Model>
auto composed(const Model& model) {
  return steer(model, at(site::mlp_out{}, policy::activ_scalar{}, layers::all(), positions::from_end()));
}

template <typename Model>
auto learner_of(const Model& model) {
  return trainer(composed(model), objective::effectiveness{} + 0.02 * objective::minimality{},
                 adam{.learning_rate = 0.05});
}

const auto& prompts() {
  static const auto all = random_prompts(small_gpt2::config(), {4, 3, 4});
  return all;
}

template <typename Model>
std::vector<std::vector<path_point>> paths(const Model& model, const std::vector<std::size_t>& prompts_of_each) {
  const auto learner = learner_of(model);
  std::vector<typename decltype(learner)::replica_type> riders;
  for (const std::size_t count : prompts_of_each)
    riders.push_back(learner.replica_of(std::span(prompts()).first(count)));
  const path_options options{.steps = 8, .check_every = 4};
  return paths_of(composed(model), riders, std::vector{0.3, 0.05}, options);
}

}  // namespace

TEST_CASE("Points of a sweep on a device have the bits of their fits alone") {
  if (lacks_device()) return;
  const auto model = model_on(watched_backend());
  const auto learner = learner_of(model);
  std::vector<typename decltype(learner)::replica_type> points;
  for (const double lambda : {0.2, 0.05, 0.01}) {
    points.push_back(learner.replica_of(prompts(), {}, 3 + std::ssize(points)));
    points.back().objective = objective::effectiveness{} + lambda * objective::minimality{};
  }
  std::vector<std::vector<double>> swept(points.size());
  CHECK(sweep(composed(model), points, [&](std::size_t k, const auto& fit) { swept[k] = fit.values.theta; }));
  CHECK(largest(swept.back()) > 0);
  for (std::size_t k = 0; k < points.size(); ++k)
    CHECK(same_bits(swept[k], learner.fit_all({points[k]}).front().values.theta));
}

TEST_CASE("Paths on a device have the bits of each alone, and agree with the CPU's") {
  if (lacks_device()) return;
  const auto model = model_on(watched_backend());
  const auto together = paths(model, {3, 2});
  const auto right = paths(model_on(eigen_backend<double>(1)), {3, 2});
  for (std::size_t k = 0; k < 2; ++k) {
    const auto alone = paths(model, {k == 0 ? std::size_t{3} : 2}).front();
    REQUIRE(together[k].size() == 2);
    for (std::size_t n = 0; n < 2; ++n) {
      CHECK(same_bits(together[k][n].values.theta, alone[n].values.theta));
      CHECK(together[k][n].steps == alone[n].steps);
      CHECK(relative_difference(together[k][n].values.theta, right[k][n].values.theta) < 1e-3);
    }
    CHECK(largest(together[k].back().values.theta) > 0);
  }
}

TEST_CASE("A certificate made on a device says what the CPU's says") {
  if (lacks_device()) return;
  const auto certified = [](const auto& model) {
    const auto composition = composed(model);
    parameters values{composition.layout(prompts()), {}};
    values.theta.assign(static_cast<std::size_t>(values.layout.size()), 0);
    for (const std::size_t place : {0u, 3u, 5u}) values.theta[place] = -2;
    return explain::certify(composition, values, prompts());
  };
  const auto found = certified(model_on(watched_backend())), right = certified(model_on(eigen_backend<double>(1)));
  CHECK(found.places == right.places);
  CHECK(found.subsets.exact);
  CHECK(found.subsets.considered == 8);
  CHECK(found.subsets.flip_rates == right.subsets.flip_rates);
  CHECK(found.subsets.smallest == right.subsets.smallest);
}

}  // namespace trimtab::test::sweep_tests
