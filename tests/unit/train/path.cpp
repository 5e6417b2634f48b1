// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>
#include <trimtab/io/huggingface/from_pretrained.hpp>
#include <trimtab/task/ioi.hpp>
#include <trimtab/train/path.hpp>
#include <trimtab/train/sweep.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace trimtab::test::path_tests {

using Catch::Matchers::ContainsSubstring;
using objective::effectiveness, objective::faithfulness, objective::minimality;

namespace {

const auto& model() {
  static const auto m = small_model<small_gpt2, double>();
  return m;
}

auto composed() {
  return steer(model(), at(site::attn_out{}, policy::activ_scalar{}, layers::all(), positions::from_end()),
               at(site::resid_post{}, policy::activ_scalar{}, layers::all(), positions::from_end()));
}

auto weighed(double lambda, parameter_norm norm = parameter_norm::sum) {
  return effectiveness{} + 1.0 * faithfulness{} + lambda * minimality{.norm = norm};
}

/// Fits at λ_max and at 0.98 of it: how many places are not zero.
template <typename Steering>
void check_ends(const Steering& composition, std::span<const prompt_pair> prompts, parameter_norm norm) {
  CAPTURE(static_cast<int>(norm));
  const double most = lambda_max(composition, weighed(1, norm), prompts);
  const auto fit_at = [&](double lambda) {
    return trainer(composition, weighed(lambda, norm), adam{.learning_rate = 1e-5}).fit(prompts, {.steps = 8}).values;
  };
  CHECK(largest(fit_at(most).theta) == 0);
  const auto one_in = count_parameters(fit_at(.98 * most));
  CHECK(one_in.nonzero_sites == 1);
  if (norm != parameter_norm::group) CHECK(one_in.nonzero_parameters == 1);
}

template <template <typename> typename Model>
void check_ends_of(const std::string& name) {
  const auto model = from_pretrained<Model<eigen_backend<double>>>(TRIMTAB_SOURCE_DIR "/examples/models/" + name);
  const auto prompts = task::ioi(model.tokenizer(), {.train = 8, .test = 1, .seed = 1}).train;
  using policy::activ_scalar, policy::steer_vec;
  const auto scalars = steer(model, at(site::attn_out{}, activ_scalar{}), at(site::mlp_out{}, activ_scalar{}),
                             at(site::resid_post{}, activ_scalar{}));
  check_ends(scalars, prompts, parameter_norm::sum);
  check_ends(scalars, prompts, parameter_norm::mean);
  // One layer: vectors that are added to the same stream in several places have gradients that are nearly equal.
  check_ends(steer(model, at(site::mlp_out{}, steer_vec{}, layers::list({1}))), prompts, parameter_norm::group);
}

}  // namespace

TEST_CASE("At λ_max a fit stays at exact zero and at 0.98 of it one place enters, on both models in all norms") {
  check_ends_of<gpt2>("tiny-gpt2");
  check_ends_of<gpt_neox>("tiny-pythia");
}

TEST_CASE("A trainer finds λ_max in a step's work, in any chunks") {
  const auto prompts = random_prompts(model().config(), {4, 5, 4, 6});
  const auto norm = GENERATE(parameter_norm::sum, parameter_norm::mean, parameter_norm::group);
  const double most = lambda_max(composed(), weighed(1, norm), prompts);
  const trainer fits(composed(), weighed(0.3, norm), adam{.learning_rate = 0.1});
  CHECK(fits.lambda_max(prompts) == most);
  fit_options options{.chunk = 1};
  options.start = random_start(composed(), prompts, 0.5, 1);
  std::vector<index_t> done;
  const double in_chunks = fits.lambda_max(prompts, options, [&](const chunk_progress& now) {
    done.push_back(now.done);
    return now.chunks == 4;
  });
  CHECK(done == std::vector<index_t>{0, 1, 2, 3});
  CHECK(std::abs(in_chunks - most) < 1e-13 * most);
  CHECK_THROWS_AS(fits.lambda_max(prompts, options, [](const chunk_progress&) { return false; }), step_broken_off);
  // A fit in batches has chunks that are no larger.
  index_t chunks = 0;
  fits.lambda_max(prompts, {.batches = {.size = 2, .seed = 1}}, [&](const chunk_progress& now) {
    chunks = now.chunks;
    return true;
  });
  CHECK(chunks == 2);
  // What minimality does not weigh is that of the seed.
  const auto gated = steer(model(), at(site::attn_out{}, policy::low_rank<2>{}, layers::all(), positions::shared()));
  const trainer low_rank(gated, weighed(0.3, norm), adam{.learning_rate = 1e-5});
  for (const std::uint64_t seed : {1u, 2u}) {
    const double own = low_rank.lambda_max(prompts, {.seed = seed});
    const auto fit_at = [&](double lambda) {
      return count_parameters(trainer(gated, weighed(lambda, norm), adam{.learning_rate = 1e-5})
                                  .fit(prompts, {.steps = 4, .seed = seed})
                                  .values)
          .nonzero_parameters;
    };
    CHECK(fit_at(own) == 0);
    CHECK(fit_at(.98 * own) > 0);
  }
  // Strengths are those of the fit.
  CHECK(fits.lambda_max(prompts, {.strengths = {2}}) ==
        lambda_max(composed(), weighed(1, norm), prompts, std::vector<double>{2}));
  const auto away = steer(model(), at(site::attn_out{}, policy::project_out{}));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { trainer(away, weighed(1)).lambda_max(prompts); }),
             ContainsSubstring("do not start at the identity"));
}

TEST_CASE("A path goes from λ_max down, each fit from the parameters before it with fresh moments") {
  const auto prompts = random_prompts(model().config(), {4, 5, 4, 6});
  const auto base = trainer(composed(), weighed(1), adam{.learning_rate = .01}).replica_of(prompts);
  const auto weights = path_weights(lambda_max(composed(), weighed(1), prompts), 6);
  CHECK(std::abs(weights.back() / weights.front() - 1e-3) < 1e-15);
  const path_options options{.steps = 30, .check_every = 7};
  const auto path = paths_of(composed(), std::vector{base}, weights, options).front();
  REQUIRE(path.size() == 6);
  CHECK(largest(path[0].values.theta) == 0);
  CHECK((path[0].steps == 0 and path[0].is_stationary));  // it starts where it ends
  CHECK(largest(path[5].values.theta) > .01);
  for (std::size_t k = 0; k < path.size(); ++k) {
    CAPTURE(k);
    CHECK(path[k].lambda == weights[k]);
    CHECK(path[k].is_stationary == (path[k].violation <= 1e-2));
    CHECK((path[k].is_stationary ? path[k].steps % 7 == 0 or path[k].steps == 30 : path[k].steps == 30));
    CHECK(path[k].violation == stationarity_of(composed(), weighed(weights[k]), path[k].values, prompts).largest);
    if (k == 0) continue;
    const auto alone = trainer(composed(), weighed(weights[k]), adam{.learning_rate = .01})
                           .fit(prompts, {.steps = path[k].steps, .start = path[k - 1].values});
    CHECK(same_bits(alone.values.theta, path[k].values.theta));
  }
  CHECK(std::ranges::count(path, false, &path_point::is_stationary) > 0);  // the test is not trivial
}

TEST_CASE("Paths that share their passes have the bits that each has alone") {
  const auto prompts = random_prompts(model().config(), {4, 5, 4, 6});
  const trainer t(composed(), weighed(1), adam{.learning_rate = .01});
  const std::vector halves{t.replica_of(std::span(prompts).first(2)), t.replica_of(std::span(prompts).last(2))};
  const auto weights = path_weights(.5, 4, .01);
  const path_options options{.steps = 12, .check_every = 4};
  const auto together = paths_of(composed(), halves, weights, options);
  for (std::size_t k = 0; k < 2; ++k) {
    const auto alone = paths_of(composed(), std::vector{halves[k]}, weights, options).front();
    REQUIRE(alone.size() == together[k].size());
    for (std::size_t n = 0; n < alone.size(); ++n) {
      CHECK(same_bits(alone[n].values.theta, together[k][n].values.theta));
      CHECK(alone[n].steps == together[k][n].steps);
    }
  }
}

TEST_CASE("A place enters at the largest weight at which it is not zero") {
  const auto prompts = random_prompts(model().config(), {2});
  const auto layout = composed().layout(prompts);  // 2 sites, 3 layers, 2 positions
  const auto point = [&](double lambda, const std::vector<std::size_t>& in) {
    path_point p{.lambda = lambda, .values = {layout, std::vector<double>(12)}};
    for (std::size_t j : in) p.values.theta[j] = -.1;
    return p;
  };
  const std::vector path{point(4, {}), point(2, {3}), point(1, {5, 7}), point(.5, {3, 5})};
  CHECK(entries_of(path) == std::vector<double>{0, 0, 0, 2, 0, 1, 0, 1, 0, 0, 0, 0});
}

TEST_CASE("A path needs minimality in its objective, and may be ended") {
  const auto prompts = random_prompts(model().config(), {4, 5});
  const auto without = trainer(composed(), effectiveness{}).replica_of(prompts);
  const std::vector<double> weights{1, .5, .25};
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { paths_of(composed(), std::vector{without}, weights); }),
             ContainsSubstring("needs an objective with minimality"));
  const auto with = trainer(composed(), weighed(1)).replica_of(prompts);
  const path_options two{.steps = 2, .proceed = [](std::size_t number) { return number < 2; }};
  CHECK(paths_of(composed(), std::vector{with}, weights, two).front().size() == 2);

  // Ended between two steps, it leaves the point out that it was at.
  index_t steps = 0;
  const path_options fifth{.steps = 2, .tolerance = -1, .go_on = [&] { return ++steps < 5; }};
  CHECK(paths_of(composed(), std::vector{with}, weights, fifth).front().size() == 2);
  CHECK(steps == 5);
}

}  // namespace trimtab::test::path_tests
