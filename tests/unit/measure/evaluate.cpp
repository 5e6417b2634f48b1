// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"
#include "support/thread_ranks.hpp"

#include <cmath>

namespace trimtab::test::evaluate_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

const auto& model() {
  static const auto m = small_model<small_neox_parallel, double>();
  return m;
}

auto composition() {
  return steer(model(), at(site::attn_out{}, policy::affine{}, layers::all(), positions::from_end(3)),
               at(site::mlp_out{}, policy::dyn_scalar<>{}));
}

std::vector<prompt_pair> ragged_prompts() { return random_prompts(model().config(), {4, 2, 7, 5, 3, 6, 1}); }

std::vector<double> probabilities(std::vector<double> logits) {
  double sum = 0;
  for (double& x : logits) sum += x = std::exp(x);
  for (double& x : logits) x /= sum;
  return logits;
}

/// The logits of row n, without the answers if `masked`.
std::vector<double> row_of_logits(const host_matrix<double>& z, std::size_t n, const prompt_pair& p, bool masked) {
  std::vector<double> row;
  for (int j = 0; j < static_cast<int>(z.cols); ++j)
    if (not masked or (j != p.correct_id and j != p.wrong_id)) row.push_back(z(static_cast<index_t>(n), j));
  return row;
}

double divergence(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0;
  for (std::size_t j = 0; j < p.size(); ++j) sum += p[j] * std::log(p[j] / q[j]);
  return sum;
}

}  // namespace

TEST_CASE("The metrics agree with a direct computation from the logits") {
  const auto prompts = ragged_prompts();
  const auto steering = composition();
  const auto values = random_parameters(steering.layout(prompts), 3, 0.5);
  const std::vector<double> strengths{1, -1, 2.5};
  const auto m = evaluate(steering, values, prompts, {.strengths = strengths});
  const auto untouched = logits(model(), ids_of(prompts));
  const auto n = static_cast<double>(prompts.size());
  CHECK(m.prompts == 7);
  CHECK(m.at.size() == 4);

  std::vector<bool> follows_all(prompts.size(), true);
  double kl_masked = 0, kl_full = 0, same = 0;
  for (double beta : {0.0, 1.0, -1.0, 2.5}) {
    CAPTURE(beta);
    const auto z = steered_logits(steering, values, prompts, beta);
    double difference = 0, flips = 0, correct = 0, wrong = 0, kl_masked_here = 0, kl_full_here = 0;
    for (std::size_t k = 0; k < prompts.size(); ++k) {
      const auto& p = prompts[k];
      const auto row = row_of_logits(z, k, p, false), before = row_of_logits(untouched, k, p, false);
      const double d = row[static_cast<std::size_t>(p.correct_id)] - row[static_cast<std::size_t>(p.wrong_id)];
      difference += d / n;
      const bool follows = beta * d > 0;
      flips += follows / n;
      correct += probabilities(row)[static_cast<std::size_t>(p.correct_id)] / n;
      wrong += probabilities(row)[static_cast<std::size_t>(p.wrong_id)] / n;
      CHECK(std::abs(m.logit_diffs.at(beta)[k] - d) < 1e-12);
      if (beta == 0) continue;
      if (not follows) follows_all[k] = false;
      const auto others = row_of_logits(z, k, p, true), others_before = row_of_logits(untouched, k, p, true);
      kl_full_here += divergence(probabilities(before), probabilities(row)) / n;
      kl_masked_here += divergence(probabilities(others_before), probabilities(others)) / n;
      same += (std::ranges::max_element(others) - others.begin() ==
               std::ranges::max_element(others_before) - others_before.begin()) /
              n / 3;
    }
    const auto& at = m.at.at(beta);
    CHECK(std::abs(at.logit_diff - difference) < 1e-12);
    CHECK(std::abs(at.flip_rate - flips) < 1e-12);
    CHECK(std::abs(at.probability_correct - correct) < 1e-12);
    CHECK(std::abs(at.probability_wrong - wrong) < 1e-12);
    CHECK(std::abs(at.kl_full - kl_full_here) < 1e-12);
    CHECK(std::abs(at.kl_masked - kl_masked_here) < 1e-12);
    kl_full += kl_full_here / 3;
    kl_masked += kl_masked_here / 3;
  }
  CHECK(std::abs(m.flip_rate_both - static_cast<double>(std::ranges::count(follows_all, true)) / n) < 1e-12);
  CHECK(std::abs(m.kl_masked - kl_masked) < 1e-12);
  CHECK(std::abs(m.kl_full - kl_full) < 1e-12);
  CHECK(std::abs(m.top_other_same - same) < 1e-12);
  CHECK((m.top_other_same > 0 and m.top_other_same < 1));  // the test is not trivial
  CHECK(m.kl_masked > 0.01);
}

TEST_CASE("How many prompts are run at once, by number or by memory, changes nothing") {
  const auto prompts = ragged_prompts();
  const auto steering = composition();
  const auto values = random_parameters(steering.layout(prompts));
  const auto all = evaluate(steering, values, prompts);
  for (index_t at_once : {1, 3, 7}) {
    const auto m = evaluate(steering, values, prompts, {.prompts_at_once = at_once});
    CHECK(m.logit_diffs == all.logit_diffs);
    CHECK(m.kl_masked == all.kl_masked);
    CHECK(m.at.at(1).probability_correct == all.at.at(1).probability_correct);
    CHECK(m.flip_rate_both == all.flip_rate_both);
  }
  const auto bytes = [&](index_t texts, index_t tokens) {
    return bytes_of_evaluation<double>(model().config(), values.layout, texts, tokens, 2);
  };
  CHECK(bytes(2, 10) > bytes(1, 7));
  for (const index_t memory : {bytes(1, 7), bytes(2, 12), bytes(7, 28)}) {
    std::vector<index_t> done;
    const auto m = evaluate(steering, values, prompts,
                            {.memory = memory, .progress = [&](index_t n, index_t) { done.push_back(n); }});
    CHECK(m.kl_masked == all.kl_masked);
    CHECK(m.logit_diffs == all.logit_diffs);
    CHECK(done == (memory == bytes(1, 7)    ? std::vector<index_t>{2, 3, 4, 5, 6, 7}
                   : memory == bytes(2, 12) ? std::vector<index_t>{2, 4, 7}
                                            : std::vector<index_t>{7}));
  }
  CHECK_THAT(refusal(error_kind::memory, [&] { evaluate(steering, values, prompts, {.memory = bytes(1, 7) - 1}); }),
             ContainsSubstring("a prompt of 7 tokens takes"));
}

TEST_CASE("A prompt with one answer has the same figures beside one with sets of answers or long ones") {
  auto prompts = ragged_prompts();
  const auto steering = composition();
  const auto values = random_parameters(steering.layout(prompts));
  const auto plain = evaluate(steering, values, std::span(prompts).first(3));
  prompts[3].all_correct.ids = {prompts[3].correct_id, (prompts[3].correct_id + 1) % 23};
  prompts[5].correct_rest = {4, 1};
  for (const index_t at_once : {2, 7}) {
    const auto mixed = evaluate(steering, values, prompts, {.prompts_at_once = at_once});
    for (const auto& [beta, each] : plain.per_prompt)
      for (std::size_t n = 0; n < each.size(); ++n) {
        CAPTURE(at_once, beta, n);
        CHECK(mixed.per_prompt.at(beta)[n].kl_masked == each[n].kl_masked);
        CHECK(mixed.per_prompt.at(beta)[n].kl_full == each[n].kl_full);
        CHECK(mixed.per_prompt.at(beta)[n].logit_diff == each[n].logit_diff);
      }
  }
}

TEST_CASE("Strength 0 beside others changes no mean") {
  const auto prompts = ragged_prompts();
  const auto values = random_parameters(composition().layout(prompts));
  const auto with = evaluate(composition(), values, prompts, {.strengths = {1, 0, -1}});
  const auto without = evaluate(composition(), values, prompts, {.strengths = {1, -1}});
  CHECK(without.kl_masked > 0);
  CHECK(with.kl_masked == without.kl_masked);
  CHECK(with.kl_full == without.kl_full);
  CHECK(with.top_other_same == without.top_other_same);
  CHECK(each_prompt(with, &strength_metrics::kl_full) == each_prompt(without, &strength_metrics::kl_full));
}

TEST_CASE("Ranks that share the prompts of an evaluation get the bits of one") {
  const auto prompts = ragged_prompts();
  const auto steering = composition();
  const auto values = random_parameters(steering.layout(prompts));
  const evaluate_options options{.strengths = {1, -1, 0.5}, .prompts_at_once = 2};
  const auto alone = evaluate(steering, values, prompts, options);
  for (const int count : {2, 3, 8}) {
    std::vector<char> same(static_cast<std::size_t>(count));
    thread_ranks::run(count, [&](const thread_ranks& own) {
      auto shared = options;
      shared.ranks = own;
      const auto m = evaluate(steering, values, prompts, shared);
      bool equal = m.logit_diffs == alone.logit_diffs and m.kl_masked == alone.kl_masked and
                   m.kl_full == alone.kl_full and m.flip_rate_both == alone.flip_rate_both and
                   m.top_other_same == alone.top_other_same;
      for (const auto& [beta, at] : alone.at)
        equal = equal and m.at.at(beta).logit_diff == at.logit_diff and m.at.at(beta).kl_full == at.kl_full and
                m.at.at(beta).probability_wrong == at.probability_wrong and m.at.at(beta).flip_rate == at.flip_rate;
      same[static_cast<std::size_t>(own.rank())] = equal;
    });
    CAPTURE(count);
    CHECK(same == std::vector<char>(same.size(), 1));
  }
}

TEST_CASE("Without parameters nothing is flipped and nothing moves") {
  const auto prompts = ragged_prompts();
  const auto steering = composition();
  const parameters zeros{steering.layout(prompts),
                         std::vector<double>(static_cast<std::size_t>(steering.layout(prompts).size()))};
  const auto m = evaluate(steering, zeros, prompts);
  CHECK(m.flip_rate_both == 0);
  CHECK(std::abs(m.at.at(1).flip_rate + m.at.at(-1).flip_rate - 1) < 1e-12);
  CHECK(m.kl_full == 0);
  CHECK(std::abs(m.top_other_same - 1) < 1e-12);
  CHECK(m.at.at(1).logit_diff == m.at.at(0).logit_diff);
}

TEST_CASE("A fit is evaluated on prompts of other lengths where positions allow it") {
  const auto prompts = ragged_prompts();
  const auto objective = objective::effectiveness{} + objective::faithfulness{};
  const auto result =
      trainer(composition(), objective, adam{.learning_rate = 0.02}).fit(std::span(prompts).first(2), {.steps = 3});
  CHECK(evaluate(result, prompts).prompts == 7);

  const auto fixed = steer(model(), at(site::attn_out{}, policy::activ_scalar{}));
  const auto values = random_parameters(fixed.layout(std::span(prompts).first(1)));
  CHECK_THAT(refusal(error_kind::mismatch, [&] { evaluate(fixed, values, prompts); }),
             ContainsSubstring("prompts of 4 tokens"));
}

TEST_CASE("An evaluation refuses what it cannot measure") {
  const auto prompts = ragged_prompts();
  const auto steering = composition();
  const auto values = random_parameters(steering.layout(prompts));
  const auto sentence = [&](error_kind kind, const std::vector<prompt_pair>& p, const evaluate_options& options = {}) {
    return refusal(kind, [&] { evaluate(steering, values, p, options); });
  };
  CHECK_THAT(sentence(error_kind::bad_data, {}), ContainsSubstring("no prompts"));
  CHECK_THAT(sentence(error_kind::bad_argument, prompts, {.strengths = {}}), ContainsSubstring("no strengths"));
  CHECK_THAT(sentence(error_kind::bad_argument, prompts, {.prompts_at_once = 0}), ContainsSubstring("at once"));
  CHECK_THAT(sentence(error_kind::bad_argument, prompts, {.strengths = {1, 1}}), ContainsSubstring("twice"));
  auto bad = prompts;
  bad[3].wrong_id = bad[3].correct_id;
  CHECK_THAT(sentence(error_kind::bad_data, bad), ContainsSubstring("prompt pair 4"));
  bad = prompts;
  bad[3].ids.assign(13, 1);
  CHECK_THAT(sentence(error_kind::bad_text, bad), ContainsSubstring("13 tokens"));
  refusal(error_kind::bad_argument, [&] { steered_logits(steering, values, prompts, std::nan("")); });
}

TEST_CASE("Parameters of another composition or of the wrong number are refused before any work", "[train]") {
  const auto prompts = ragged_prompts();
  const auto other =
      steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::from_end(3)));
  const auto layout = composition().layout(prompts);
  const auto count = static_cast<std::size_t>(layout.size());
  const parameters values{layout, std::vector<double>(count)};
  const parameters short_of_one{layout, std::vector<double>(count - 1)};
  const auto sentence = ContainsSubstring("made for another composition");

  CHECK_NOTHROW(evaluate(composition(), values, prompts));
  CHECK_THAT(refusal(error_kind::mismatch, [&] { evaluate(other, values, prompts); }), sentence);
  CHECK_THAT(refusal(error_kind::mismatch, [&] { evaluate(composition(), short_of_one, prompts); }), sentence);
  CHECK_THAT(refusal(error_kind::mismatch, [&] { steered_logits(other, values, prompts, 1); }), sentence);
  CHECK_THAT(refusal(error_kind::mismatch, [&] { measure_geometry(other, values, prompts, 1); }), sentence);
}

TEST_CASE("Strength 0 alone flips nothing, and a strength beyond a float's range is refused") {
  const auto prompts = ragged_prompts();
  const auto values = random_parameters(composition().layout(prompts));
  CHECK(evaluate(composition(), values, prompts, {.strengths = {0}}).flip_rate_both == 0);
  CHECK(evaluate(composition(), values, prompts, {.strengths = {0}}).kl_masked == 0);
  CHECK_THAT(
      refusal(error_kind::bad_argument, [&] { evaluate(composition(), values, prompts, {.strengths = {HUGE_VAL}}); }),
      ContainsSubstring("a strength is inf; it must be a finite number"));
  CHECK(strength_as<double>(-1e39) == -1e39);
  CHECK(strength_as<float>(3e38) == 3e38f);
  CHECK_THAT(refusal(error_kind::bad_argument, [] { strength_as<float>(-1e39); }),
             ContainsSubstring("a strength is -1e+39, which float cannot hold"));
}

}  // namespace trimtab::test::evaluate_tests
