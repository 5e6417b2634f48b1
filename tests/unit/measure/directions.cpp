// SPDX-License-Identifier: Apache-2.0
#include <trimtab/measure/directions.hpp>
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/steer_vec.hpp>
#include <trimtab/steer/steering.hpp>

#include "support/catch.hpp"
#include "support/compositions.hpp"
#include "support/refusal.hpp"

namespace trimtab::test::directions_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

host_matrix<double> rows(std::vector<std::vector<double>> numbers) {
  host_matrix<double> m(std::ssize(numbers), std::ssize(numbers.front()));
  for (index_t i = 0; i < m.rows; ++i)
    for (index_t j = 0; j < m.cols; ++j) m(i, j) = numbers[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)];
  return m;
}

void check_near(const std::vector<double>& found, const std::vector<double>& wanted) {
  REQUIRE(found.size() == wanted.size());
  for (std::size_t j = 0; j < found.size(); ++j) CHECK(std::abs(found[j] - wanted[j]) < 1e-10);
}

}  // namespace

TEST_CASE("The principal component of differences that are not centred, with the length of the gap") {
  using enum direction_method;
  check_near(direction_of(rows({{1, 2}, {3, -4}}), mean_difference), {2, -1});
  // Σ d dᵀ = diag(9, 12): three small differences along one axis outweigh the longest one.
  check_near(direction_of(rows({{3, 0}, {0, 2}, {0, 2}, {0, 2}}), principal_component), {0, 1.5});
  check_near(direction_of(rows({{3, 0}, {0, -2}, {0, -2}, {0, -2}}), principal_component), {0, -1.5});
  // Centred, the component would be (0, 1); it is not, so that the common part (10, 0) is.
  check_near(direction_of(rows({{10, 1}, {10, -1}}), principal_component), {10, 0});
  // Differences that cancel leave no gap.
  check_near(direction_of(rows({{1, 1}, {-1, -1}}), principal_component), {0, 0});
  check_near(direction_of(rows({{0, 0}, {0, 0}}), principal_component), {0, 0});
  // [[2, 1], [1, 2]] has the eigenvalue 3 along (1, 1)/√2.
  const double root = std::sqrt(2.0);
  check_near(direction_of(rows({{root, 1 / root}, {0, std::sqrt(1.5)}}), principal_component),
             {(root + 1 / root + std::sqrt(1.5)) / 4, (root + 1 / root + std::sqrt(1.5)) / 4});
}

TEST_CASE("Directions are those of the activations at the last tokens, for each site, layer and head") {
  const auto model = small_model<small_neox_parallel, double>();
  const auto key = positions::from_end(2);
  const auto composition = steer(model, at(site::resid_post{}, policy::steer_vec{}, layers::list({0, 2}), key),
                                 at(site::attn_z{}, policy::steer_vec{}, layers::list({1}), positions::shared()));
  std::vector<std::vector<int>> positive, negative;
  for (int n = 0; n < 70; ++n) {  // more than are run at once
    positive.push_back({n % 23, 3, (2 * n + 1) % 23});
    negative.push_back({5, n % 7});
  }
  const auto prompts = random_prompts(small_neox_parallel::config(), {4, 4});
  for (const auto method : {direction_method::mean_difference, direction_method::principal_component}) {
    const auto values = directions(composition, prompts, positive, negative, method);
    const auto& stream = values.layout.blocks[0];
    const auto& heads = values.layout.blocks[1];
    const auto expected = [&](const std::string& site, std::size_t layer, index_t first, index_t width) {
      host_matrix<double> differences(70, width);
      for (std::size_t n = 0; n < 70; ++n) {
        const auto plus = activations(model, std::span(&positive[n], 1), {site}).at(site)[layer];
        const auto minus = activations(model, std::span(&negative[n], 1), {site}).at(site)[layer];
        const index_t per_token = std::ssize(plus.values) / 3;
        for (index_t j = 0; j < width; ++j)
          differences(static_cast<index_t>(n), j) = plus.values[static_cast<std::size_t>(2 * per_token + first + j)] -
                                                    minus.values[static_cast<std::size_t>(per_token + first + j)];
      }
      return direction_of(differences, method);
    };
    const auto near = [](std::span<const double> found, const std::vector<double>& wanted) {
      check_near({found.begin(), found.end()}, wanted);
    };
    near(values.record(stream, 1, 0), expected("resid_post", 2, 0, 10));
    near(values.record(stream, 1, 1), expected("resid_post", 2, 0, 10));
    near(values.record(heads, 0, 0, 1), expected("attn_z", 1, 5, 5));
  }
}

TEST_CASE("Directions refuse other policies than one vector, and sets that make no pairs") {
  const auto model = small_model<small_gpt2, double>();
  const std::vector<std::vector<int>> two{{1}, {2}}, one{{3}};
  const auto prompts = random_prompts(small_gpt2::config(), {4});
  const auto scalars = steer(model, at(site::mlp_out{}, policy::activ_scalar{}));
  const auto vectors = steer(model, at(site::mlp_out{}, policy::steer_vec{}));
  const auto method = direction_method::mean_difference;
  CHECK_THAT(refusal(error_kind::mismatch, [&] { directions(scalars, prompts, two, two, method); }),
             ContainsSubstring("activ-scalar at mlp_out is not one vector"));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { directions(vectors, prompts, two, one, method); }),
             ContainsSubstring("2 positive and 1 negative"));
}

}  // namespace trimtab::test::directions_tests
