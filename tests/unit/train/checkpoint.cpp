// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <cmath>

namespace trimtab::test::checkpoint_tests {

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

/// The states of a fit after each of its first steps.
template <typename Trainer>
std::vector<fit_state> states_of(const Trainer& t, index_t steps) {
  std::vector<fit_state> states;
  auto run = t.start(prompts());
  while (run.step() < steps) states.push_back(run.state());
  states.push_back(run.state());
  return states;
}

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
  const auto whole = t.fit(prompts(), {.steps = 50});
  const auto states = states_of(t, 50);
  CHECK(largest(whole.values.theta) > 0.1);
  REQUIRE(states.size() == 50);
  for (const auto& state : states) {
    CAPTURE(state.steps());
    auto run = t.start(prompts(), {.resume_from = state});
    CHECK(run.steps() == state.steps());
    while (run.steps() < 50) run.step();
    const auto resumed = run.result();
    CHECK(same_bits(resumed.values.theta, whole.values.theta));
    CHECK(resumed.history == whole.history);
    check_alike(run.state(), states.back());
    CHECK(same_bits(t.fit(prompts(), {.steps = 50, .resume_from = state}).values.theta, whole.values.theta));
  }
}

TEST_CASE("A replica's state is that of its fit alone") {
  const trainer t(composed(model<double>()), weighed(), adam{.learning_rate = 0.02});
  std::vector<decltype(t)::replica_type> replicas;
  for (std::size_t n = 0; n < prompts().size(); ++n)
    replicas.push_back(t.replica_of(std::span(prompts()).subspan(n, 1)));
  auto together = t.start(replicas);
  while (together.step() < 4) {
  }
  for (std::size_t n = 0; n < replicas.size(); ++n) {
    auto alone = t.start({replicas[n]});
    while (alone.step() < 4) {
    }
    check_alike(together.state(n), alone.state());
    replicas[n].resume_from = together.state(n);
  }
  // Both states can be resumed together.
  auto resumed = t.start(replicas);
  while (resumed.step() < 7) together.step();
  while (together.steps() < 7) together.step();
  for (std::size_t n = 0; n < replicas.size(); ++n) check_alike(resumed.state(n), together.state(n));
}

TEST_CASE("A state holds the history without what single sequences gave, and a fit goes on beyond what was asked") {
  const trainer t(composed(model<double>()), weighed(), adam{});
  const auto states = states_of(t, 6);
  for (const auto& values : states.back().history)
    for (const auto& term : values.terms) CHECK(term.per_sequence.empty());
  const auto none = t.start(prompts()).state();
  CHECK(none.steps() == 0);
  const auto whole = t.fit(prompts(), {.steps = 12});
  for (const auto& state : {states.back(), none})
    CHECK(same_bits(t.fit(prompts(), {.steps = 12, .resume_from = state}).values.theta, whole.values.theta));
}

TEST_CASE("A state of another fit is refused with what differs") {
  const auto state = states_of(trainer(composed(model<double>()), weighed(), adam{}), 3).back();
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
             ContainsSubstring("model was gpt2 of 3 layers, width 10 and vocabulary 23 with the hash") and
                 ContainsSubstring("and is now gpt_neox"));
}

TEST_CASE("Each of several terms of one type is part of what a fit is") {
  const auto twice = [](double margin) {
    return trainer(composed(model<double>()), effectiveness{.margin = margin} + 0.5 * effectiveness{.margin = 2},
                   adam{});
  };
  const auto state = states_of(twice(1), 3).back();
  CHECK(refusal(error_kind::mismatch, [&] { twice(7).fit(prompts(), {.resume_from = state}); }) ==
        "the checkpoint belongs to another fit: margin of effectiveness was 1 and is now 7");
}

TEST_CASE("A state that does not match the options is refused") {
  const trainer t(composed(model<double>()), weighed(), adam{});
  const auto last = states_of(t, 3).back();
  const auto refused = [&](error_kind kind, const fit_state& state, index_t steps = 9) {
    return refusal(kind, [&] { t.fit(prompts(), {.steps = steps, .resume_from = state}); });
  };
  CHECK_THAT(refused(error_kind::bad_argument, last, 2),
             ContainsSubstring("has made 3 steps, more than the 2 asked for"));
  const auto changed = [&](auto change) {
    auto state = last;
    change(state);
    return refused(error_kind::mismatch, state);
  };
  CHECK_THAT(changed([](fit_state& s) { s.facts["color\x1b[2J"] = "red\n"; }),
             ContainsSubstring("color\uFFFD[2J was red\uFFFD and is now nothing"));
  CHECK_THAT(changed([](fit_state& s) { s.theta.pop_back(); }), ContainsSubstring("is incomplete"));
  CHECK_THAT(changed([](fit_state& s) { s.second_moment.clear(); }), ContainsSubstring("is incomplete"));
  CHECK_THAT(changed([](fit_state& s) { s.history.clear(); }), ContainsSubstring("is incomplete"));
  CHECK_THAT(changed([](fit_state& s) { s.history.back().terms.front().weight = 7; }),
             ContainsSubstring("its parameters give"));
  // The same facts but another parameter: differences that the facts do not show are found by the loss.
  CHECK_THAT(changed([](fit_state& s) { s.theta[0] = std::nextafter(s.theta[0], 1e9) + 1e-12; }),
             ContainsSubstring("has the loss") && ContainsSubstring("after step 3, but its parameters give"));
  const auto other = gpt2<eigen_backend<double>>(random_weights(small_gpt2::config(), 4), eigen_backend<double>(1));
  CHECK_THAT(
      refusal(error_kind::mismatch,
              [&] { trainer(composed(other), weighed(), adam{}).fit(prompts(), {.steps = 9, .resume_from = last}); }),
      ContainsSubstring("model was gpt2") and ContainsSubstring("with the hash"));
  CHECK_THAT(refusal(error_kind::bad_argument,
                     [&] {
                       auto both = t.replica_of(prompts(), {.resume_from = last});
                       both.start = t.fit(prompts(), {.steps = 0}).values;
                       t.start({both});
                     }),
             ContainsSubstring("`resume_from` and `start` exclude each other"));
}

}  // namespace trimtab::test::checkpoint_tests
