// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>
#include <trimtab/train/polish.hpp>

#include "support/compositions.hpp"
#include "support/gradients.hpp"

#include <algorithm>
#include <cmath>

namespace trimtab::test::polish_tests {

using objective::effectiveness, objective::minimality, objective::psi;

namespace {

/// A model whose last norm is affine: its epsilon drowns every variance, and its weights undo the division.
struct affine_at_the_end {
  random_weights source;

  const model_config& config() const { return source.config(); }
  template <typename T>
  block_weights<T> block(index_t layer) const {
    return source.block<T>(layer);
  }
  template <typename T>
  outer_weights<T> outer() const {
    auto weights = source.outer<T>();
    for (T& w : weights.norm_final.gain.values) w *= static_cast<T>(0x1p40);
    return weights;
  }
};

const auto& model() {
  static const auto m = [] {
    auto config = small_gpt2::config();
    config.layer_norm_epsilon = 0x1p80;
    return gpt2<eigen_backend<double>>(affine_at_the_end{random_weights(config, 3)}, eigen_backend<double>(1));
  }();
  return m;
}

/// A vector at the end of the stream: logits are affine in it.
auto composed() {
  return steer(model(), at(site::resid_post{}, policy::steer_vec{}, layers::list({2}), positions::from_end(1)));
}

std::vector<prompt_pair> some_prompts() { return random_prompts(model().config(), {4, 6, 5, 3, 7}); }

/// What is left of each sequence's margin: u = offset + slope · θ.
struct linear_terms {
  std::vector<double> offset = {};
  std::vector<std::vector<double>> slope = {};
};

linear_terms terms_of(double margin) {
  const auto prompts = some_prompts();
  const auto layout = composed().layout(prompts);
  const parameters zero{layout, std::vector<double>(static_cast<std::size_t>(layout.size()))};
  linear_terms terms;
  for (double beta : {1.0, -1.0})
    for (const prompt_pair& p : prompts) {
      const auto found = objective_and_gradient(composed(), effectiveness{.margin = margin, .shape = psi::identity},
                                                zero, std::span(&p, 1), std::span(&beta, 1));
      terms.offset.push_back(found.loss.total());
      terms.slope.push_back(found.gradient);
    }
  return terms;
}

double soft(double x, double by) { return x > by ? x - by : x < -by ? x + by : 0; }

/// min Σ ψ(u) / n + λ Σ|θ| by the primal-dual method of Chambolle and Pock, with the dual's step of ψ from its own
/// definition: nothing of the library.
std::vector<double> solve(const linear_terms& terms, double lambda, bool hinge) {
  const std::size_t n = terms.offset.size(), size = terms.slope.front().size();
  double squares = 0;
  for (const auto& row : terms.slope)
    for (double x : row) squares += x * x;
  const double step = 1 / std::sqrt(squares), share = 1 / static_cast<double>(n);
  std::vector<double> theta(size), ahead(size), dual(n);
  for (int k = 0; k < 400'000; ++k) {
    for (std::size_t s = 0; s < n; ++s) {
      double u = terms.offset[s];
      for (std::size_t j = 0; j < size; ++j) u += terms.slope[s][j] * ahead[j];
      const double v = dual[s] + step * u;
      if (hinge) {
        dual[s] = std::clamp(v, 0.0, share);
      } else {  // w + step log(w / (share − w)) = v, by bisection
        double low = 0, high = share;
        for (int half = 0; half < 60; ++half) {
          const double w = (low + high) / 2;
          (w + step * std::log(w / (share - w)) < v ? low : high) = w;
        }
        dual[s] = (low + high) / 2;
      }
    }
    for (std::size_t j = 0; j < size; ++j) {
      double pull = 0;
      for (std::size_t s = 0; s < n; ++s) pull += terms.slope[s][j] * dual[s];
      const double next = soft(theta[j] - step * pull, step * lambda);
      ahead[j] = 2 * next - theta[j];
      theta[j] = next;
    }
  }
  return theta;
}

polished polished_at(effectiveness e, double lambda) {
  const auto prompts = some_prompts();
  const auto objective = e + lambda * minimality{};
  const auto from = trainer(composed(), objective, adam{.learning_rate = .01}).fit(prompts, {.steps = 50}).values;
  return polish(composed(), objective, from, prompts, std::vector{1.0, -1.0}, {.steps = 20'000, .tolerance = 1e-11});
}

}  // namespace

TEST_CASE("The gradient of the softened hinge is that of its value") {
  for (const double tau : {.5, .01}) check_term(softened_effectiveness{{.margin = 1}, tau}, 17);
  check_term(softened_effectiveness{{.margin = 1, .shape = psi::softplus}, .1}, 17);
}

TEST_CASE("On a convex problem with softplus, polishing ends at the optimum of another solver") {
  const auto found = polished_at({.margin = 1, .shape = psi::softplus}, .05);
  CHECK(found.is_stationary);
  CHECK(found.before.largest > 1e-3);
  CHECK(found.after.largest < 1e-6);
  const auto expected = solve(terms_of(1), .05, false);
  CHECK(largest(expected) > .01);
  CHECK(largest_difference(found.values.theta, expected) < 1e-8);
}

TEST_CASE("With the hinge, polishing ends at the optimum too, with terms at their kink") {
  const auto found = polished_at({.margin = 1}, .05);
  CHECK(found.is_stationary);
  CHECK(found.after.at_kink > 0);
  CHECK(found.after.largest < 1e-3);
  CHECK(found.why_not.empty());
  const auto expected = solve(terms_of(1), .05, true);
  CHECK(largest(expected) > .01);
  CHECK(largest_difference(found.values.theta, expected) < 1e-8);
}

TEST_CASE("Polishing that has too few steps says so") {
  const auto prompts = some_prompts();
  const auto objective = effectiveness{} + .05 * minimality{};
  const auto from = trainer(composed(), objective, adam{.learning_rate = .01}).fit(prompts, {.steps = 3}).values;
  const auto found = polish(composed(), objective, from, prompts, std::vector{1.0, -1.0}, {.steps = 1});
  CHECK_FALSE(found.is_stationary);
  CHECK(found.why_not.find("after 6 steps") != std::string::npos);
}

TEST_CASE("Polishing ends where its caller says") {
  const auto prompts = some_prompts();
  const auto objective = effectiveness{} + .05 * minimality{};
  const auto from = trainer(composed(), objective, adam{.learning_rate = .01}).fit(prompts, {.steps = 3}).values;
  const std::vector<double> strengths{1.0, -1.0};
  const auto whole = polish(composed(), objective, from, prompts, strengths, {.steps = 4});
  const auto found = polish(composed(), objective, from, prompts, strengths,
                            {.steps = 4, .proceed = [](index_t steps) { return steps < 3; }});
  CHECK(found.steps == 3);
  CHECK(whole.steps > 3);
  CHECK(found.values.theta != from.theta);
  CHECK_FALSE(found.is_stationary);
  CHECK(found.why_not == "it was ended after 3 steps");
}

}  // namespace trimtab::test::polish_tests
