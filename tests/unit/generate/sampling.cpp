// SPDX-License-Identifier: Apache-2.0
#include <trimtab/generate/sampling.hpp>

#include "support/refusal.hpp"

namespace trimtab::test::sampling_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

/// The probability of each token, 0 for one that cannot be chosen.
std::vector<double> probabilities(const std::vector<double>& logits, const sampling& how) {
  std::vector<double> p(logits.size());
  for (const candidate& c : candidates(logits, how)) p[static_cast<std::size_t>(c.id)] += c.probability;
  return p;
}

double largest_difference_of(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

}  // namespace

TEST_CASE("Temperature, top-k and top-p choose the tokens that transformers' processors choose") {
  // Computed with transformers 5.24 in float64: temperature, then top-k, then top-p. Tokens 1 and 3 are equally
  // probable, and so are 0 and 6.
  const std::vector<double> logits{1.0, 2.5, -0.5, 2.5, 0.0, 3.0, 1.0, -2.0};
  const struct {
    sampling how;
    std::vector<double> expected;
  } cases[] = {
      {{1, 0, 1},
       {0.05265033657389174, 0.23596243797283106, 0.011747878031601194, 0.23596243797283106, 0.01936897639629164,
        0.3890362905720662, 0.05265033657389174, 0.002621305906595395}},
      {{0.7, 0, 1},
       {0.027151811635051724, 0.23143542985328378, 0.0031854278989724427, 0.23143542985328378, 0.006506959799612012,
        0.47275941757998347, 0.027151811635051724, 0.0003737117447608085}},
      {{1, 3, 1}, {0, 0.274068619061197, 0, 0.274068619061197, 0, 0.45186276187760605, 0, 0}},
      {{1, 2, 1}, {0, 0.274068619061197, 0, 0.274068619061197, 0, 0.45186276187760605, 0, 0}},
      {{1, 0, 0.5}, {0, 0, 0, 0.37754066879814546, 0, 0.6224593312018546, 0, 0}},
      {{1, 0, 0.9}, {0, 0.25827437283171767, 0, 0.25827437283171767, 0, 0.4258224521643882, 0.05762880217217644, 0}},
      {{0.7, 4, 0.8}, {0, 0.24735778167042277, 0, 0.24735778167042277, 0, 0.5052844366591546, 0, 0}},
      {{2, 5, 0.7}, {0, 0.304504342420284, 0, 0.304504342420284, 0, 0.39099131515943186, 0, 0}},
      {{1, 0, 0.01}, {0, 0, 0, 0, 0, 1, 0, 0}},
      {{1, 0, 0.95},
       {0.05448868454964294, 0.24420134200323332, 0, 0.24420134200323332, 0, 0.4026199468942474, 0.05448868454964294,
        0}},
      {{1, 7, 0.6}, {0, 0, 0, 0.37754066879814546, 0, 0.6224593312018546, 0, 0}},
  };
  for (const auto& [how, expected] : cases) {
    CAPTURE(how.temperature, how.top_k, how.top_p);
    CHECK(largest_difference_of(probabilities(logits, how), expected) < 1e-15);
  }
  const std::vector<double> equal(4), tied{2, 1, 1, 1, 0};
  CHECK(probabilities(equal, {1, 0, 0.25}) == std::vector<double>{0, 0, 0, 1});
  CHECK(probabilities(equal, {1, 0, 0.5}) == std::vector<double>{0, 0, 0.5, 0.5});
  CHECK(largest_difference_of(probabilities(equal, {1, 0, 0.75}), {0, 1. / 3, 1. / 3, 1. / 3}) < 1e-15);
  CHECK(probabilities(equal, {1, 0, 0.76}) == std::vector<double>(4, 0.25));
  // The k-th token shares its logit with two others: all are kept, and top-p chooses among them.
  CHECK(largest_difference_of(probabilities(tied, {1, 2, 0.8}),
                              {0.5761168847658291, 0, 0.21194155761708547, 0.21194155761708547, 0}) < 1e-15);
  CHECK(largest_difference_of(probabilities(tied, {1, 2, 0.9}), {0.4753668864186717, 0.17487770452710943,
                                                                 0.17487770452710943, 0.17487770452710943, 0}) < 1e-15);
}

TEST_CASE("Temperature 0 takes the most probable token, of equal ones the first") {
  CHECK(most_probable(std::vector<double>{1, 3, 2, 3}) == 1);
  random_generator random(1);
  for (int i = 0; i < 5; ++i) CHECK(sample(std::vector<double>{1, 3, 2, 3}, {}, random) == 1);
}

TEST_CASE("Tokens are drawn as often as they are probable") {
  const std::vector<double> logits{0.0, 1.0, 2.0, -40.0};
  const sampling how{.temperature = 0.9};
  random_generator random(7);
  std::vector<double> drawn(4);
  for (int i = 0; i < 40'000; ++i) drawn[static_cast<std::size_t>(sample(logits, how, random))] += 1.0 / 40'000;
  CHECK(largest_difference_of(drawn, probabilities(logits, how)) < 0.01);  // four standard deviations
  CHECK(drawn[3] == 0);
}

TEST_CASE("The log probability of a token is that of the softmax, also where its logit is far below the largest") {
  CHECK(std::abs(log_probability(std::vector<double>{1, 2, 3}, 0) - -2.4076059644443806) < 1e-15);
  CHECK(log_probability(std::vector<double>{-2000, 0}, 0) == -2000);
}

TEST_CASE("Sampling settings out of range are refused") {
  const auto refused = [](const sampling& how) {
    return refusal(error_kind::bad_argument, [&] { check_sampling(how); });
  };
  CHECK_THAT(refused({.temperature = -1}),
             ContainsSubstring("the temperature is -1; it must be a finite number from 0"));
  CHECK_THAT(refused({.temperature = NAN}), ContainsSubstring("temperature"));
  CHECK_THAT(refused({.top_k = -2}), ContainsSubstring("top_k is -2; it must be at least 0"));
  CHECK_THAT(refused({.top_p = 0}), ContainsSubstring("top_p is 0; it must be above 0 and at most 1"));
  CHECK_THAT(refused({.top_p = 1.5}), ContainsSubstring("top_p is 1.5"));
}

}  // namespace trimtab::test::sampling_tests
