// SPDX-License-Identifier: Apache-2.0
#include "parity/cuda/compare.hpp"
#include "support/compositions.hpp"
#include "support/own.hpp"

using namespace trimtab;
using namespace trimtab::test;

namespace {

/// Aligned rows, several tiles of the attention.
template <typename Kind>
struct even : Kind {
  static model_config config() {
    auto c = Kind::config();
    c.width = 64;
    c.hidden = 132;
    c.context = 48;
    c.vocabulary = 68;
    if (c.rotary_channels > 0) c.rotary_channels = 16;
    return c;
  }
};

template <typename Kind, typename B>
auto model_on(const B& backend) {
  return typename Kind::template model<B>(random_weights(Kind::config(), 3), backend);
}

/// Logits of every position, then the loss and its gradient with respect to all parameters.
template <typename Model, typename Compose>
std::vector<double> run(const Model& model, Compose compose, std::span<const prompt_pair> prompts) {
  using T = typename Model::scalar;
  std::vector<double> all;
  const auto keep = [&](const auto& numbers) { all.insert(all.end(), numbers.begin(), numbers.end()); };
  keep(logits(model, ids_of(prompts), scored::all).values);

  const auto composition = compose(model);
  const parameters values = random_parameters(composition.layout(prompts));
  const std::vector<double> strengths{1, -0.7};
  steered pass(composition, values.layout, prompts, every_strength(static_cast<index_t>(prompts.size()), strengths), 1,
               tape_use::forward_and_backward);
  load(model.backend(), values.theta, pass.theta());
  const auto objective = objective::effectiveness{.margin = 9} + 0.5 * objective::faithfulness{} +
                         0.1 * conserved_sum{} + 0.01 * objective::minimality{};
  const loss terms(model.backend(), objective, prompts, pass.sequences());
  const matrix_view<const T> z = pass.forward();
  keep(model.backend().download(z).values);
  keep(std::vector{terms.values(z, pass.reference().logits(), values.layout, values.theta).front().total()});
  terms.gradient(z, pass.reference().logits(), pass.d_logits());
  pass.backward();
  keep(model.backend().download(pass.gradient()).values);
  return all;
}

template <typename Kind, int Shift>
void check_model() {
  CAPTURE(Shift, Kind::config().width);
  const auto compose = [](const auto& model) {
    return hook_all_sites<Kind, Shift>(
        model, hooked_places::everywhere<Kind>(
                   {positions::from_end(2), positions::shared(), positions::role({"subject", "end"})}));
  };
  const auto prompts = random_prompts(Kind::config(), {4, 1, static_cast<int>(Kind::config().context), 9});
  const auto device = model_on<Kind>(watched_backend());
  const auto right = run(model_on<Kind>(eigen_backend<double>(1)), compose, prompts);
  CHECK(relative_difference(run(device, compose, prompts), right) < 1e-4);
  check_repeats([&] { return run(device, compose, prompts); });
}

template <typename Kind, typename Policy, typename B>
auto fitted_on(const B& backend, Policy policy) {
  const auto model = model_on<Kind>(backend);
  const auto prompts = random_prompts(Kind::config(), {4, 6, 5, 5});
  const auto composition = steer(model, at(site::attn_out{}, policy, layers::all(), positions::from_end(2)),
                                 at(site::resid_post{}, channel_gain{}, layers::list({1}), positions::shared()));
  const auto objective = objective::effectiveness{} + 0.5 * objective::faithfulness{} + 0.02 * objective::minimality{};
  const auto result = trainer(composition, objective, adam{.learning_rate = 0.02}).fit(prompts, {.steps = 6});
  std::vector<double> all;
  for (const loss_values& step : result.history) all.push_back(step.total());
  all.insert(all.end(), result.values.theta.begin(), result.values.theta.end());
  return all;
}

template <typename Kind, typename Policy>
void check_fit(Policy policy) {
  const auto right = fitted_on<Kind>(eigen_backend<double>(1), policy);
  const auto device = watched_backend();
  CHECK(relative_difference(fitted_on<Kind>(device, policy), right) < 1e-3);
  check_repeats([&] { return fitted_on<Kind>(device, policy); });
}

}  // namespace

TEST_CASE("GPT-2 agrees with the CPU: logits, loss and gradients, every site and policy") {
  if (lacks_device()) return;
  check_model<small_gpt2, 0>();
  check_model<even<small_gpt2>, 0>();
}

TEST_CASE("GPT-NeoX agrees with the CPU: logits, loss and gradients, every site and policy") {
  if (lacks_device()) return;
  check_model<small_neox_parallel, 0>();
  check_model<even<small_neox_parallel>, 0>();
  check_model<even<small_neox_sequential>, 0>();
}

TEST_CASE("A recorded fit ends where it is told to, and goes on from a checkpoint, bit for bit") {
  if (lacks_device()) return;
  const auto model = model_on<small_gpt2>(watched_backend());
  const auto prompts = random_prompts(small_gpt2::config(), {4, 3});
  const trainer learner(steer(model, at(site::mlp_out{}, policy::affine{}, layers::list({2}), positions::from_end(2))),
                        objective::effectiveness{} + 0.02 * objective::minimality{}, adam{.learning_rate = 0.05});
  const auto bits = [](const auto& fitted) {
    std::vector<double> all = fitted.values.theta;
    for (const loss_values& step : fitted.history) all.push_back(step.total());
    return all;
  };
  const auto whole = bits(learner.fit(prompts, {.steps = 20}));

  for (index_t last : {0, 1, 17}) {
    CAPTURE(last);
    std::vector<index_t> seen;
    fit_state left;
    const auto stopped = learner.fit(prompts, {.steps = 20,
                                               .before_step =
                                                   [&](index_t step, const loss_values&) {
                                                     seen.push_back(step);
                                                     return step <= last;
                                                   },
                                               .checkpoint = [&](const fit_state& s) { left = s; }});
    CHECK(static_cast<index_t>(seen.size()) == last + 1);
    CHECK(stopped.interrupted);
    CHECK(same_bits(bits(stopped), bits(learner.fit(prompts, {.steps = last}))));
    CHECK(same_bits(bits(learner.fit(prompts, {.steps = 20, .resume_from = left})), whole));
  }

  std::vector<fit_state> states;
  const auto with_checkpoints = learner.fit(
      prompts, {.steps = 20, .checkpoint = [&](const fit_state& s) { states.push_back(s); }, .checkpoint_every = 7});
  CHECK(same_bits(bits(with_checkpoints), whole));
  REQUIRE(states.size() == 3);
  for (const fit_state& s : states)
    CHECK(same_bits(bits(learner.fit(prompts, {.steps = 20, .resume_from = s})), whole));
}

TEST_CASE("Fits agree with the CPU's, step by step") {
  if (lacks_device()) return;
  check_fit<small_gpt2>(policy::activ_scalar{});
  check_fit<even<small_neox_parallel>>(policy::dyn_scalar<>{});
}
