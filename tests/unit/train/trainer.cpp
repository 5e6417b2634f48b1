// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <algorithm>
#include <cmath>

namespace trimtab::test::trainer_tests {

using Catch::Matchers::ContainsSubstring;
using objective::effectiveness, objective::faithfulness, objective::minimality;

namespace {

template <typename Model>
auto composed(const Model& model) {
  return steer(model, at(site::attn_out{}, policy::activ_scalar{}),
               at(site::mlp_out{}, policy::steer_vec{}, layers::range(1, 2)),
               at(site::resid_post{}, policy::dyn_scalar<>{}));
}

auto weighed(double lambda_m = 0.02) {
  return effectiveness{.margin = 1} + 0.5 * faithfulness{} + lambda_m * minimality{};
}

const auto& model() {
  static const auto m = small_model<small_gpt2, double>();
  return m;
}

std::vector<prompt_pair> prompts_of_four() { return random_prompts(model().config(), {4, 4, 4, 4, 4}); }

/// A model and prompts that are large enough for two threads to share the work.
template <typename T>
auto fit_with_threads(int threads) {
  auto config = small_gpt2::config();
  config.width = 64, config.hidden = 256, config.vocabulary = 600, config.context = 30;
  const gpt2<eigen_backend<T>> wide(random_weights(config, 3), eigen_backend<T>(threads));
  const auto prompts = random_prompts(config, std::vector<int>(8, 28));
  return trainer(composed(wide), weighed(0.002), adam{.learning_rate = 0.01}).fit(prompts, {.steps = 2}).values.theta;
}

}  // namespace

TEST_CASE("A fit lowers the loss from the untouched model's, with exact zeros left") {
  const auto prompts = prompts_of_four();
  const auto result = trainer(composed(model()), weighed(), adam{.learning_rate = 0.02}).fit(prompts, {.steps = 60});
  REQUIRE(result.history.size() == 61);
  CHECK(result.warnings.empty());

  // All parameters start at zero: no divergence, no penalty, and the effectiveness is that of the untouched logits.
  const auto& start = result.history.front();
  const auto z = logits(model(), ids_of(prompts));
  double hinge = 0;
  for (index_t n = 0; n < 5; ++n)
    for (double sign : {1.0, -1.0}) {
      const auto& p = prompts[static_cast<std::size_t>(n)];
      hinge += std::max(0.0, 1 - sign * (z(n, p.correct_id) - z(n, p.wrong_id))) / 10;
    }
  CHECK(std::abs(start.terms[0].value - hinge) < 1e-14);
  CHECK(start.terms[1].value == 0);
  CHECK(start.terms[2].value == 0);

  CHECK(result.history.back().total() < 0.7 * start.total());
  const auto size = count_parameters(result.values);
  CHECK(size.nonzero_parameters > 0);
  CHECK(size.nonzero_parameters < size.parameters);
  CHECK(std::abs(result.history.back().terms[2].value - size.l1) < 1e-12);
}

TEST_CASE("Without minimality a fit is Adam on the gradient of the loss") {
  // The first step has the length of the learning rate and the sign opposite to the gradient, wherever that is not 0.
  const auto prompts = prompts_of_four();
  const auto composition = composed(model());
  const auto result = trainer(composition, effectiveness{.margin = 50} + faithfulness{}, adam{.learning_rate = 1e-6})
                          .fit(prompts, {.steps = 1});
  const auto layout = composition.layout(prompts);
  // At zero, L_F has no gradient, and the hinge is active for every prompt: d L_E = mean of -sign(beta) dD.
  repeated_pass pass(composition, prompts, {1, -1});
  std::vector<double> d_logits(static_cast<std::size_t>(10 * model().config().vocabulary));
  for (std::size_t k = 0; k < 10; ++k) {
    const auto& p = prompts[k % 5];
    const auto first = k * static_cast<std::size_t>(model().config().vocabulary);
    d_logits[first + static_cast<std::size_t>(p.correct_id)] = k < 5 ? -0.1 : 0.1;
    d_logits[first + static_cast<std::size_t>(p.wrong_id)] = k < 5 ? 0.1 : -0.1;
  }
  const auto gradient = pass.gradient(std::vector<double>(static_cast<std::size_t>(layout.size())), d_logits);
  for (std::size_t j = 0; j < gradient.size(); ++j) {
    CAPTURE(j, gradient[j]);
    if (std::abs(gradient[j]) > 1e-4)
      CHECK(std::abs(result.values.theta[j] - (gradient[j] > 0 ? -1e-6 : 1e-6)) < 1e-9);
    else if (gradient[j] == 0)
      CHECK(result.values.theta[j] == 0);
  }
}

TEMPLATE_TEST_CASE("A fit has the same bits on one thread and on two", "", float, double) {
  const auto one = fit_with_threads<TestType>(1);
  CHECK(largest(one) > 0.001);
  CHECK(same_bits(fit_with_threads<TestType>(2), one));
}

TEST_CASE("A fit repeated has the same bits") {
  const auto prompts = prompts_of_four();
  const trainer t(composed(model()), weighed(), adam{});
  const auto first = t.fit(prompts, {.steps = 5});
  CHECK(same_bits(t.fit(prompts, {.steps = 5}).values.theta, first.values.theta));
  CHECK(t.fit(prompts, {.steps = 8}).history[5].terms[0].value == first.history[5].terms[0].value);
}

TEST_CASE("The order of prompts changes a fit by rounding only") {
  auto prompts = prompts_of_four();
  const trainer t(composed(model()), weighed(), adam{.learning_rate = 0.01});
  const auto first = t.fit(prompts, {.steps = 5}).values.theta;
  std::ranges::reverse(prompts);
  CHECK(largest_difference(t.fit(prompts, {.steps = 5}).values.theta, first) < 1e-9);
}

TEST_CASE("A fit for each prompt in one pass gives what single fits give, bit for bit") {
  const auto prompts = prompts_of_four();
  const trainer t(composed(model()), weighed(), adam{.learning_rate = 0.02});
  const auto all = t.fit_each(prompts, {.steps = 6});
  REQUIRE(all.size() == prompts.size());
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const auto alone = t.fit(std::span(prompts).subspan(n, 1), {.steps = 6});
    CHECK(same_bits(all[n].values.theta, alone.values.theta));
    CHECK(all[n].history.back().total() == alone.history.back().total());
    CHECK(all[n].history.size() == 7);
  }
}

TEST_CASE("A fit of 0 steps changes nothing, and a caller may stop a fit") {
  const auto prompts = prompts_of_four();
  const trainer t(composed(model()), weighed(), adam{});
  const auto none = t.fit(prompts, {.steps = 0});
  CHECK(none.history.size() == 1);
  CHECK(largest(none.values.theta) == 0);

  auto run = t.start(prompts);
  while (run.step() < 3) CHECK(run.losses().front().terms.size() == 3);
  CHECK(run.steps() == 3);
  CHECK(same_bits(run.result().values.theta, t.fit(prompts, {.steps = 3}).values.theta));
  CHECK(run.result().history == t.fit(prompts, {.steps = 3}).history);
}

TEST_CASE("Reading or moving a run between steps does not change it") {
  const auto prompts = prompts_of_four();
  const trainer t(composed(model()), weighed(), adam{.learning_rate = 0.02});
  auto run = t.start(prompts);
  run.losses();
  run.losses();
  run.step();
  run.result();
  run.state();
  auto moved = std::move(run);
  moved.step();
  moved.losses();
  moved.step();
  const auto straight = t.fit(prompts, {.steps = 3});
  CHECK(same_bits(moved.result().values.theta, straight.values.theta));
  CHECK(moved.result().history == straight.history);
}

TEST_CASE("Sixteen replicas in one pass give the bits of sixteen fits") {
  const auto all = random_prompts(model().config(), {4, 7, 3, 4, 5, 9, 2, 4, 6, 4});
  const auto composition =
      steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::from_end()),
            at(site::mlp_out{}, policy::steer_vec{}, layers::range(1, 2), positions::from_end()),
            at(site::resid_post{}, policy::dyn_scalar<>{}));
  const trainer t(composition, weighed(), adam{});
  using replica_type = decltype(t)::replica_type;
  std::vector<replica_type> replicas;
  for (std::size_t r = 0; r < 16; ++r) {
    const std::span<const prompt_pair> own = std::span(all).subspan(r % 5, 2 + r % 4);
    auto one = t.replica_of(own, {}, 3 + static_cast<index_t>(r % 3));
    const double x = static_cast<double>(r);
    one.objective = effectiveness{.margin = 1 + 0.1 * x} + (0.2 + 0.05 * x) * faithfulness{} +
                    (0.01 + 0.002 * x) * minimality{.norm = r % 2 == 0 ? parameter_norm::sum : parameter_norm::group};
    one.optimizer.learning_rate = 0.005 + 0.001 * x;
    if (r % 3 == 1) one.strengths = {0.5, -1, 2};
    if (r == 7) one.start = random_parameters(composition.layout(own), 5, 0.1);
    replicas.push_back(std::move(one));
  }
  const auto together = t.fit_all(replicas);
  REQUIRE(together.size() == 16);
  for (std::size_t r = 0; r < 16; ++r) {
    CAPTURE(r);
    const auto alone = t.fit_all({replicas[r]}).front();
    CHECK(together[r].values.layout == alone.values.layout);
    CHECK(same_bits(together[r].values.theta, alone.values.theta));
    CHECK(together[r].history == alone.history);
    CHECK(std::ssize(alone.history) == *replicas[r].steps + 1);
  }
  // Each replica has as many positions as its own prompts need.
  CHECK(together[0].values.layout.blocks[0].positions.count() != together[3].values.layout.blocks[0].positions.count());
  CHECK_FALSE(same_bits(together[0].values.theta, together[5].values.theta));
}

TEST_CASE("A replica that makes no steps stays where it starts while the others learn") {
  const auto prompts = prompts_of_four();
  const trainer t(composed(model()), weighed(), adam{.learning_rate = 0.02});
  auto still = t.replica_of(prompts, {}, 0);
  still.start = random_parameters(composed(model()).layout(prompts), 5, 0.1);
  const auto together = t.fit_all({still, t.replica_of(prompts, {}, 3)});
  CHECK(same_bits(together[0].values.theta, still.start->theta));
  CHECK(together[0].history.size() == 1);
  CHECK(same_bits(together[1].values.theta, t.fit(prompts, {.steps = 3}).values.theta));
}

TEST_CASE("A replica that its caller ends stays as it is while the others go on") {
  const auto prompts = prompts_of_four();
  const trainer t(composed(model()), weighed(), adam{.learning_rate = 0.02});
  auto slow = t.replica_of(prompts);
  slow.optimizer.learning_rate = 0.01;
  auto run = t.start({t.replica_of(prompts), slow});
  while (run.step() < 2) {
  }
  run.end(0);
  while (run.step() < 5) {
  }
  CHECK(run.has_ended(0));
  CHECK_FALSE(run.has_ended(1));
  CHECK(same_bits(run.result(0).values.theta, t.fit(prompts, {.steps = 2}).values.theta));
  CHECK(run.result(0).history.size() == 3);
  const trainer alone(composed(model()), weighed(), adam{.learning_rate = 0.01});
  CHECK(same_bits(run.result(1).values.theta, alone.fit(prompts, {.steps = 5}).values.theta));
  CHECK(run.state(1).first_moment == [&] {
    auto other = alone.start(prompts);
    while (other.step() < 5) {
    }
    return other.state().first_moment;
  }());
  // After the last replica has ended, steps change nothing.
  run.end(1);
  const auto end = run.result(1).values.theta;
  run.step();
  run.step();
  CHECK(same_bits(run.result(1).values.theta, end));
  CHECK(run.losses().size() == 2);
}

TEST_CASE("A fit may start anywhere") {
  const auto prompts = prompts_of_four();
  const auto composition = composed(model());
  const trainer t(composition, weighed(), adam{.learning_rate = 0.02});
  const auto start = random_parameters(composition.layout(prompts), 3, 0.05);
  const auto none = t.fit(prompts, {.steps = 0, .start = start});
  CHECK(same_bits(none.values.theta, start.theta));
  CHECK(none.history.front().total() == objective_at(composition, weighed(), start, prompts).loss.total());
  CHECK_FALSE(
      same_bits(t.fit(prompts, {.steps = 2, .start = start}).values.theta, t.fit(prompts, {.steps = 2}).values.theta));
  parameters other = start;
  other.theta.pop_back();
  CHECK_THAT(refusal(error_kind::mismatch, [&] { t.fit(prompts, {.start = other}); }),
             ContainsSubstring("made for another composition"));
}

namespace {

/// out = h + β Wᵀ(R h). From W = R = 0 it cannot learn anything, so R starts with random numbers.
template <bool StartsAtRandom>
struct low_rank {
  static constexpr per_channel<"r", 2> r_{};
  static constexpr per_channel<"w", 2> w_{};
  static constexpr parameter_list parameters{r_, w_};

  static double start(decltype(r_), random_generator& random, index_t width) requires StartsAtRandom {
    return random.normal() / std::sqrt(static_cast<double>(width));
  }
  static constexpr weighing weighs(decltype(r_)) { return weighing::none; }  // W = 0 is the identity whatever R is

  constexpr void forward(row auto& r) const {
    const auto a = response(r, 0), b = response(r, 1);
    r.each([&](auto j) { r.out(j) = r.h(j) + r.beta() * (a * r(w_, 0, j) + b * r(w_, 1, j)); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
    for (index_t k : {0, 1}) {
      const auto u = response(r, k);
      const auto d_u = r.beta() * r.sum([&](auto j) { return r.d_out(j) * r(w_, k, j); });
      r.each([&](auto j) {
        r.d_h(j) += d_u * r(r_, k, j);
        r.d(r_, k, j) += d_u * r.h(j);
        r.d(w_, k, j) += r.beta() * u * r.d_out(j);
      });
    }
  }

 private:
  static constexpr auto response(row auto& r, index_t k) {
    return r.sum([&](auto j) { return r(r_, k, j) * r.h(j); });
  }
};

}  // namespace

TEST_CASE("A fit that cannot learn warns, and a policy may start away from zero") {
  const auto prompts = prompts_of_four();
  const auto fit = [&](auto policy, std::uint64_t seed = 1) {
    const auto composition = steer(model(), at(site::attn_out{}, policy::activ_scalar{}),
                                   at(site::mlp_out{}, policy, layers::list({1}), positions::shared()));
    return trainer(composition, weighed(), adam{.learning_rate = 0.02}).fit(prompts, {.steps = 20, .seed = seed});
  };
  const auto stuck = fit(low_rank<false>{});
  REQUIRE(stuck.warnings.size() == 1);
  CHECK_THAT(stuck.warnings.front(), ContainsSubstring("nothing is learned at mlp_out") and
                                         ContainsSubstring("40 parameters") and ContainsSubstring("exactly zero"));
  const auto& block = stuck.values.layout.blocks[1];
  CHECK(std::ranges::all_of(stuck.values.record(block, 0, 0), [](double x) { return x == 0; }));

  const auto learns = fit(low_rank<true>{});
  CHECK(learns.warnings.empty());
  CHECK(std::ranges::any_of(learns.values.record(block, 0, 0).subspan(20), [](double x) { return x != 0; }));
  CHECK(same_bits(fit(low_rank<true>{}).values.theta, learns.values.theta));
  CHECK_FALSE(same_bits(fit(low_rank<true>{}, 2).values.theta, learns.values.theta));
  check_policy_gradient(low_rank<true>{}, {7, {0, 1, 0, -1}, {1, -0.5, 2, 1}});
}

namespace {

/// Lowers the logit of a third token, with a weight that the prompt carries, and those of some further tokens.
struct third_token {
  static constexpr prompt_token<"third"> third{};
  static constexpr prompt_tokens<"rest"> rest{};
  static constexpr prompt_number<"by"> by{};
  static constexpr prompt_data data{third, rest, by};

  constexpr auto value(row auto& r) const {
    auto sum = r(by) * r.h(r(third));
    for (int k = 0; k < r(rest.size); ++k) sum += r.h(r(rest, k));
    return sum;
  }
  constexpr void gradient(row auto& r) const {
    r.at(r(third), [&](auto j) { r.d_h(j) += r.d_value() * r(by); });
    for (int k = 0; k < r(rest.size); ++k) r.at(r(rest, k), [&](auto j) { r.d_h(j) += r.d_value(); });
  }
};

}  // namespace

}  // namespace trimtab::test::trainer_tests

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::test::trainer_tests::third_token> = true;

namespace trimtab::test::trainer_tests {

TEST_CASE("A term may read further tokens and numbers of a prompt") {
  auto prompts = prompts_of_four();
  const auto composition = composed(model());
  const parameters zeros{composition.layout(prompts),
                         std::vector<double>(static_cast<std::size_t>(composition.layout(prompts).size()))};
  CHECK_THAT(refusal(error_kind::bad_data, [&] { objective_at(composition, third_token{}, zeros, prompts); }),
             ContainsSubstring("prompt pair 1 has no token 'third'"));
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    prompts[n].tokens["third"] = {static_cast<int>(n)};
    prompts[n].tokens["rest"] = std::vector<int>(1 + n % 3, static_cast<int>(7 + n));
    prompts[n].numbers["by"] = 0.5 + static_cast<double>(n);
  }
  const auto z = logits(model(), ids_of(prompts));
  const auto found = objective_at(composition, 2.0 * third_token{}, zeros, prompts).loss.terms.front();
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const auto row = static_cast<index_t>(n);
    const double expected =
        (0.5 + static_cast<double>(n)) * z(row, row) + static_cast<double>(1 + n % 3) * z(row, 7 + row);
    CHECK(std::abs(found.per_sequence[n] - expected) < 1e-12);
  }
  const auto at = random_parameters(zeros.layout, 4, 0.1);
  const auto total = [&](const std::vector<double>& theta) {
    return objective_at(composition, third_token{}, {at.layout, theta}, prompts).loss.total();
  };
  CHECK(largest_difference(objective_and_gradient(composition, third_token{}, at, prompts).gradient,
                           central_gradient(total, at.theta)) < 1e-7);
  auto wrong = prompts;
  wrong[1].tokens["third"] = {1, 2};
  CHECK_THAT(refusal(error_kind::bad_data, [&] { objective_at(composition, third_token{}, zeros, wrong); }),
             ContainsSubstring("prompt pair 2 has 2 tokens 'third'; a term of the objective reads exactly one token"));
}

TEST_CASE("A composition without records has 0 parameters and can be fitted") {
  const auto prompts = prompts_of_four();
  const auto result =
      trainer(steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::none())), weighed(), adam{})
          .fit(prompts, {.steps = 2});
  CHECK(result.values.theta.empty());
  CHECK(count_parameters(result.values) == parameter_counts{});
}

TEST_CASE("A fit refuses what it cannot learn from") {
  const auto good = prompts_of_four();
  const auto sentence = [&](error_kind kind, const std::vector<prompt_pair>& prompts, fit_options options = {},
                            adam by = {}) {
    return refusal(kind, [&] { trainer(composed(model()), weighed(), by).fit(prompts, options); });
  };
  const auto with = [&](auto change) {
    auto prompts = good;
    change(prompts[1]);
    return prompts;
  };
  CHECK_THAT(sentence(error_kind::bad_data, {}), ContainsSubstring("no prompts"));
  CHECK_THAT(
      sentence(error_kind::bad_data, with([](auto& p) { p.correct_id = 23; })),
      ContainsSubstring("prompt pair 2") && ContainsSubstring("token 23") && ContainsSubstring("vocabulary of 23"));
  CHECK_THAT(sentence(error_kind::bad_data, with([](auto& p) { p.wrong_id = -1; })), ContainsSubstring("token -1"));
  CHECK_THAT(sentence(error_kind::bad_data, with([](auto& p) { p.wrong_id = p.correct_id; })),
             ContainsSubstring("must differ"));
  CHECK_THAT(sentence(error_kind::bad_text, with([](auto& p) { p.ids[2] = 99; })), ContainsSubstring("token id 99"));
  CHECK_THAT(sentence(error_kind::mismatch, with([](auto& p) { p.ids.push_back(1); })),
             ContainsSubstring("4 to 5 tokens"));
  sentence(error_kind::mismatch, with([](auto& p) { p.ids.clear(); }));

  CHECK_THAT(sentence(error_kind::bad_argument, good, {.strengths = {}}), ContainsSubstring("no strengths"));
  CHECK_THAT(sentence(error_kind::bad_argument, good, {.strengths = {1, std::nan("")}}),
             ContainsSubstring("must be a finite number"));
  CHECK_THAT(sentence(error_kind::bad_argument, good, {.strengths = {HUGE_VAL}}),
             ContainsSubstring("must be a finite number"));
  CHECK_THAT(sentence(error_kind::bad_argument, good, {.steps = -1}), ContainsSubstring("negative"));
  CHECK_THAT(sentence(error_kind::bad_argument, good, {}, {.learning_rate = 0}), ContainsSubstring("learning rate"));
  CHECK_THAT(
      refusal(error_kind::bad_argument,
              [&] { trainer(composed(model()), effectiveness{} + minimality{} + minimality{}, adam{}).fit(good); }),
      ContainsSubstring("two penalties"));
}

TEST_CASE("A fit whose loss is NaN ends with an error") {
  const auto prompts = prompts_of_four();
  CHECK_THAT(refusal(error_kind::bad_argument,
                     [&] {
                       trainer(composed(model()), std::nan("") * effectiveness{} + faithfulness{}, adam{})
                           .fit(prompts, {.steps = 3});
                     }),
             ContainsSubstring("the loss is not finite before step 1"));
  CHECK_THAT(
      refusal(error_kind::bad_argument,
              [&] { trainer(composed(model()), weighed(), adam{.learning_rate = 1e300}).fit(prompts, {.steps = 9}); }),
      ContainsSubstring("learning rate"));
}

}  // namespace trimtab::test::trainer_tests
