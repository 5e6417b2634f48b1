// SPDX-License-Identifier: Apache-2.0
#include <trimtab/generate/generate.hpp>

#include "parity/cuda/compare.hpp"
#include "support/compositions.hpp"
#include "support/own.hpp"

namespace trimtab::test::models_tests {

namespace {

/// A model with aligned rows, whose attention has several tiles and another scale in each layer.
template <typename Kind>
struct even : Kind {
  static model_config config() {
    auto c = Kind::config();
    c.width = 64;
    c.hidden = 132;
    c.context = 48;
    c.vocabulary = 68;
    c.scale_attention_by_layer = true;
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
  steered pass(composition, {values.layout}, prompts, every_strength(static_cast<index_t>(prompts.size()), strengths),
               pass_use::forward_and_backward);
  pass.take_parameters(values.theta);
  const auto objective = objective::effectiveness{.margin = 9} + 0.5 * objective::faithfulness{} +
                         0.1 * conserved_sum{} + 0.01 * objective::minimality{};
  const loss terms(model.backend(), objective, prompts, pass.sequences());
  const matrix_view<const T> z = pass.forward();
  keep(model.backend().download(z).values);
  keep(std::vector{terms.values(z, pass.untouched()->logits(), values).total()});
  terms.gradient(z, pass.untouched()->logits(), pass.d_logits());
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
  const auto prompts =
      with_listed_answers(random_prompts(Kind::config(), {4, 6, 5, 5}), static_cast<int>(Kind::config().vocabulary));
  const auto composition = steer(model, at(site::attn_out{}, policy, layers::all(), positions::from_end(2)),
                                 at(site::resid_post{}, channel_gain{}, layers::list({1}), positions::shared()),
                                 at(site::mlp_out{}, two_responses{}, layers::list({0}), positions::from_end(1)));
  const auto objective = objective::effectiveness{} + 0.5 * objective::faithfulness{} + 0.1 * listed_answers{} +
                         0.02 * objective::minimality{};
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

/// The same with policies that are weighed in parts, on sets and sequences of answers and a prompt that is to stay.
template <typename B>
std::vector<double> answers_on(const B& backend) {
  const auto model = model_on<small_gpt2>(backend);
  auto prompts = random_prompts(small_gpt2::config(), {4, 6, 5, 5});
  prompts[1].correct_id = 1, prompts[1].all_correct.ids = {1, 2};
  prompts[1].wrong_id = 3, prompts[1].all_wrong.ids = {3, 4, 5};
  prompts[2].correct_rest = {4, 2};
  prompts[3].retained = true;
  const auto composition = steer(model, at(site::head<1>{}, policy::low_rank<2>{}, layers::list({1})),
                                 at(site::mlp_out{}, policy::project_out{}, layers::list({1})));
  const auto objective = objective::effectiveness{} + 0.5 * objective::faithfulness{} + 0.02 * objective::minimality{} +
                         0.5 * objective::retention{} + 2.0 * objective::norm_preservation{};
  const auto result = trainer(composition, objective, adam{.learning_rate = 0.02}).fit(prompts, {.steps = 6});
  std::vector<double> all;
  for (const loss_values& step : result.history) all.push_back(step.total());
  all.insert(all.end(), result.values.theta.begin(), result.values.theta.end());
  return all;
}

/// The ids of generated texts, then the log probabilities of each.
template <typename Kind, typename B>
std::pair<std::vector<int>, std::vector<double>> generated_on(const B& backend) {
  const auto model = model_on<Kind>(backend);
  const auto prompts = random_prompts(Kind::config(), {5, 1, 20});
  const auto composition =
      steer(model, at(site::attn_out{}, policy::steer_vec{}, layers::all(), positions::from_end(3)));
  const auto values = random_parameters(composition.layout(prompts));
  std::pair<std::vector<int>, std::vector<double>> all;
  // Two slots for six texts: slots are used again, and room grows.
  for (const generated_text& text :
       generate(composition, values, prompts,
                {.strengths = {1, -0.7}, .new_tokens = 25, .log_probabilities = true, .texts_at_once = 2})) {
    all.first.insert(all.first.end(), text.ids.begin(), text.ids.end());
    all.second.insert(all.second.end(), text.log_probabilities.begin(), text.log_probabilities.end());
  }
  return all;
}

template <typename Kind>
void check_generation() {
  const auto [ids, numbers] = generated_on<Kind>(eigen_backend<double>(1));
  const auto [found_ids, found_numbers] = generated_on<Kind>(watched_backend());
  CHECK(found_ids == ids);
  CHECK(relative_difference(found_numbers, numbers) < 1e-4);
}

}  // namespace

TEST_CASE("Texts that grow over a cache agree with the CPU's") {
  if (lacks_device()) return;
  check_generation<even<small_gpt2>>();
  check_generation<even<small_neox_parallel>>();
}

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
    auto run = learner.start(prompts);
    while (run.steps() < last) run.step();
    CHECK(same_bits(bits(run.result()), bits(learner.fit(prompts, {.steps = last}))));
    CHECK(same_bits(bits(learner.fit(prompts, {.steps = 20, .resume_from = run.state()})), whole));
  }

  std::vector<fit_state> states;
  auto with_checkpoints = learner.start(prompts);
  while (with_checkpoints.step() < 20)
    if (with_checkpoints.steps() % 7 == 0) states.push_back(with_checkpoints.state());
  states.push_back(with_checkpoints.state());
  CHECK(same_bits(bits(with_checkpoints.result()), whole));
  REQUIRE(states.size() == 3);
  for (const fit_state& s : states)
    CHECK(same_bits(bits(learner.fit(prompts, {.steps = 20, .resume_from = s})), whole));
}

TEST_CASE("Replicas of a recorded pass have the bits of their fits alone") {
  if (lacks_device()) return;
  const auto model = model_on<small_gpt2>(watched_backend());
  const auto prompts = random_prompts(small_gpt2::config(), {4, 3, 6});
  const trainer learner(steer(model, at(site::mlp_out{}, policy::affine{}, layers::list({2}), positions::from_end())),
                        objective::effectiveness{} + 0.02 * objective::minimality{}, adam{.learning_rate = 0.05});
  std::vector<decltype(learner)::replica_type> replicas;
  for (std::size_t r = 0; r < 3; ++r) {
    auto one = learner.replica_of(std::span(prompts).subspan(r), {}, 4 + static_cast<index_t>(r));
    one.optimizer.learning_rate = 0.02 + 0.01 * static_cast<double>(r);
    one.objective = objective::effectiveness{.margin = 1 + static_cast<double>(r)} + 0.03 * objective::minimality{};
    replicas.push_back(one);
  }
  const auto together = learner.fit_all(replicas);
  for (std::size_t r = 0; r < 3; ++r) {
    const auto alone = learner.fit_all({replicas[r]}).front();
    CHECK(same_bits(together[r].values.theta, alone.values.theta));
    CHECK(together[r].history == alone.history);
  }
}

TEST_CASE("Fits on every kind of answer agree with the CPU's") {
  if (lacks_device()) return;
  const auto right = answers_on(eigen_backend<double>(1));
  CHECK(relative_difference(answers_on(watched_backend()), right) < 1e-3);
}

TEST_CASE("Fits agree with the CPU's, step by step") {
  if (lacks_device()) return;
  check_fit<small_gpt2>(policy::activ_scalar{});
  check_fit<even<small_neox_parallel>>(policy::dyn_scalar<>{});
}

}  // namespace trimtab::test::models_tests
