// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <cmath>

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

template <typename T>
const auto& model() {
  static const auto m = small_model<small_gpt2, T>();
  return m;
}

const std::vector<prompt_pair>& prompts() {
  static const auto p = random_prompts(small_gpt2::config(), {4, 4, 4, 4, 4});
  return p;
}

/// A state after each so many steps of a fit, and after the last.
struct kept_states {
  std::vector<fit_state> states = {};
  index_t every = 1;

  fit_options options(index_t steps) {
    return {.steps = steps,
            .checkpoint = [this](const fit_state& state) { states.push_back(state); },
            .checkpoint_every = every};
  }
};

void check_alike(const fit_state& one, const fit_state& other) {
  CHECK(one.facts == other.facts);
  CHECK(same_bits(one.theta, other.theta));
  CHECK(same_bits(one.first_moment, other.first_moment));
  CHECK(same_bits(one.second_moment, other.second_moment));
  CHECK(one.history == other.history);
}

}  // namespace

TEMPLATE_TEST_CASE("Resumed after any step, a fit ends bit for bit as without a break", "", float, double) {
  const bool subgradient = GENERATE(false, true);
  const trainer t(composed(model<TestType>()), weighed(), adam{.learning_rate = 0.02, .subgradient = subgradient});
  kept_states kept;
  const auto whole = t.fit(prompts(), kept.options(50));
  CHECK(largest(whole.values.theta) > 0.1);
  REQUIRE(kept.states.size() == 50);
  for (const auto& state : kept.states) {
    CAPTURE(state.steps());
    kept_states last{{}, 0};
    auto options = last.options(50);
    options.resume_from = state;
    index_t first_step = 0;
    options.before_step = [&](index_t step, const loss_values&) {
      if (first_step == 0) first_step = step;
      return true;
    };
    const auto resumed = t.fit(prompts(), options);
    CHECK(first_step == (state.steps() < 50 ? state.steps() + 1 : 0));
    CHECK(same_bits(resumed.values.theta, whole.values.theta));
    CHECK(resumed.history == whole.history);
    REQUIRE(last.states.size() == 1);
    check_alike(last.states.front(), kept.states.back());
  }
}

TEST_CASE("Fits for each prompt are resumed together") {
  const trainer t(composed(model<double>()), weighed(), adam{.learning_rate = 0.02});
  kept_states kept{{}, 3};
  const auto whole = t.fit_each(prompts(), kept.options(7));
  REQUIRE(kept.states.size() == 3);  // after 3, 6 and 7
  const auto resumed = t.fit_each(prompts(), {.steps = 7, .resume_from = kept.states.front()});
  for (std::size_t n = 0; n < prompts().size(); ++n) {
    CHECK(same_bits(resumed[n].values.theta, whole[n].values.theta));
    CHECK(resumed[n].history == whole[n].history);
  }
  CHECK_THAT(refusal(error_kind::mismatch, [&] { t.fit(prompts(), {.steps = 7, .resume_from = kept.states.front()}); }),
             ContainsSubstring("fits at once was 5 and is now 1"));
}

TEST_CASE("A state is given when it is due, and at the end") {
  const trainer t(composed(model<double>()), weighed(), adam{});
  const auto steps_of = [&](const kept_states& kept) {
    std::vector<index_t> steps;
    for (const auto& state : kept.states) steps.push_back(state.steps());
    return steps;
  };
  kept_states every{{}, 4}, end{{}, 0}, ended{{}, 4}, none{{}, 1};
  t.fit(prompts(), every.options(8));
  CHECK(steps_of(every) == std::vector<index_t>{4, 8});
  t.fit(prompts(), end.options(8));
  CHECK(steps_of(end) == std::vector<index_t>{8});
  t.fit(prompts(), none.options(0));
  CHECK(steps_of(none) == std::vector<index_t>{0});

  auto options = ended.options(8);
  options.before_step = [](index_t step, const loss_values&) { return step < 7; };
  t.fit(prompts(), options);
  CHECK(steps_of(ended) == std::vector<index_t>{4, 6});
  for (const auto& lane : ended.states.back().history)
    for (const auto& values : lane)
      for (const auto& term : values.terms) CHECK(term.per_sequence.empty());

  // An ended fit goes on, further than was asked for at first; one from the start is no other than a new one.
  const auto whole = t.fit(prompts(), {.steps = 12});
  for (const auto& state : {ended.states.back(), none.states.back()})
    CHECK(same_bits(t.fit(prompts(), {.steps = 12, .resume_from = state}).values.theta, whole.values.theta));
}

TEST_CASE("What a checkpoint throws ends the fit") {
  const trainer t(composed(model<double>()), weighed(), adam{});
  fit_options options{.steps = 8,
                      .checkpoint = [](const fit_state&) { throw error(error_kind::io, "the disk is full"); },
                      .checkpoint_every = 2};
  CHECK(refusal(error_kind::io, [&] { t.fit(prompts(), options); }) == "the disk is full");
}

TEST_CASE("A state of another fit is refused with what differs") {
  kept_states kept;
  trainer(composed(model<double>()), weighed(), adam{}).fit(prompts(), kept.options(3));
  const auto state = kept.states.back();
  const auto refused = [&](const auto& with, const std::vector<prompt_pair>& by, fit_options options = {}) {
    options.resume_from = state;
    return refusal(error_kind::mismatch, [&] { with.fit(by, options); });
  };
  const auto& m = model<double>();
  const auto same = [&](const std::string& sentence, const std::string& expected) {
    CHECK(sentence == "the checkpoint belongs to another fit: " + expected);
  };
  same(refused(trainer(composed(m), weighed(0.03), adam{}), prompts()),
       "weight of minimality was 0.02 and is now 0.03");
  same(refused(trainer(composed(m), weighed(), adam{.learning_rate = 0.5, .subgradient = true}), prompts()),
       "learning rate was 0.03 and is now 0.5; subgradient was off and is now on");
  same(refused(trainer(composed(m), effectiveness{.margin = 2} + 0.5 * faithfulness{} + 0.02 * minimality{}, adam{}),
               prompts()),
       "margin of effectiveness was 1 and is now 2");
  same(refused(trainer(composed(m), weighed(), adam{}), prompts(), {.strengths = {1}}),
       "strengths was 1,-1 and is now 1");
  same(refused(trainer(composed(model<float>()), weighed(), adam{}), prompts()),
       "precision was double and is now float");
  CHECK_THAT(refused(trainer(composed(m), effectiveness{} + 0.5 * faithfulness{}, adam{}), prompts()),
             ContainsSubstring("weight of minimality was 0.02 and is now nothing"));
  CHECK_THAT(refused(trainer(steer(m, at(site::attn_out{}, policy::activ_scalar{})), weighed(), adam{}), prompts()),
             ContainsSubstring("intervention at mlp_out was steer-vec in the layers 1,2 with 4 absolute positions and "
                               "is now nothing"));
  auto others = prompts();
  std::swap(others[0], others[1]);
  CHECK_THAT(refused(trainer(composed(m), weighed(), adam{}), others),
             ContainsSubstring("prompts was 5 with the hash"));
  others = prompts();
  others[2].roles["end"].first -= 1;
  CHECK_THAT(refused(trainer(composed(m), weighed(), adam{}), others),
             ContainsSubstring("prompts was 5 with the hash"));
  const auto wide = small_model<small_neox_sequential, double>();
  CHECK_THAT(refused(trainer(composed(wide), weighed(), adam{}), prompts()),
             ContainsSubstring("model was gpt2 of 3 layers, width 10 and vocabulary 23 and is now gpt_neox"));
}

TEST_CASE("A state that cannot go on as asked is refused") {
  kept_states kept;
  const trainer t(composed(model<double>()), weighed(), adam{});
  t.fit(prompts(), kept.options(3));
  const auto refused = [&](error_kind kind, const fit_state& state, index_t steps = 9) {
    return refusal(kind, [&] { t.fit(prompts(), {.steps = steps, .resume_from = state}); });
  };
  CHECK_THAT(refused(error_kind::bad_argument, kept.states.back(), 2),
             ContainsSubstring("has made 3 steps, more than the 2 asked for"));
  const auto changed = [&](auto change) {
    auto state = kept.states.back();
    change(state);
    return refused(error_kind::mismatch, state);
  };
  CHECK_THAT(changed([](fit_state& s) { s.facts["color\x1b[2J"] = "red\n"; }),
             ContainsSubstring("color\uFFFD[2J was red\uFFFD and is now nothing"));
  CHECK_THAT(changed([](fit_state& s) { s.theta.pop_back(); }), ContainsSubstring("is not whole"));
  CHECK_THAT(changed([](fit_state& s) { s.second_moment.clear(); }), ContainsSubstring("is not whole"));
  CHECK_THAT(changed([](fit_state& s) { s.history.clear(); }), ContainsSubstring("is not whole"));
  CHECK_THAT(changed([](fit_state& s) { s.history.front().clear(); }), ContainsSubstring("is not whole"));
  CHECK_THAT(changed([](fit_state& s) { s.history.front().back().terms.front().weight = 7; }),
             ContainsSubstring("its parameters give"));
  // The same facts and another number: what the facts do not tell shows in the loss.
  CHECK_THAT(changed([](fit_state& s) { s.theta[0] = std::nextafter(s.theta[0], 1e9) + 1e-12; }),
             ContainsSubstring("has the loss") && ContainsSubstring("after step 3, but its parameters give"));
  const auto other = gpt2<eigen_backend<double>>(random_weights(small_gpt2::config(), 4), eigen_backend<double>(1));
  CHECK_THAT(
      refusal(
          error_kind::mismatch,
          [&] {
            trainer(composed(other), weighed(), adam{}).fit(prompts(), {.steps = 9, .resume_from = kept.states.back()});
          }),
      ContainsSubstring("its parameters give"));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { t.fit(prompts(), {.checkpoint_every = -1}); }),
             ContainsSubstring("between checkpoints is negative"));
}
