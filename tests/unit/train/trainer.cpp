// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace trimtab;
using namespace trimtab::test;
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

/// A model and prompts large enough that two threads share the work.
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
  CHECK_FALSE(result.interrupted);

  // All parameters start at the identity: no divergence, no size, the effectiveness of the untouched logits.
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
  const auto size = count(result.values);
  CHECK(size.nonzero_parameters > 0);
  CHECK(size.nonzero_parameters < size.parameters);
  CHECK(std::abs(result.history.back().terms[2].value - size.l1) < 1e-12);
}

TEST_CASE("The smooth part alone follows Adam on the gradient of the loss") {
  // The first step has the length of the learning rate against the gradient's sign, everywhere that there is one.
  const auto prompts = prompts_of_four();
  const auto composition = composed(model());
  const auto result = trainer(composition, effectiveness{.margin = 50} + faithfulness{}, adam{.learning_rate = 1e-6})
                          .fit(prompts, {.steps = 1});
  const auto layout = composition.layout(prompts);
  // At the identity L_F has no gradient, and the hinge is open everywhere: d L_E = mean of -sign(beta) dD.
  repeated_pass pass(composition, prompts, {1, -1});
  std::vector<double> d_logits(static_cast<std::size_t>(10 * model().config().vocabulary));
  for (std::size_t k = 0; k < 10; ++k) {
    const auto& p = prompts[k % 5];
    const auto first = k * static_cast<std::size_t>(model().config().vocabulary);
    d_logits[first + static_cast<std::size_t>(p.correct_id)] = k < 5 ? -0.1 : 0.1;
    d_logits[first + static_cast<std::size_t>(p.wrong_id)] = k < 5 ? 0.1 : -0.1;
  }
  const auto gradient = pass.gradient(std::vector<double>(static_cast<std::size_t>(layout.lane_size())), d_logits);
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

TEST_CASE("No step leaves the identity, and a caller may end a fit") {
  const auto prompts = prompts_of_four();
  const trainer t(composed(model()), weighed(), adam{});
  const auto none = t.fit(prompts, {.steps = 0});
  CHECK(none.history.size() == 1);
  CHECK(largest(none.values.theta) == 0);

  std::vector<index_t> steps;
  const auto ended = t.fit(prompts, {.steps = 50, .before_step = [&](index_t step, const loss_values& values) {
                                       steps.push_back(step);
                                       CHECK(values.terms.size() == 3);
                                       return step < 4;
                                     }});
  CHECK(steps == std::vector<index_t>{1, 2, 3, 4});
  CHECK(ended.interrupted);
  CHECK(same_bits(ended.values.theta, t.fit(prompts, {.steps = 3}).values.theta));
}

TEST_CASE("A fit may have no end but the caller's") {
  const auto prompts = prompts_of_four();
  const fit_options endless{.steps = std::numeric_limits<index_t>::max(),
                            .before_step = [](index_t step, const loss_values&) { return step < 3; }};
  const auto ended = trainer(composed(model()), weighed(), adam{}).fit(prompts, endless);
  CHECK(ended.interrupted);
  CHECK(ended.history.size() == 3);
}

TEST_CASE("A composition without places fits nothing and says so in its counts") {
  const auto prompts = prompts_of_four();
  const auto result =
      trainer(steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::none())), weighed(), adam{})
          .fit(prompts, {.steps = 2});
  CHECK(result.values.theta.empty());
  CHECK(count(result.values) == parameter_counts{});
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
             ContainsSubstring("between -1e6 and 1e6"));
  CHECK_THAT(sentence(error_kind::bad_argument, good, {.strengths = {HUGE_VAL}}),
             ContainsSubstring("between -1e6 and 1e6"));
  CHECK_THAT(sentence(error_kind::bad_argument, good, {.steps = -1}), ContainsSubstring("negative"));
  CHECK_THAT(sentence(error_kind::bad_argument, good, {}, {.learning_rate = 0}), ContainsSubstring("learning rate"));
  CHECK_THAT(
      refusal(error_kind::bad_argument,
              [&] { trainer(composed(model()), effectiveness{} + minimality{} + minimality{}, adam{}).fit(good); }),
      ContainsSubstring("two penalties"));
}

TEST_CASE("A loss that is no number ends a fit with a sentence") {
  const auto prompts = prompts_of_four();
  CHECK_THAT(refusal(error_kind::bad_argument,
                     [&] {
                       trainer(composed(model()), std::nan("") * effectiveness{} + faithfulness{}, adam{})
                           .fit(prompts, {.steps = 3});
                     }),
             ContainsSubstring("no longer a finite number"));
  CHECK_THAT(
      refusal(error_kind::bad_argument,
              [&] { trainer(composed(model()), weighed(), adam{.learning_rate = 1e300}).fit(prompts, {.steps = 9}); }),
      ContainsSubstring("learning rate"));
}
