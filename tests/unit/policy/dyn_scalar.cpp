// SPDX-License-Identifier: Apache-2.0
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/gate/cosine.hpp>
#include <trimtab/policy/gate/mlp.hpp>

#include "support/gradients.hpp"

#include <cmath>

namespace trimtab::test::dyn_scalar_tests {

using policy::dyn_scalar;

namespace {

/// A gate as users write them, with a constant: g(h) = (w·h)^2 / (2 s).
struct square {
  static constexpr per_channel<"weight"> weight{};
  static constexpr parameter_list parameters{weight};

  double scale = 1;

  constexpr auto value(const row auto& r) const {
    const auto u = r.sum([&](auto j) { return r(weight, j) * r.h(j); });
    return u * u / static_cast<decltype(u)>(2 * scale);
  }
  constexpr void backward(row auto& r, auto, auto d_g, auto keep) const {
    const auto d_u = d_g * r.sum([&](auto j) { return r(weight, j) * r.h(j); }) / static_cast<decltype(d_g)>(scale);
    r.each([&](auto j) {
      r.d_h(j) = keep * r.d_out(j) + d_u * r(weight, j);
      r.d(weight, j) += d_u * r.h(j);
    });
  }
};
static_assert(gate_function<square>);

}  // namespace

TEST_CASE("dyn_scalar has the right adjoint and starts at the identity, whatever its gate") {
  using gate::bias;
  SECTION("linear") { check_policy(dyn_scalar<>{}); }
  SECTION("no bias") { check_policy(dyn_scalar<gate::linear<bias::none>>{}); }
  SECTION("tanh") { check_policy(dyn_scalar<gate::tanh<>>{}); }
  SECTION("tanh, no bias") { check_policy(dyn_scalar<gate::tanh<bias::none>>{}); }
  SECTION("rms") { check_policy(dyn_scalar<gate::rms<>>{}); }
  SECTION("rms, no bias") { check_policy(dyn_scalar<gate::rms<bias::none>>{}); }
  SECTION("rms, tanh") { check_policy(dyn_scalar<gate::tanh_rms<>>{}); }
  SECTION("rms, tanh, no bias") { check_policy(dyn_scalar<gate::tanh_rms<bias::none>>{}); }
  SECTION("mlp") { check_policy(dyn_scalar<gate::mlp<4>>{}); }
  SECTION("mlp of one unit") { check_policy(dyn_scalar<gate::mlp<1>>{}); }
  SECTION("cosine") { check_policy(dyn_scalar<gate::cosine>{}); }
  SECTION("a user's") { check_policy(dyn_scalar<square>{{.scale = 0.25}}); }
}

namespace {

/// The gain of h = (3, 1) at strength 2, from a gate with these parameters.
template <gate_function Gate>
double gain(const std::vector<double>& theta) {
  const checks::policy_run<double, dyn_scalar<Gate>> run({}, {2, {0}, {2}});
  const auto out = run.forward({3, 1}, theta);
  CHECK(std::abs(out[0] - 3 * out[1]) < 1e-12);
  return out[1];
}

}  // namespace

TEST_CASE("The gain of dyn_scalar is 1 + beta g(h)") {
  const double rms = std::sqrt(5 + 1e-6);
  const std::vector<double> with_bias{0.5, -1, 0.25}, without{0.5, -1};
  CHECK(gain<gate::linear<>>(with_bias) == 1 + 2 * 0.75);
  CHECK(gain<gate::linear<gate::bias::none>>(without) == 1 + 2 * 0.5);
  CHECK(std::abs(gain<gate::tanh<>>(with_bias) - (1 + 2 * std::tanh(0.75))) < 1e-14);
  CHECK(std::abs(gain<gate::rms<>>(with_bias) - (1 + 2 * (0.5 / rms + 0.25))) < 1e-14);
  CHECK(std::abs(gain<gate::tanh_rms<gate::bias::none>>(without) - (1 + 2 * std::tanh(0.5 / rms))) < 1e-14);
  // a, w of two units, b
  CHECK(std::abs(gain<gate::mlp<2>>({2, -1, 0.5, -1, 0, 1, 0.25, 0.5}) -
                 (1 + 2 * (2 * std::tanh(0.75) - std::tanh(1.5)))) < 1e-14);
  CHECK(std::abs(gain<gate::cosine>({2, 0.5, -1}) - (1 + 2 * 2 * 0.5 / std::sqrt(1.25 * 10))) < 1e-14);
  CHECK(gain<square>(without) == 1 + 2 * 0.125);
}

TEST_CASE("A cosine does not depend on the length of h, and is 0 where there is no angle") {
  const checks::policy_run<double, dyn_scalar<gate::cosine>> run({}, {2, {0}, {1}});
  const std::vector<double> theta{1, 3, 4}, no_direction{1, 0, 0};
  const auto of = [&](double length) { return run.forward({length, 2 * length}, theta)[0] / length; };
  CHECK(std::abs(of(1e-3) - of(1e3)) < 1e-14);
  CHECK(run.forward({0, 0}, theta) == std::vector<double>{0, 0});
  CHECK(run.forward({1, 2}, no_direction) == std::vector<double>{1, 2});
  CHECK(run.backward({1, 2}, no_direction, {1, 1}) == std::vector<double>{1, 1, 0, 0, 0});
}

TEST_CASE("dyn_scalar serves all positions with one record") {
  STATIC_REQUIRE(shares_positions<dyn_scalar<>>);
  STATIC_REQUIRE(dyn_scalar<>::parameters.size(7) == 8);
  STATIC_REQUIRE(dyn_scalar<gate::linear<gate::bias::none>>::parameters.size(7) == 7);
  STATIC_REQUIRE(dyn_scalar<gate::mlp<4>>::parameters.size(7) == 4 + 4 * 7 + 4);
}

TEST_CASE("A gate says how dyn_scalar is called, starts, and is weighed") {
  CHECK(dyn_scalar<>::text == "dyn-scalar");
  CHECK(dyn_scalar<gate::tanh_rms<>>::text == "dyn-scalar-tanh-rms");
  CHECK(dyn_scalar<gate::mlp<2>>::text == "dyn-scalar-mlp");
  CHECK(policy_text<dyn_scalar<square>>() == "custom");
  const auto settings = settings_of(dyn_scalar<square>{{.scale = 0.25}});
  CHECK(settings == std::vector<named_setting>{{"0", "0.25"}});
  CHECK(settings_of(dyn_scalar<>{}).empty());
  random_generator random(1);
  using mlp = dyn_scalar<gate::mlp<2>>;
  CHECK(start_of<mlp>(gate::mlp<2>::amplitude, random, 9) == 0);
  CHECK(start_of<mlp>(gate::mlp<2>::weight, random, 9) != 0);
  STATIC_REQUIRE(weighing_of<mlp>(gate::mlp<2>::amplitude) == weighing::each);
  STATIC_REQUIRE(weighing_of<mlp>(gate::mlp<2>::weight) == weighing::none);
  STATIC_REQUIRE(weighing_of<dyn_scalar<gate::cosine>>(gate::cosine::weight) == weighing::none);
  STATIC_REQUIRE(starts_at_identity<mlp>());
  STATIC_REQUIRE(starts_at_identity<dyn_scalar<gate::cosine>>());
  STATIC_REQUIRE(weighing_of<dyn_scalar<>>(gate::linear<>::offset) == weighing::each);
}

}  // namespace trimtab::test::dyn_scalar_tests
