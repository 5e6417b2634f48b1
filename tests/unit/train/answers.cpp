// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>
#include <trimtab/train/sweep.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"
#include "support/thread_ranks.hpp"

#include <cmath>

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

/// Every kind, two more sequences, of which one is longer on one side alone, and the first sequence once more.
std::vector<prompt_pair> many_sequences() {
  auto prompts = every_kind();
  const auto more = random_prompts(small_gpt2::config(), {6, 3}, 8);
  prompts.insert(prompts.begin() + 1, more.begin(), more.end());
  prompts[1].correct_rest = {3}, prompts[1].wrong_rest = {9, 8, 3};
  prompts[2].wrong_id = prompts[2].correct_id, prompts[2].wrong_rest = {7};  // one answer is the beginning of the other
  prompts.push_back(prompts[4]);
  return prompts;
}

const auto& model() {
  static const auto m = small_model<small_gpt2, double>();
  return m;
}

auto composed(const position_key& key = positions::from_end(2)) {
  return steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::range(1, 2), key),
               at(site::resid_post{}, policy::steer_vec{}, layers::range(1, 1), key));
}

auto fits_on(const any_communicator& ranks = {}, const position_key& key = positions::from_end(2)) {
  return trainer(composed(key), usual(), adam{.learning_rate = .02}, ranks);
}

/// The largest difference, by the largest value.
double relative(const std::vector<double>& a, const std::vector<double>& b) {
  return largest_difference(a, b) / largest(b);
}

template <typename Fits>
std::vector<double> gradient_at(const Fits& fits, const parameters& values, std::span<const prompt_pair> prompts,
                                fit_options options) {
  options.start = values;
  auto run = fits.start(prompts, options);
  run.step();
  return run.first_gradient();
}

}  // namespace

TEST_CASE("Answers of several tokens in chunks have the loss and the gradient of one pass") {
  const auto prompts = many_sequences();
  for (const auto& key : {positions::from_end(2), positions::shared(), positions::role({"subject"})}) {
    const auto fits = fits_on({}, key);
    auto whole = fits.start(prompts);
    while (whole.steps() < 4) whole.step();
    const auto values = whole.result().values;
    CHECK(largest(values.theta) > .01);
    const auto gradient = gradient_at(fits, values, prompts, {});
    CHECK(relative(objective_and_gradient(composed(key), usual(), values, prompts).gradient, gradient) < 1e-12);
    for (const index_t chunk : {1, 2, 3, 6}) {
      CAPTURE(key.text(), chunk);
      auto cut = fits.start(prompts, {.chunk = chunk});
      while (cut.steps() < 4) cut.step();
      for (std::size_t k = 0; k < 4; ++k) {
        const auto &here = cut.loss().terms[k], &there = whole.loss().terms[k];
        CHECK(std::abs(here.value - there.value) <= 1e-12 * there.value);
        if (not there.per_sequence.empty()) CHECK(relative(here.per_sequence, there.per_sequence) < 1e-12);
      }
      CHECK(relative(cut.result().values.theta, values.theta) < 1e-11);
      CHECK(relative(gradient_at(fits, values, prompts, {.chunk = chunk}), gradient) < 1e-12);
    }
    CHECK(same_bits(fits.fit(prompts, {.steps = 4, .chunk = 7}).values.theta, values.theta));
  }
}

TEST_CASE("A mini-batch counts prompts, and each brings the further tokens of its answers") {
  const auto prompts = many_sequences();
  const mini_batches batches{.size = 4, .seed = 5};
  const auto fits = fits_on();
  const auto run = fits.fit(prompts, {.steps = 5, .batches = batches});
  const auto cut = fits.fit(prompts, {.steps = 5, .chunk = 3, .batches = batches});
  std::optional<parameters> at;
  for (index_t step = 0; step < 5; ++step) {
    std::vector<prompt_pair> seen;
    for (const index_t n : prompts_of_step(std::ssize(prompts), batches, step))
      seen.push_back(prompts[static_cast<std::size_t>(n)]);
    CHECK(seen.size() == (step % 2 == 0 ? 4 : 3));
    const auto here = fits.fit(seen, {.steps = step == 0 ? 1 : 0, .start = at});
    const auto k = static_cast<std::size_t>(step);
    CHECK(here.history.front() == run.history[k]);
    CHECK(std::abs(cut.history[k].total() - run.history[k].total()) < 1e-12 * run.history[k].total());
    at = fits.fit(prompts, {.steps = step + 1, .batches = batches}).values;
    if (step == 0) CHECK(same_bits(here.values.theta, at->theta));
  }
  CHECK(same_bits(at->theta, run.values.theta));
  CHECK(relative(cut.values.theta, at->theta) < 1e-11);
  const double in_batches = fits.lambda_max(prompts, {.batches = {.size = 2}});
  CHECK(std::abs(in_batches - fits.lambda_max(prompts)) < 1e-12 * in_batches);
}

TEST_CASE("Answers of several tokens have the same bits on any number of ranks, and resumed") {
  const auto prompts = many_sequences();
  for (const fit_options& options :
       {fit_options{.steps = 4, .chunk = 2}, fit_options{.steps = 4, .chunk = 1, .batches = {.size = 4}},
        fit_options{.steps = 4}}) {
    const auto alone = fits_on().fit(prompts, options);
    auto begun = fits_on().start(prompts, options);
    while (begun.steps() < 2) begun.step();
    auto resumed = options;
    resumed.resume_from = begun.state();
    for (const int count : {1, 2, 3}) {
      std::vector<char> same(static_cast<std::size_t>(count)), goes_on(same);  // not bool: no two share a byte
      thread_ranks::run(count, [&](const thread_ranks& own) {
        const auto result = fits_on(own).fit(prompts, options), after = fits_on(own).fit(prompts, resumed);
        const auto n = static_cast<std::size_t>(own.rank());
        same[n] = same_bits(result.values.theta, alone.values.theta) and result.history == alone.history;
        goes_on[n] = same_bits(after.values.theta, alone.values.theta) and after.history == alone.history;
      });
      CAPTURE(count, options.chunk);
      CHECK(same == std::vector<char>(same.size(), 1));
      CHECK(goes_on == same);
    }
  }
}

TEST_CASE("A checkpoint of answers of several tokens tells the prompts in a chunk where a fit is cut") {
  const auto prompts = many_sequences();
  const auto state_of = [&](const std::vector<prompt_pair>& some, const fit_options& options) {
    auto run = fits_on().start(some, options);
    run.step();
    return run.state();
  };
  // As the first fits of such answers wrote it: all texts are counted, and of chunks nothing is said.
  const auto whole = state_of(every_kind(), {});
  CHECK(whole.facts.at("prompts") == "7 with the hash c04c342cc76ff088");
  CHECK(not whole.facts.contains("prompts in a chunk"));
  CHECK(not state_of(prompts, {.chunk = 7}).facts.contains("prompts in a chunk"));
  CHECK(not state_of(prompts, {.chunk = 3, .batches = {.size = 3}}).facts.contains("prompts in a chunk"));
  const auto cut = state_of(prompts, {.chunk = 6});
  CHECK(cut.facts.at("prompts in a chunk") == "6");
  CHECK_THAT(refusal(error_kind::mismatch, [&] { fits_on().start(prompts, {.chunk = 5, .resume_from = cut}); }),
             ContainsSubstring("prompts in a chunk was 6 and is now 5"));
}

TEST_CASE("Replicas that share prompts with answers of several tokens, or not, have the bits of their fits alone") {
  const auto prompts = many_sequences();
  std::vector<prompt_pair> backwards(prompts.rbegin(), prompts.rend()), others;
  others = random_prompts(model().config(), {5, 4, 3}, 12);
  others[1].correct_rest = {2, 2};
  others.push_back(prompts[1]);
  const auto fits = fits_on();
  for (const index_t chunk : {0, 2}) {
    CAPTURE(chunk);
    const std::vector replicas{
        fits.replica_of(prompts, {.chunk = chunk}, 5), fits.replica_of(backwards, {.chunk = chunk == 0 ? 0 : 3}, 3),
        fits.replica_of(std::span(prompts).subspan(1, 3), {.strengths = {.5}, .chunk = chunk}, 4),
        fits.replica_of(others, {.chunk = chunk, .batches = {.size = chunk}}, 6)};
    const auto together = fits.fit_all(replicas);
    for (std::size_t r = 0; r < replicas.size(); ++r) {
      CAPTURE(r);
      const auto alone = fits.fit_all({replicas[r]}).front();
      CHECK(same_bits(together[r].values.theta, alone.values.theta));
      CHECK(together[r].history == alone.history);
    }
    std::vector<char> swept(replicas.size());
    sweep(composed(), replicas, [&](std::size_t r, const auto& result) {
      swept[r] = same_bits(result.values.theta, together[r].values.theta);
    });
    CHECK(swept == std::vector<char>(swept.size(), 1));
  }
}

TEST_CASE("A pool has a text once, for whichever fits see its prompt") {
  const auto prompts = many_sequences();
  prompt_pool pool;
  std::vector<pooled_prompt> seen, backwards;
  for (const prompt_pair& p : prompts) seen.push_back(pool.add(p));
  const std::size_t texts = pool.all().size();
  for (std::size_t n = prompts.size(); n-- > 0;) backwards.push_back(pool.add(prompts[n]));
  CHECK(pool.all().size() == texts);
  CHECK(texts == 6 + 4 + 1 + 3);
  const auto all = with_continuations(prompts);
  const std::vector<index_t> order = with_continuations(seen);
  REQUIRE(order.size() == all.size());
  for (std::size_t k = 0; k < all.size(); ++k) {
    const prompt_pair& here = pool.all()[static_cast<std::size_t>(order[k])];
    CHECK(here.ids == all[k].ids);
    CHECK(here.correct_id == all[k].correct_id);
    CHECK(here.step.sign == all[k].step.sign);
    if (here.step.sign != 0) CHECK(pool.all()[here.step.pair] == prompts[all[k].step.pair]);
  }
}

TEST_CASE("What a fit will need counts the texts of further tokens") {
  const auto prompts = many_sequences();
  const auto layout = composed(positions::shared()).layout(prompts);
  const std::vector<double> strengths{1, -1};
  const model_config& config = model().config();
  const auto bytes = [&](std::span<const prompt_pair> some) {
    return bytes_of_step<double>(config, layout, some, strengths).activations;
  };
  for (const prompt_pair& p : prompts) {
    index_t tokens = 0;
    for (const prompt_pair& text : with_continuations(std::span(&p, 1))) tokens += std::ssize(text.ids);
    CHECK(tokens_with_continuations(p) == tokens);
  }
  const index_t most = bytes(std::span(prompts).subspan(1, 1));  // 6 + 7 + (7 + 8 + 9) tokens
  CHECK(most > 4 * bytes(std::span(prompts).subspan(3, 1)));
  CHECK(usual_chunk<double>(config, layout, prompts, strengths, 3 * most) == 3);
  CHECK(usual_chunk<double>(config, layout, prompts, strengths, 3 * most - 1) == 2);

  const auto plan = [&](index_t chunk) {
    return plan_of_fit<double>(config, layout, prompts, strengths, chunk, {}, 10, 0);
  };
  index_t tokens = 0;
  for (const prompt_pair& p : prompts) tokens += tokens_with_continuations(p);
  CHECK(plan(7).rows == 2 * tokens);
  CHECK(plan(3).rows == 2 * tokens);
  CHECK((plan(3).chunk == 3 and plan(3).chunks == 3));
  CHECK(plan(7).memory[1] == std::pair(std::string("activations"), bytes(prompts)));
  CHECK(plan(1).memory[1].second == most);

  auto replica = fits_on({}, positions::shared()).replica_of(prompts, {.chunk = 1});
  CHECK(size_of_replica(composed(positions::shared()), replica).bytes ==
        bytes_of_step<double>(config, layout, std::span(prompts).subspan(1, 1), strengths).total());
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
