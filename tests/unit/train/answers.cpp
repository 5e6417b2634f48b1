// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::answers_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// A pair with one token an answer, one with sets, one with sequences, and one that is to stay.
std::vector<prompt_pair> every_kind() {
  auto prompts = random_prompts(small_gpt2::config(), {4, 3, 5, 4});
  prompts[1].correct_id = 1, prompts[1].all_correct.ids = {1, 2};
  prompts[1].wrong_id = 3, prompts[1].all_wrong.ids = {3, 4, 5};
  prompts[2].correct_rest = {4, 2};
  prompts[2].wrong_rest = {1};
  prompts[3].retained = true;
  return prompts;
}

auto usual() {
  return objective::effectiveness{.shape = objective::psi::softplus} + 1.0 * objective::faithfulness{} +
         0.001 * objective::minimality{} + 0.5 * objective::retention{};
}

}  // namespace

TEST_CASE("A fit sees every kind of answer, and prompts that are to stay, as the objective does") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = every_kind();
  const auto steering = steer(model, at(site::mlp_out{}, policy::low_rank<2>{}, layers::list({1})),
                              at(site::resid_post{}, policy::activ_scalar{}, layers::all(), positions::from_end(2)));
  const trainer fits(steering, usual(), adam{.learning_rate = .01});
  const auto result = fits.fit(prompts, {.steps = 20});
  CHECK(result.history.back().total() < result.history.front().total());
  const auto found = objective_at(steering, usual(), result.values, prompts);
  REQUIRE(found.loss.terms.size() == 4);
  for (std::size_t k = 0; k < 4; ++k) {
    CAPTURE(found.loss.terms[k].name);
    CHECK(std::abs(found.loss.terms[k].value - result.history.back().terms[k].value) < 1e-12);
    CHECK(found.loss.terms[k].value > 0);
  }

  // D of the sequences is what a user computes from the model's logits.
  const auto log_p = [&](std::vector<int> ids, int token) {
    const prompt_pair text{.ids = std::move(ids), .correct_id = 1, .wrong_id = 2};
    const auto z = steered_logits(steering, result.values, std::span(&text, 1), 1).values;
    double sum = 0;
    for (double x : z) sum += std::exp(x);
    return z[static_cast<std::size_t>(token)] - std::log(sum);
  };
  const auto& p = prompts[2];
  const auto after = [&](std::vector<int> more) {
    auto ids = p.ids;
    ids.insert(ids.end(), more.begin(), more.end());
    return ids;
  };
  const double d = log_p(p.ids, p.correct_id) + log_p(after({p.correct_id}), 4) + log_p(after({p.correct_id, 4}), 2) -
                   log_p(p.ids, p.wrong_id) - log_p(after({p.wrong_id}), 1);
  CHECK(std::abs(found.logit_diffs[2] - d) < 1e-10);
  const metrics measured = evaluate(steering, result.values, std::span(prompts).first(3));
  CHECK(std::abs(measured.logit_diffs.at(1)[2] - d) < 1e-10);
  CHECK(std::abs(measured.per_prompt.at(1)[2].probability_wrong -
                 std::exp(log_p(p.ids, p.wrong_id) + log_p(after({p.wrong_id}), 1))) < 1e-12);
}

TEST_CASE("Replicas with every kind of answer have the bits of their fits alone, also from a checkpoint") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = every_kind();
  const auto steering = steer(model, at(site::mlp_out{}, policy::project_out{}, layers::list({1})));
  const trainer fits(steering, usual(), adam{.learning_rate = .01});
  auto one = fits.replica_of(prompts, {}, 6), other = fits.replica_of(std::span(prompts).subspan(1), {.seed = 2}, 4);
  const auto together = fits.fit_all({one, other});
  CHECK(together[0].values == fits.fit_all({one}).front().values);
  CHECK(together[1].values == fits.fit_all({other}).front().values);
  CHECK_THAT(together[0].warnings.at(0), ContainsSubstring("does not start with the untouched model: project-out"));

  auto run = fits.start(prompts);
  while (run.steps() < 3) run.step();
  CHECK(fits.fit(prompts, {.steps = 6, .resume_from = run.state()}).values == together[0].values);

  CHECK_THAT(refusal(error_kind::bad_argument, [&] { fits.fit(prompts, {.steps = 1, .chunk = 2}); }),
             ContainsSubstring("answers of several tokens need all prompts in one pass"));
  auto without = prompts;
  without.erase(without.begin() + 2);
  const auto whole = fits.fit(without, {.steps = 4}), cut = fits.fit(without, {.steps = 4, .chunk = 1});
  CHECK(largest_difference(cut.values.theta, whole.values.theta) < 1e-10);
  CHECK(std::abs(cut.history.back().terms.at(3).value - whole.history.back().terms.at(3).value) < 1e-12);

  auto stays = prompts;
  for (prompt_pair& p : stays) p.retained = true;
  CHECK_THAT(refusal(error_kind::bad_data, [&] { fits.fit(stays, {.steps = 1}); }),
             ContainsSubstring("all prompts are only to be retained"));
  CHECK_THAT(refusal(error_kind::bad_data, [&] { explain::attribution(model, prompts, {}); }),
             ContainsSubstring("several tokens as an answer"));
}

namespace {

/// An optimizer that takes all parameters alike.
struct plain_descent {
  struct step {
    constexpr void forward(row auto& r) const {
      r.each([&](auto j) { r(name::theta, j) -= static_cast<float>(0.01) * r.d(name::theta, j); });
    }
  };
  step update(index_t, penalty) const { return {}; }
};

}  // namespace

TEST_CASE("An optimizer that takes all parameters alike refuses policies that are weighed in parts") {
  const auto model = small_model<small_gpt2, float>();
  const auto prompts = random_prompts(small_gpt2::config(), {4});
  const auto run = [&](auto policy) {
    trainer(steer(model, at(site::mlp_out{}, policy, layers::list({1}))), objective::effectiveness{}, plain_descent{})
        .fit(prompts, {.steps = 1});
  };
  run(policy::dyn_scalar<>{});
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { run(policy::low_rank<1>{}); }),
             ContainsSubstring("minimality weighs only a part of the parameters of low-rank"));
}

}  // namespace trimtab::test::answers_tests
