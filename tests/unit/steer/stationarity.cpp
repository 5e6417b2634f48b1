// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>
#include <trimtab/steer/stationarity.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <algorithm>
#include <cmath>

namespace trimtab::test::stationarity_tests {

using Catch::Matchers::ContainsSubstring;
using objective::effectiveness, objective::faithfulness, objective::minimality, objective::psi;

namespace {

/// A policy that does not start at the identity.
struct gain_of_1 {
  static constexpr per_row<"gain"> gain{};
  static constexpr parameter_list parameters{gain};

  static double start(decltype(gain), random_generator&, index_t) { return 1; }
  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = (1 + r.beta() * r(gain)) * r.h(j); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = (1 + r.beta() * r(gain)) * r.d_out(j); });
    r.d(gain) += r.beta() * r.sum([&](auto j) { return r.h(j) * r.d_out(j); });
  }
};

const auto& model() {
  static const auto m = small_model<small_gpt2, double>();
  return m;
}

auto composed() {
  return steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::from_end(4)),
               at(site::mlp_out{}, policy::steer_vec{}, layers::list({1}), positions::from_end(2)));
}

std::vector<prompt_pair> some_prompts() { return random_prompts(model().config(), {4, 6, 5}); }

/// Random parameters with every second record zero.
parameters half_zero() {
  auto values = random_parameters(composed().layout(some_prompts()), 2, .3);
  int number = 0;
  each_record(values.layout, [&](const parameter_block& block, std::size_t first) {
    if (number++ % 2 == 0)
      std::fill_n(values.theta.begin() + static_cast<std::ptrdiff_t>(first), block.record_size, 0.0);
  });
  return values;
}

auto weighed(effectiveness e, double lambda, parameter_norm norm) {
  return e + .5 * faithfulness{} + lambda * minimality{.norm = norm};
}

/// The violations by their definition, for a gradient.
std::vector<double> by_hand(const parameters& at, const std::vector<double>& g, double lambda, parameter_norm norm) {
  std::vector<double> violations;
  if (norm != parameter_norm::group) {
    if (norm == parameter_norm::mean) lambda /= static_cast<double>(g.size());
    for (std::size_t j = 0; j < g.size(); ++j) {
      const double sign = at.theta[j] > 0 ? 1 : -1;
      violations.push_back(
          (at.theta[j] == 0 ? std::max(0.0, std::abs(g[j]) - lambda) : std::abs(g[j] + lambda * sign)) / lambda);
    }
    return violations;
  }
  each_record(at.layout, [&](const parameter_block& block, std::size_t first) {
    const auto count = static_cast<std::size_t>(block.record_size);
    double length = 0, slope = 0, left = 0;
    for (std::size_t j = first; j < first + count; ++j) length += at.theta[j] * at.theta[j], slope += g[j] * g[j];
    length = std::sqrt(length), slope = std::sqrt(slope);
    for (std::size_t j = first; j < first + count and length > 0; ++j)
      left += std::pow(g[j] + lambda * at.theta[j] / length, 2);
    violations.push_back((length > 0 ? std::sqrt(left) : std::max(0.0, slope - lambda)) / lambda);
  });
  return violations;
}

}  // namespace

TEST_CASE("Violations are those of the definition, for all three norms") {
  const auto prompts = some_prompts();
  const parameters at = half_zero();
  for (const parameter_norm norm : {parameter_norm::sum, parameter_norm::mean, parameter_norm::group}) {
    CAPTURE(static_cast<int>(norm));
    const auto objective = weighed({.shape = psi::softplus}, norm == parameter_norm::mean ? .7 : .05, norm);
    const auto g = objective_and_gradient(composed(), objective, at, prompts).gradient;
    const auto expected = by_hand(at, g, norm == parameter_norm::mean ? .7 : .05, norm);
    const stationarity found = stationarity_of(composed(), objective, at, prompts);
    CHECK(largest_difference(found.violations, expected) < 1e-12);
    CHECK(found.largest == *std::ranges::max_element(found.violations));
    double mean = 0;
    for (double v : expected) mean += v / static_cast<double>(expected.size());
    CHECK(std::abs(found.mean - mean) < 1e-12);
    const auto within = std::ranges::count_if(expected, [](double v) { return v <= .01; });
    CHECK(found.satisfied == static_cast<double>(within) / static_cast<double>(expected.size()));
    CHECK((found.satisfied > 0 and found.satisfied < 1));  // the test is not trivial
    CHECK(found.at_kink == 0);
  }
  const auto unweighed = weighed({.shape = psi::softplus}, 0, parameter_norm::sum);
  const parameters zero{at.layout, std::vector<double>(at.theta.size())};
  const auto g = objective_and_gradient(composed(), unweighed, zero, prompts).gradient;
  CHECK(std::abs(stationarity_of(composed(), unweighed, at, prompts).lambda - largest(g)) < 1e-15);
}

TEST_CASE("At the hinge's kink the weight with the smallest violation is taken") {
  const auto prompts = some_prompts();
  const parameters at = half_zero();
  const auto differences = objective_and_gradient(composed(), effectiveness{}, at, prompts).logit_diffs;
  for (const std::size_t kink : {0u, 4u}) {  // one at +1, one at -1
    CAPTURE(kink);
    const double margin = kink < 3 ? differences[kink] : -differences[kink];
    const auto objective = weighed({.margin = margin}, .05, parameter_norm::sum);
    const stationarity found = stationarity_of(composed(), objective, at, prompts);
    CHECK(found.at_kink == 1);

    // The gradient with that term's slope 0 and 1: margins just below and above.
    const auto slope = [&](double by) {
      return objective_and_gradient(composed(), weighed({.margin = margin + by}, .05, parameter_norm::sum), at, prompts)
          .gradient;
    };
    const auto off = slope(-1e-9), on = slope(1e-9);
    CHECK(largest_difference(off, on) > 1e-3);
    const auto squares = [](const std::vector<double>& v) {
      double sum = 0;
      for (double x : v) sum += x * x;
      return sum;
    };
    double best = std::numeric_limits<double>::max();
    std::vector<double> least;
    for (int step = 0; step <= 100'000; ++step) {
      std::vector<double> g(off.size());
      for (std::size_t j = 0; j < g.size(); ++j) g[j] = off[j] + step * 1e-5 * (on[j] - off[j]);
      if (auto violations = by_hand(at, g, .05, parameter_norm::sum); squares(violations) < best)
        best = squares(violations), least = violations;
    }
    CHECK(largest_difference(found.violations, least) < 1e-3);
    CHECK(squares(found.violations) <= best + 1e-9);
  }
}

TEST_CASE("The largest weight that matters is the largest gradient, in the norm's own measure") {
  const auto prompts = some_prompts();
  const auto layout = composed().layout(prompts);
  std::vector<double> g(static_cast<std::size_t>(layout.size()), .25);
  g[2] = -2;
  CHECK(largest_gradient(layout, g, parameter_norm::sum) == 2);
  CHECK(largest_gradient(layout, g, parameter_norm::mean) == 2 * static_cast<double>(g.size()));
  CHECK(largest_gradient(layout, g, parameter_norm::group) == 2);  // a record of ten quarters is shorter
  g[2] = .5;
  CHECK(std::abs(largest_gradient(layout, g, parameter_norm::group) - .25 * std::sqrt(10.0)) < 1e-15);

  const auto starts_at_1 = steer(model(), at(site::attn_out{}, gain_of_1{}, layers::all(), positions::shared()));
  CHECK_THAT(
      refusal(error_kind::bad_argument, [&] { lambda_max(starts_at_1, weighed({}, 1, parameter_norm::sum), prompts); }),
      ContainsSubstring("start at the identity"));
}

TEST_CASE("The largest weight looks only at what minimality weighs, and there must be a start at the identity") {
  const auto prompts = some_prompts();
  const auto gated = steer(model(), at(site::mlp_out{}, policy::low_rank<2>{}, layers::list({1}), positions::shared()));
  const auto objective = weighed({.shape = psi::softplus}, 1, parameter_norm::sum);
  const double most = lambda_max(gated, objective, prompts);
  const parameters start{gated.layout(prompts), gated.starting_parameters(gated.layout(prompts), 1)};
  CHECK(count_parameters(start).nonzero_parameters == 0);
  CHECK(count_parameters(start).parameters == 2 * model().config().width);
  const auto g = objective_and_gradient(gated, objective, start, prompts).gradient;
  CHECK(std::abs(most - largest(g)) < 1e-12 * most);  // nothing else has a gradient there
  const auto fitted_at = [&](double lambda) {
    const auto sum = effectiveness{.shape = psi::softplus} + .5 * faithfulness{} + lambda * minimality{};
    return trainer(gated, sum, adam{.learning_rate = .01}).fit(prompts, {.steps = 5}).values;
  };
  CHECK(count_parameters(fitted_at(most)).nonzero_parameters == 0);
  CHECK(count_parameters(fitted_at(.9 * most)).nonzero_parameters > 0);
  CHECK(fitted_at(most).theta == start.theta);

  const auto away = steer(model(), at(site::mlp_out{}, policy::project_out{}, layers::list({1}), positions::shared()));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { lambda_max(away, objective, prompts); }),
             ContainsSubstring("policies that do not start at the identity"));
}

TEST_CASE("Where minimality weighs a part, the rest must have no gradient at all") {
  const auto prompts = some_prompts();
  const auto composition =
      steer(model(), at(site::mlp_out{}, policy::dyn_scalar<gate::cosine>{}, layers::list({1}), positions::shared()),
            at(site::resid_post{}, policy::project_out{}, layers::list({1}), positions::shared()));
  const parameters at = random_parameters(composition.layout(prompts), 2, .3);
  const auto objective = weighed({.shape = psi::softplus}, .05, parameter_norm::sum);
  const auto g = objective_and_gradient(composition, objective, at, prompts).gradient;
  const auto width = static_cast<std::size_t>(model().config().width);
  std::vector<double> expected{std::abs(g[0] + (at.theta[0] > 0 ? .05 : -.05)) / .05};
  for (std::size_t j = 1; j <= width; ++j) expected.push_back(std::abs(g[j]) / .05);
  double length = 0, left = 0;
  for (std::size_t j = width + 1; j < g.size(); ++j) length += at.theta[j] * at.theta[j];
  for (std::size_t j = width + 1; j < g.size(); ++j) left += std::pow(g[j] + .05 * at.theta[j] / std::sqrt(length), 2);
  expected.push_back(std::sqrt(left) / .05);
  CHECK(largest_difference(stationarity_of(composition, objective, at, prompts).violations, expected) < 1e-12);
}

}  // namespace trimtab::test::stationarity_tests
