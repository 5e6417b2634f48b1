// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>
#include <trimtab/train/sweep.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace trimtab::test::sweep_tests {

using Catch::Matchers::ContainsSubstring;
using objective::effectiveness, objective::faithfulness, objective::minimality;

namespace {

const auto& model() {
  static const auto m = small_model<small_gpt2, float>();
  return m;
}

auto composed() {
  return steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::from_end()),
               at(site::resid_post{}, policy::steer_vec{}, layers::range(0, 1), positions::from_end(2)));
}

/// 24 points that differ in every setting.
std::vector<fit_settings> points() {
  auto all = grid({.lambda_f = {1, .5}, .lambda_m = {.02, .001, 0}, .seed = {1, 2}, .start = {0, .1}});
  for (std::size_t k = 0; k < all.size(); ++k) {
    all[k].margin = 1 + static_cast<double>(k % 5) / 4;
    all[k].learning_rate = .01 + .002 * static_cast<double>(k % 7);
    all[k].steps = static_cast<index_t>(k % 4) * 3;
  }
  return all;
}

auto replicas_at(const std::vector<fit_settings>& all) {
  const auto objective = effectiveness{} + 1.0 * faithfulness{} + 1.0 * minimality{};
  std::vector<replica<std::remove_cv_t<decltype(objective)>, adam>> replicas;
  for (const fit_settings& one : all)
    replicas.push_back(replica_at(composed(), objective, adam{}, one,
                                  random_prompts(model().config(), {5, 3, static_cast<int>(4 + one.seed)}, one.seed)));
  return replicas;
}

}  // namespace

TEST_CASE("A grid is the product of its axes, the last one fastest") {
  const auto all = grid({.lambda_m = {1, 2}, .steps = {5}, .seed = {7, 8, 9}}, {.margin = 3});
  REQUIRE(all.size() == 6);
  CHECK(all[0] == fit_settings{.lambda_m = 1, .margin = 3, .steps = 5, .seed = 7});
  CHECK(all[1].seed == 8);
  CHECK(all[5] == fit_settings{.lambda_m = 2, .margin = 3, .steps = 5, .seed = 9});
  CHECK(grid({}) == std::vector{fit_settings{}});

  const auto values = logspace(.3, .003, 3);
  CHECK((values.front() == .3 and values.back() == .003));
  CHECK(std::abs(values[1] - .03) < 1e-16);
  CHECK(logspace(2, 5, 1) == std::vector<double>{2});
  CHECK_THAT(refusal(error_kind::bad_argument, [] { logspace(0, 1, 3); }), ContainsSubstring("two positive numbers"));
}

TEST_CASE("A point's settings reach its replica") {
  const fit_settings at{
      .lambda_f = .5, .lambda_m = .01, .margin = 2, .learning_rate = .1, .steps = 7, .seed = 3, .start = .5};
  const auto prompts = random_prompts(model().config(), {5, 3});
  const auto r = replica_at(composed(),
                            effectiveness{.shape = objective::psi::softplus} + 1.0 * faithfulness{} +
                                1.0 * minimality{.norm = parameter_norm::group},
                            adam{.beta_1 = .5}, at, prompts, {2});
  const auto& [e, f, m] = r.objective.terms;
  CHECK((e.term.margin == 2 and e.term.shape == objective::psi::softplus and e.weight == 1));
  CHECK((f.weight == .5 and m.weight == .01 and m.term.norm == parameter_norm::group));
  CHECK((r.optimizer.learning_rate == .1 and r.optimizer.beta_1 == .5));
  CHECK((r.steps == 7 and r.seed == 3 and r.strengths == std::vector<double>{2} and r.prompts == prompts));
  REQUIRE(r.start.has_value());
  CHECK(r.start->layout == composed().layout(prompts));
  double squares = 0;
  for (double x : r.start->theta) squares += x * x / static_cast<double>(r.start->theta.size());
  CHECK((squares > .1 and squares < .5));  // of 55 draws from N(0, .25)
}

TEST_CASE("Fits that make as many steps share a pass as far as the memory reaches, and as more rows make it faster") {
  using passes = std::vector<std::vector<std::size_t>>;
  const std::vector<pass_size> sizes{{10, 4}, {10, 4}, {10, 4}, {50, 20}, {10, 4}};
  const std::vector<index_t> steps{3, 9, 9, 3, 9};
  CHECK(passes_of(sizes, steps, {20, 100}) == passes{{1, 2}, {4, 0}, {3}});
  CHECK(passes_of(sizes, steps, {1000, 100}) == passes{{1, 2, 4, 0, 3}});
  CHECK(passes_of(sizes, steps, {1, 100}) == passes{{1}, {2}, {4}, {0}, {3}});
  CHECK(passes_of({}, {}, {1, 1}).empty());
  // 36 rows are two passes of 18 where 16 are enough, not two of 16 and one of 4.
  const std::vector<pass_size> equal(9, {10, 4});
  CHECK(passes_of(equal, std::vector<index_t>(9, 1), {1000, 16}) == passes{{0, 1, 2, 3, 4}, {5, 6, 7, 8}});
  CHECK(passes_of(equal, std::vector<index_t>(9, 1), {1000, 1}).size() == 9);
  CHECK(largest_pass<eigen_backend<float>>(7).rows == sweep_options{}.rows);
}

TEST_CASE("24 fits with different settings have the bits that each has alone, in one pass and in several") {
  const auto replicas = replicas_at(points());
  REQUIRE(replicas.size() == 24);
  std::vector<fitted<decltype(composed())>> alone;
  for (const auto& one : replicas) {
    fit_run run(composed(), std::vector{one});
    while (run.steps() < *one.steps) run.step();
    alone.push_back(run.result());
  }
  CHECK(largest(alone[3].values.theta) > .01);

  const index_t one = size_of_replica(composed(), replicas.front()).bytes;
  for (const index_t bytes : {index_t{1} << 30, 7 * one}) {
    CAPTURE(bytes);
    std::map<std::size_t, int> times;
    std::vector<index_t> handed_over;
    const bool whole = sweep(composed(), replicas,
                             [&](std::size_t point, const auto& result) {
                               ++times[point];
                               handed_over.push_back(*replicas[point].steps);
                               CAPTURE(point);
                               CHECK(same_bits(result.values.theta, alone[point].values.theta));
                               CHECK(result.values.layout == alone[point].values.layout);
                               CHECK(result.history == alone[point].history);
                             },
                             {.bytes = bytes});
    CHECK(whole);
    CHECK(times.size() == 24);
    CHECK(std::ranges::all_of(times, [](const auto& t) { return t.second == 1; }));
    // In one pass those with fewer steps come first: nobody waits for the others.
    CHECK(std::ranges::is_sorted(handed_over) == (bytes > 7 * one));
  }
}

TEST_CASE("A sweep ends when it is told to, with what was finished handed over") {
  const auto replicas = replicas_at(points());
  std::size_t finished = 0;
  sweep_progress last;
  const auto proceed = [&](const sweep_progress& now) {
    last = now;
    return now.finished < 12;
  };
  CHECK_FALSE(sweep(composed(), replicas, [&](std::size_t, const auto&) { ++finished; }, {.proceed = proceed}));
  CHECK(finished == 12);  // those with 0 and with 3 steps
  CHECK(last.finished == 12);
  CHECK(last.points == 24);
  CHECK(last.steps == 24 * 3 - 6 * 3);
  CHECK(last.all_steps == 6 * (0 + 3 + 6 + 9));
}

TEST_CASE("A point whose loss is no longer finite fails alone") {
  auto replicas = replicas_at(points());
  for (const std::size_t bad : {5u, 22u}) {
    replicas[bad].optimizer.learning_rate = std::numeric_limits<double>::max();
    replicas[bad].steps = 4;
  }
  std::vector<std::size_t> finished, failed;
  sweep(composed(), replicas, [&](std::size_t point, const auto&) { finished.push_back(point); },
        {.failed = [&](std::size_t point, const std::string& why) {
          failed.push_back(point);
          CHECK_THAT(why, ContainsSubstring("the loss is not finite"));
        }});
  std::ranges::sort(failed);
  CHECK(failed == std::vector<std::size_t>{5, 22});
  CHECK(finished.size() == 22);
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { sweep(composed(), replicas, [](std::size_t, const auto&) {}); }),
             ContainsSubstring("the loss is not finite"));
}

TEST_CASE("Settings that cannot be fitted are refused before any step") {
  auto replicas = replicas_at(points());
  replicas.back().optimizer.learning_rate = -1;
  CHECK_THAT(
      refusal(error_kind::bad_argument, [&] { sweep(composed(), replicas, [](std::size_t, const auto&) { FAIL(); }); }),
      ContainsSubstring("learning rate"));
  replicas = replicas_at(points());
  replicas.back().steps = std::nullopt;
  CHECK_THAT(
      refusal(error_kind::bad_argument, [&] { sweep(composed(), replicas, [](std::size_t, const auto&) { FAIL(); }); }),
      ContainsSubstring("how many steps"));
}

}  // namespace trimtab::test::sweep_tests
