// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>
#include <trimtab/io/intervention_tensors.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"
#include "support/temporary_folder.hpp"

namespace trimtab::test::parts_of_sites_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// Sites as a program names them.
struct some_neurons {
  using of = site::mlp_post;
  static constexpr index_t first = 3, last = 7;
};
struct beyond_the_stream {
  using of = site::resid_post;
  static constexpr index_t first = 6, last = 16;
};
struct end_of_the_stream {
  using of = site::resid_post;
  static constexpr index_t first = 6, last = 10;
};

std::vector<prompt_pair> some_prompts() { return random_prompts(small_gpt2::config(), {4, 1, 3}); }

}  // namespace

TEST_CASE("The gradients of one head, and of spans of channels and neurons, are right") {
  check_model_gradient<small_gpt2>(
      [](const auto& model) {
        return steer(model, at(site::head<1>{}, policy::steer_vec{}, layers::list({1}), positions::from_end(2)),
                     at(some_neurons{}, policy::activ_scalar{}, layers::list({1}), positions::shared()),
                     at(end_of_the_stream{}, policy::dyn_scalar<>{}, layers::list({1})));
      },
      some_prompts());
}

TEST_CASE("One head is that head of all: the same logits, also from a file") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = some_prompts();
  const auto one = steer(model, at(site::head<1>{}, policy::steer_vec{}, layers::all(), positions::shared()));
  const auto all = steer(model, at(site::attn_z{}, policy::steer_vec{}, layers::all(), positions::shared()));
  const auto result = trainer(one, objective::effectiveness{}, adam{.learning_rate = .1}).fit(prompts, {.steps = 3});
  CHECK(count_parameters(result.values).parameters * model.config().heads ==
        count_parameters({all.layout(prompts), std::vector<double>(result.values.theta.size())}).parameters);
  CHECK(count_parameters(result.values).nonzero_sites > 0);
  const auto logits = [&](const auto& composition, const parameters& values) {
    return steered_logits(composition, values, prompts, 1).values;
  };
  CHECK_FALSE(same_bits(logits(one, result.values), trimtab::logits(model, ids_of(prompts)).values));

  const temporary_folder folder;
  const auto file = folder.path() / "head.safetensors";
  save_intervention(file, result);
  const parameters of_all = load_intervention(file, all);
  CHECK(of_all.theta == result.values.theta);
  CHECK(same_bits(logits(all, of_all), logits(one, result.values)));
  CHECK(load_intervention(file, one) == result.values);

  auto both = of_all;
  for (double& x : both.theta) x += 1;
  save_intervention(file, all, both);
  CHECK_THAT(refusal(error_kind::mismatch, [&] { load_intervention(file, one); }),
             ContainsSubstring("where the composition does not intervene"));
  const auto none = steer(model, at(site::head<9>{}, policy::steer_vec{}, layers::all(), positions::shared()));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { none.layout(prompts); }),
             ContainsSubstring("there is no head 9 at attn_z"));
}

TEST_CASE("Parts of sites compose at run time too, several at one site") {
  const auto model = small_model<small_gpt2, double>();
  using B = eigen_backend<double>;
  const auto prompts = some_prompts();
  const auto z = *site::find("attn_z");
  std::vector<any_intervention<B>> chosen;
  chosen.push_back({z, policy::activ_scalar{}, layers::list({1}), positions::shared(), 0});
  chosen.push_back({z, policy::activ_scalar{}, layers::list({1}), positions::shared(), 1});
  const auto two = steer(model, chosen);
  const auto all = steer(model, at(site::attn_z{}, policy::activ_scalar{}, layers::list({1}), positions::shared()));
  parameters separate{two.layout(prompts), {}}, joined{all.layout(prompts), {}};
  const auto heads = static_cast<std::size_t>(model.config().heads);
  separate.theta.assign(2 * heads, 0.0);
  joined.theta.assign(heads, 0.0);
  separate.theta[0] = joined.theta[0] = .5;
  separate.theta[heads + 1] = joined.theta[1] = -.25;
  CHECK(same_bits(steered_logits(two, separate, prompts, 1).values, steered_logits(all, joined, prompts, 1).values));
}

TEST_CASE("A span beyond the channels of its row is refused") {
  const auto model = small_model<small_gpt2, double>();
  const auto steering = steer(model, at(beyond_the_stream{}, policy::activ_scalar{}));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { steering.layout(some_prompts()); }),
             ContainsSubstring("the span of channels ends at 16, but a row of the site has 10"));
}

TEST_CASE("Random starts leave rows alone that no head uses") {
  const auto model = small_model<small_gpt2, double>();
  const auto steering = steer(model, at(site::head<1>{}, policy::activ_scalar{}, layers::all(), positions::shared()));
  const auto start = random_start(steering, some_prompts(), 1, 1);
  const parameter_block& block = start.layout.blocks.front();
  for (index_t r = 0; r < block.records(); ++r) CHECK((start.theta[static_cast<std::size_t>(r)] != 0) == block.uses(r));
}

TEST_CASE("Ids that terms read are checked, those of retained prompts and of custom terms, too") {
  const auto refused = [&](auto change) {
    auto prompts = some_prompts();
    check_prompts(prompts, small_gpt2::config().vocabulary);
    change(prompts.back());
    return refusal(error_kind::bad_data, [&] { check_prompts(prompts, small_gpt2::config().vocabulary); });
  };
  CHECK_THAT(refused([](prompt_pair& p) { p.retained = true, p.correct_id = 1'000'000; }),
             ContainsSubstring("has the answer token 1000000, outside the model's vocabulary"));
  CHECK_THAT(refused([](prompt_pair& p) { p.tokens["rivals"] = {-1}; }),
             ContainsSubstring("has the token of 'rivals' -1, outside the model's vocabulary"));
}

}  // namespace trimtab::test::parts_of_sites_tests
