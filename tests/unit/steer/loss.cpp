// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"

#include <cmath>

namespace trimtab::test::loss_tests {

using objective::effectiveness, objective::faithfulness, objective::minimality;

namespace {

/// A term as a user writes it: half the square of the logit difference.
struct square {
  constexpr auto value(row auto& r) const {
    const auto x = r.h(r.correct()) - r.h(r.wrong());
    return x * x / 2;
  }
  constexpr void gradient(row auto& r) const {
    const auto x = r.d_value() * (r.h(r.correct()) - r.h(r.wrong()));
    r.at(r.correct(), [&](auto j) { r.d_h(j) += x; });
    r.at(r.wrong(), [&](auto j) { r.d_h(j) -= x; });
  }
};

}  // namespace

}  // namespace trimtab::test::loss_tests

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::test::loss_tests::square> = true;

namespace trimtab::test::loss_tests {

namespace {

/// Two prompts at two strengths, with random logits of ten tokens.
struct scene {
  eigen_backend<double> backend{1};
  std::vector<prompt_pair> prompts = random_prompts({.vocabulary = 10}, {1, 1});
  std::vector<sequence> sequences = every_strength(2, std::vector<double>{1, -1});
  host_matrix<double> logits = random_matrix<double>(4, 10, 1), reference = random_matrix<double>(2, 10, 2);
  parameter_layout layout = {};
  std::vector<double> theta = {};

  template <typename Sum>
  loss_values values(const Sum& sum) const {
    return loss(backend, sum, prompts, sequences).values(logits.view(), reference.view(), {layout, theta});
  }
  template <typename Sum>
  std::vector<double> gradient(const Sum& sum) const {
    auto d_logits = random_matrix<double>(4, 10, 3);  // its old values must be overwritten
    loss(backend, sum, prompts, sequences).gradient(logits.view(), reference.view(), d_logits.view());
    return d_logits.values;
  }
  double difference(index_t row) const {
    const auto& p = prompts[static_cast<std::size_t>(row % 2)];
    return logits(row, p.correct_id) - logits(row, p.wrong_id);
  }
};

parameter_layout layout_of(std::vector<index_t> records_by_size) {
  parameter_layout layout;
  for (index_t size : records_by_size) {
    parameter_block block;
    block.layers = {0, 1};
    block.positions = positions::shared();
    block.record_size = size;
    block.offset = layout.size();
    layout.blocks.push_back(block);
  }
  return layout;
}

}  // namespace

TEST_CASE("Each term is a mean over prompts and strengths, the total a weighted sum") {
  const scene s;
  const auto all = s.values(2.0 * effectiveness{.margin = 0.5} + 0.25 * faithfulness{} + square{});
  REQUIRE(all.terms.size() == 3);
  double hinge = 0, squares = 0;
  for (index_t row = 0; row < 4; ++row) {
    const double expected = std::max(0.0, 0.5 - (row < 2 ? 1 : -1) * s.difference(row));
    CHECK(std::abs(all.terms[0].per_sequence[static_cast<std::size_t>(row)] - expected) < 1e-15);
    hinge += expected / 4;
    squares += s.difference(row) * s.difference(row) / 8;
  }
  CHECK(all.terms[0].name == "effectiveness");
  CHECK(all.terms[1].name == "faithfulness");
  CHECK(all.terms[2].name == "term");
  CHECK(std::abs(all.terms[0].value - hinge) < 1e-15);
  CHECK(std::abs(all.terms[2].value - squares) < 1e-15);
  CHECK(all.terms[1].value > 0);
  CHECK(std::abs(all.total() - (2 * hinge + 0.25 * all.terms[1].value + squares)) < 1e-14);
}

TEST_CASE("Each replica has a loss of its own, the mean over its sequences") {
  scene s;
  const auto sum = 2.0 * square{} + minimality{};
  const auto all = s.values(sum);
  const auto together = s.gradient(sum);
  s.layout = layout_of({1});
  s.sequences[0].replica = s.sequences[2].replica = s.sequences[3].replica = 1;
  const std::vector<double> theta[] = {{1, 2}, {3, -4}};
  const loss by_replica(s.backend, std::vector{sum, sum}, s.prompts, s.sequences);
  const auto replicas = by_replica.values(
      s.logits.view(), s.reference.view(), [&](index_t) -> const parameter_layout& { return s.layout; },
      [&](index_t r) -> std::span<const double> { return theta[r]; });
  REQUIRE(replicas.size() == 2);
  const auto& shared = all.terms[0].per_sequence;
  CHECK(replicas[0].terms[0].per_sequence == std::vector<double>{shared[1]});
  CHECK(replicas[1].terms[0].per_sequence == std::vector<double>{shared[0], shared[2], shared[3]});
  CHECK(std::abs(replicas[1].terms[0].value - (shared[0] + shared[2] + shared[3]) / 3) < 1e-15);
  CHECK(replicas[0].terms[1].value == 3);
  CHECK(replicas[1].terms[1].value == 7);

  host_matrix<double> d_logits(4, 10);
  by_replica.gradient(s.logits.view(), s.reference.view(), d_logits.view());
  for (std::size_t k = 0; k < 40; ++k)
    CHECK(std::abs(d_logits.values[k] - together[k] * (k / 10 == 1 ? 4 : 4.0 / 3)) < 1e-14);
}

TEST_CASE("Every strength of a prompt is compared with the same untouched logits") {
  scene s;
  for (index_t row = 0; row < 4; ++row) std::copy_n(s.reference.view().row(row % 2), 10, s.logits.view().row(row));
  CHECK(s.values(1.0 * faithfulness{} + 0.0 * square{}).terms[0].value == 0);
}

TEST_CASE("The gradient is that of the total, weights and means included") {
  scene s;
  const auto sum = 2.0 * effectiveness{.margin = 0.5} + 0.25 * faithfulness{} + square{} + 7.0 * minimality{};
  const auto total = [&](const std::vector<double>& x) {
    s.logits.values = x;
    return s.values(sum).total();
  };
  const auto at = s.logits.values;
  const auto numeric = central_gradient(total, at);
  s.logits.values = at;
  CHECK(largest_difference(s.gradient(sum), numeric) < 1e-9);
}

TEST_CASE("Norms of parameters") {
  const auto layout = layout_of({2, 1});
  const std::vector<double> theta{3, -4, 0, 0, -1, 0.5};
  REQUIRE(layout.size() == 6);
  CHECK(norm_of(layout, theta, parameter_norm::sum) == 8.5);
  CHECK(norm_of(layout, theta, parameter_norm::mean) == 8.5 / 6);
  CHECK(norm_of(layout, theta, parameter_norm::group) == 5 + 0 + 1 + 0.5);
  CHECK(norm_of({}, {}, parameter_norm::mean) == 0);

  scene s;
  s.layout = layout, s.theta = theta;
  const auto all = s.values(0.1 * minimality{.norm = parameter_norm::group} + effectiveness{});
  CHECK(all.terms[0].name == "minimality");
  CHECK(all.terms[0].value == 6.5);
  CHECK(all.terms[0].per_sequence.empty());
  CHECK(all.terms[0].weight == 0.1);
}

TEST_CASE("The penalty is handed to the optimizer, at most one") {
  const auto penalty_of = [&](const auto& sum) { return trimtab::penalty_of(objective::detail::as_sum(sum), 8); };
  CHECK(penalty_of(effectiveness{} + faithfulness{}).weight == 0);
  CHECK(penalty_of(effectiveness{} + 0.4 * minimality{}).weight == 0.4);
  CHECK(penalty_of(effectiveness{} + 0.4 * minimality{.norm = parameter_norm::mean}).weight == 0.05);
  CHECK(penalty_of(effectiveness{} + 0.4 * minimality{.norm = parameter_norm::group}).norm == parameter_norm::group);
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { penalty_of(minimality{} + minimality{}); }),
             Catch::Matchers::ContainsSubstring("two penalties"));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { penalty_of(effectiveness{} + -1e-9 * minimality{}); }),
             Catch::Matchers::ContainsSubstring("is -1e-09; it must be 0 or more"));
  CHECK_THAT(refusal(error_kind::bad_argument, [&] { penalty_of(effectiveness{} + std::nan("") * minimality{}); }),
             Catch::Matchers::ContainsSubstring("is nan; it must be 0 or more"));
}

TEST_CASE("With sets of answers the logit difference compares them as wholes, and the divergence leaves them out") {
  scene s;
  s.prompts[0].correct_id = 2, s.prompts[0].all_correct = {{2, 5}, {}};
  s.prompts[0].wrong_id = 3, s.prompts[0].all_wrong = {{3, 0, 7}, {}};
  const auto all = s.values(1.0 * effectiveness{.margin = 0, .shape = objective::psi::identity} + 1.0 * faithfulness{});
  const auto sum = [&](const host_matrix<double>& m, index_t row, std::vector<int> ids) {
    double total = 0;
    for (int id : ids) total += std::exp(m(row, id));
    return std::log(total);
  };
  const double first = sum(s.logits, 0, {2, 5}) - sum(s.logits, 0, {3, 0, 7});
  CHECK(std::abs(all.terms[0].per_sequence[0] + first) < 1e-14);
  CHECK(all.terms[0].per_sequence[1] == -s.difference(1));  // one token each: the same bits as ever
  double kl = 0;
  const std::vector<int> left{1, 4, 6, 8, 9};
  for (int id : left) {
    const double p = s.reference(0, id) - sum(s.reference, 0, left), q = s.logits(0, id) - sum(s.logits, 0, left);
    kl += std::exp(p) * (p - q);
  }
  CHECK(std::abs(all.terms[1].per_sequence[0] - kl) < 1e-14);
  scene single;
  CHECK(all.terms[1].per_sequence[1] ==
        single.values(1.0 * effectiveness{} + 1.0 * faithfulness{}).terms[1].per_sequence[1]);
}

TEST_CASE("Prompts that are to stay enter retention alone, and no other prompt does") {
  scene s;
  s.prompts[1].retained = true;
  const auto all = s.values(1.0 * effectiveness{} + 1.0 * faithfulness{} + 0.5 * objective::retention{});
  scene without;
  const auto plain = without.values(1.0 * effectiveness{} + 1.0 * faithfulness{.over = objective::vocabulary::full});
  REQUIRE(all.terms.size() == 3);
  const auto& hinge = plain.terms[0].per_sequence;
  const auto& kl = plain.terms[1].per_sequence;
  CHECK(all.terms[0].per_sequence == std::vector<double>{hinge[0], hinge[2]});
  CHECK(std::abs(all.terms[0].value - (hinge[0] + hinge[2]) / 2) < 1e-15);
  CHECK(all.terms[2].per_sequence == std::vector<double>{kl[1], kl[3]});
  CHECK(std::abs(all.terms[2].value - (kl[1] + kl[3]) / 2) < 1e-15);
  const auto gradient = s.gradient(0.0 * effectiveness{} + 0.5 * objective::retention{});
  for (index_t row : {0, 2})
    for (index_t j = 0; j < 10; ++j) CHECK(gradient[static_cast<std::size_t>(row * 10 + j)] == 0);
  CHECK(largest(gradient) > 0);
  // Nothing is to stay: the term is not there.
  CHECK(without.values(1.0 * effectiveness{} + 0.5 * objective::retention{}).terms.size() == 1);
}

TEST_CASE("An answer of several tokens is scored token by token, and the gradient reaches every one of them") {
  scene s;
  s.prompts[0].correct_rest = {6, 2};
  s.prompts[1].wrong_rest = {4};
  const auto texts = with_continuations(s.prompts);
  REQUIRE(texts.size() == 5);
  CHECK(texts[2].ids.back() == s.prompts[0].correct_id);
  CHECK(texts[3].ids.back() == 6);
  CHECK(texts[3].correct_id == 2);
  CHECK(texts[4].ids.back() == s.prompts[1].wrong_id);
  const auto sequences = every_strength(5, std::vector<double>{1, -1});
  const auto logits = random_matrix<double>(10, 10, 4), reference = random_matrix<double>(5, 10, 5);
  const auto sum = 1.0 * effectiveness{.margin = 0.3, .shape = objective::psi::softplus} + 0.7 * faithfulness{};
  const loss terms(s.backend, sum, texts, sequences);
  const auto found = terms.values(logits.view(), reference.view(), {});
  const auto log_p = [&](index_t row, int id) {
    double whole = 0;
    for (index_t j = 0; j < 10; ++j) whole += std::exp(logits(row, j));
    return logits(row, id) - std::log(whole);
  };
  REQUIRE(found.terms[0].per_sequence.size() == 4);
  REQUIRE(found.terms[1].per_sequence.size() == 4);
  for (index_t b = 0; b < 2; ++b) {
    const double sign = b == 0 ? 1 : -1;
    const index_t row = 5 * b;
    const double first =
        log_p(row, s.prompts[0].correct_id) + log_p(row + 2, 6) + log_p(row + 3, 2) - log_p(row, s.prompts[0].wrong_id);
    const double second =
        log_p(row + 1, s.prompts[1].correct_id) - log_p(row + 1, s.prompts[1].wrong_id) - log_p(row + 4, 4);
    const auto& of = found.terms[0].per_sequence;
    CHECK(std::abs(of[static_cast<std::size_t>(2 * b)] - std::log1p(std::exp(0.3 - sign * first))) < 1e-13);
    CHECK(std::abs(of[static_cast<std::size_t>(2 * b + 1)] - std::log1p(std::exp(0.3 - sign * second))) < 1e-13);
  }
  auto d_logits = random_matrix<double>(10, 10, 6);
  terms.gradient(logits.view(), reference.view(), d_logits.view());
  const auto total = [&]<typename T>(const std::vector<T>& x) {
    const eigen_backend<T> backend(1);
    const auto reference_t = converted<T>(reference);
    const loss of(backend, sum, texts, sequences);
    of.evaluate({x.data(), 10, 10}, reference_t.view());
    const auto values = backend.download(of.row_values()).values;
    T mean = 0;
    for (std::size_t i = 0; i < 20; ++i)
      if (i % 5 < 2) mean += (i < 10 ? 1.0 : 0.7) * values[i] / 4;
    return mean;
  };
  check_gradient(total, logits.values, d_logits.values);
}

}  // namespace trimtab::test::loss_tests
