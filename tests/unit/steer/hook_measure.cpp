// SPDX-License-Identifier: Apache-2.0
#include <trimtab/check/adjoint.hpp>
#include <trimtab/compose.hpp>

#include "support/compositions.hpp"
#include "support/refusal.hpp"
#include "support/thread_ranks.hpp"

namespace trimtab::test::hook_measure_tests {

using Catch::Matchers::ContainsSubstring;
using objective::norm_preservation;

namespace {

/// Two policies of every kind of site at run time; at resid_post three act one after another.
template <typename Model>
auto chained(const Model& model) {
  using B = typename Model::backend_type;
  const auto number = [](const char* name) { return *site::find(name); };
  std::vector<any_intervention<B>> all;
  all.push_back({number("resid_post"), policy::steer_vec{}, layers::all(), positions::from_end(2)});
  all.push_back({number("resid_post"), policy::dyn_scalar<>{}, layers::list({1, 2}), positions::shared()});
  all.push_back({number("resid_post"), policy::affine{}, layers::list({2}), positions::shared()});
  all.push_back({number("attn_z"), policy::activ_scalar{}, layers::all(), positions::from_end(3), 1});
  all.push_back({number("mlp_post"), policy::steer_vec{}, layers::list({0}), positions::shared()});
  return steer(model, std::move(all));
}

/// Checks the gradient of Σ d_logits · logits + Σ weight · mean, with the mean of the term in each sequence.
template <typename Kind, typename Compose>
void check_terms(Compose compose, scored where = scored::last) {
  const auto prompts = random_prompts(Kind::config(), {4, 1, 3});
  const auto sequences = every_strength(3, std::vector<double>{1, -0.7});
  const std::vector<double> weights{0.3, 2, 0, 1.1, 0.6, 0.9};
  const auto total_of = [&](auto& run, const auto& z, const auto& d_logits) {
    std::remove_cvref_t<decltype(*run.theta().data)> sum = 0;
    const auto means = run.hook_means();
    REQUIRE(means.rows == 1);
    for (std::size_t n = 0; n < weights.size(); ++n) sum += means.data[n] * weights[n];
    for (index_t i = 0; i < z.size(); ++i) sum += z.data[i] * d_logits[static_cast<std::size_t>(i)];
    return sum;
  };
  const auto made = [&](const auto& model, const auto& composition) {
    using B = typename std::remove_cvref_t<decltype(model)>::backend_type;
    using Steering = std::remove_cvref_t<decltype(composition)>;
    return std::make_unique<steered<Steering>>(composition, std::vector{composition.layout(prompts)}, prompts,
                                               sequences, pass_use::forward_and_backward, where, nullptr, no_observer{},
                                               std::vector{weighted_hook_term<B>(norm_preservation{}, weights)});
  };
  const auto model = small_model<Kind, double>();
  const auto complex_model = small_model<Kind, dual>();
  const auto composition = compose(model);
  const auto complex_composition = compose(complex_model);
  const auto run = made(model, composition);
  const auto complex_run = made(complex_model, complex_composition);
  const auto theta = random_parameters(composition.layout(prompts)).theta;
  std::ranges::copy(theta, run->theta().data);
  const auto d_logits = random_matrix<double>(1, run->forward().size(), 8).values;
  std::ranges::copy(d_logits, run->d_logits().data);
  run->backward();
  const std::vector<double> gradient(run->gradient().data, run->gradient().data + theta.size());
  CHECK(largest(gradient) > 0);
  const auto total = [&]<typename T>(const std::vector<T>& x) {
    const auto at = [&](auto& of) {
      std::ranges::copy(x, of.theta().data);
      const auto z = of.forward();
      return total_of(of, z, d_logits);
    };
    if constexpr (std::is_same_v<T, double>)
      return at(*run);
    else
      return at(*complex_run);
  };
  check_gradient(total, theta, gradient);
}

/// The mean that `observe` sees: of (‖out‖ / ‖h‖ − 1)² over the rows on which a policy acts.
template <typename Steering>
double observed(const Steering& composition, const parameters& values, const prompt_pair& prompt, double strength) {
  const index_t layers = composition.model().config().layers;
  double sum = 0;
  int rows = 0;
  observe(composition, values, std::span(&prompt, 1), strength, [&]<typename Site>(Site, index_t l, auto h, auto out) {
    const index_t tokens = std::ssize(prompt.ids);
    std::vector<bool> acts(static_cast<std::size_t>(h.rows));
    for (const parameter_block& block : values.layout.blocks) {
      if (block.site != Site::text or block.layer_number(l) < 0) continue;
      const auto records = block.positions.records(prompt);
      for (index_t i = 0; i < h.rows; ++i) {
        const index_t token = i / block.parts, part = i % block.parts;
        const bool reaches_logits = l < layers - 1 or std::is_same_v<Site, site::resid_pre> or token == tokens - 1;
        if (reaches_logits and records[static_cast<std::size_t>(token)] >= 0 and (block.part < 0 or block.part == part))
          acts[static_cast<std::size_t>(i)] = true;
      }
    }
    for (index_t i = 0; i < h.rows; ++i) {
      if (not acts[static_cast<std::size_t>(i)]) continue;
      const auto length = [&](const auto& m) {
        double square = 0;
        for (index_t j = 0; j < m.cols; ++j) square += m.row(i)[j] * m.row(i)[j];
        return std::sqrt(square);
      };
      sum += std::pow(length(out) / length(h) - 1, 2);
      ++rows;
    }
  });
  return rows > 0 ? sum / rows : 0;
}

}  // namespace

TEST_CASE("The gradient of a term on hooks is right at every site of a GPT-2 under every policy") {
  const auto check = [](const hooked_places& places, scored where) {
    check_terms<small_gpt2>([&](const auto& model) { return hook_all_sites<small_gpt2, 1>(model, places); }, where);
  };
  check(hooked_places::everywhere<small_gpt2>(
            {positions::from_end(2), positions::shared(), positions::role({"subject", "end"})}),
        scored::last);
  for (std::size_t site = 0; site < 7; ++site) {
    CAPTURE(site);
    check(hooked_places::only<small_gpt2>(site, layers::list({static_cast<index_t>(site) % 3}), positions::shared()),
          site % 2 == 0 ? scored::last : scored::all);
  }
}

TEST_CASE("The gradient of a term on hooks is right in parallel blocks") {
  const auto places = hooked_places::everywhere<small_neox_parallel>({positions::shared(), positions::from_end(2)});
  check_terms<small_neox_parallel>(
      [&](const auto& model) { return hook_all_sites<small_neox_parallel, 3>(model, places); });
}

TEST_CASE("The gradient of a term on hooks goes through several policies at one site, and through one head") {
  check_terms<small_gpt2>([](const auto& model) { return chained(model); });
}

TEST_CASE("Norm preservation is the mean over the rows on which a policy acts, as an observer sees them") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = random_prompts(model.config(), {5, 1, 3});
  const std::vector<double> strengths{1, -0.7};
  const auto check = [&](const auto& composition) {
    const auto values = random_parameters(composition.layout(prompts));
    const auto sum = objective::effectiveness{} + 0.5 * norm_preservation{};
    const auto found = objective_and_gradient(composition, sum, values, prompts, strengths);
    REQUIRE(found.loss.terms.size() == 2);
    const term_value& term = found.loss.terms[1];
    CHECK(term.name == "norm_preservation");
    CHECK(term.weight == 0.5);
    double mean = 0;
    for (std::size_t n = 0; n < 6; ++n) {
      const double here = observed(composition, values, prompts[n % 3], strengths[n / 3]);
      CHECK(std::abs(term.per_sequence.at(n) - here) < 1e-14);
      mean += here / 6;
    }
    CHECK(term.value > 0);
    CHECK(std::abs(term.value - mean) < 1e-14);
    // The same without a backward pass, which keeps fewer activations.
    CHECK(objective_at(composition, sum, values, prompts, strengths).loss == found.loss);
  };
  check(chained(model));
  check(steer(model, at(site::resid_mid{}, policy::activ_scalar{}, layers::all(), positions::from_end(2)),
              at(site::attn_z{}, policy::channel_scale{}, layers::list({0, 2}), positions::shared())));
}

TEST_CASE("Of a scalar, norm preservation is the square of the strength times the scalar") {
  const auto model = small_model<small_neox_parallel, double>();
  const auto prompts = random_prompts(model.config(), {4, 3});
  const auto composition =
      steer(model, at(site::resid_post{}, policy::activ_scalar{}, layers::list({1}), positions::from_end(4)));
  const parameters values{composition.layout(prompts), {0.1, -0.2, 0.3, 0.4}};
  const auto found = objective_and_gradient(composition, norm_preservation{}, values, prompts, std::vector{-2.0});
  const auto& each = found.loss.terms.at(0).per_sequence;
  CHECK(std::abs(each.at(0) - 4 * (0.01 + 0.04 + 0.09 + 0.16) / 4) < 1e-14);
  CHECK(std::abs(each.at(1) - 4 * (0.01 + 0.04 + 0.09) / 3) < 1e-14);
}

TEST_CASE("A term on hooks without a weight, and prompts that are to stay, are left out of it") {
  const auto model = small_model<small_gpt2, double>();
  auto prompts = random_prompts(model.config(), {4, 3, 5});
  const auto composition = steer(model, at(site::mlp_out{}, policy::steer_vec{}, layers::all(), positions::shared()));
  const auto values = random_parameters(composition.layout(prompts));
  const auto plain = objective_and_gradient(composition, objective::effectiveness{}, values, prompts);
  const auto without =
      objective_and_gradient(composition, objective::effectiveness{} + 0.0 * norm_preservation{}, values, prompts);
  CHECK(without.loss == plain.loss);
  CHECK(same_bits(without.gradient, plain.gradient));
  prompts[1].retained = true;
  const auto found = objective_and_gradient(
      composition, objective::effectiveness{} + objective::retention{} + norm_preservation{}, values, prompts);
  const auto& each = found.loss.terms.at(2).per_sequence;
  REQUIRE(each.size() == 4);
  CHECK(std::abs(each[1] - observed(composition, values, prompts[2], 1)) < 1e-14);
}

TEST_CASE("A term on hooks has the same bits on any number of threads, also where rows are shared among them") {
  std::vector<double> strengths;
  for (int k = 1; k <= 60; ++k) strengths.push_back(0.05 * (k % 2 == 0 ? k : -k));
  const auto prompts = random_prompts(small_gpt2::config(), {12, 11, 12});  // 2100 rows, which are worth a team
  const auto found = [&](int threads) {
    const auto model = small_model<small_gpt2, double>(threads);
    const auto composition = steer(model, at(site::mlp_post{}, policy::affine{}, layers::all(), positions::shared()),
                                   at(site::resid_post{}, policy::steer_vec{}, layers::all(), positions::from_end(5)),
                                   at(site::attn_z{}, policy::activ_scalar{}, layers::all(), positions::shared()));
    const auto values = random_parameters(composition.layout(prompts));
    const auto sum = objective::faithfulness{} + 3.0 * norm_preservation{};
    CHECK(objective_at(composition, sum, values, prompts, strengths).loss ==
          objective_and_gradient(composition, sum, values, prompts, strengths).loss);
    return objective_and_gradient(composition, sum, values, prompts, strengths);
  };
  const auto one = found(1);
  for (const int threads : {2, 3}) {
    const auto several = found(threads);
    CHECK(several.loss == one.loss);
    CHECK(same_bits(several.gradient, one.gradient));
  }
}

TEST_CASE("The texts of an answer's further tokens are left out of a term on hooks") {
  const auto model = small_model<small_gpt2, double>();
  auto prompts = random_prompts(model.config(), {4, 3});
  const auto composition =
      steer(model, at(site::mlp_out{}, policy::steer_vec{}, layers::all(), positions::from_end(2)));
  const auto values = random_parameters(composition.layout(prompts));
  const auto plain = objective_and_gradient(composition, norm_preservation{}, values, prompts);
  prompts[0].correct_rest = {4, 2};
  prompts[1].wrong_rest = {1};
  const auto found = objective_and_gradient(composition, norm_preservation{}, values, prompts);
  REQUIRE(found.loss.terms.at(0).per_sequence.size() == 4);
  CHECK(std::abs(found.loss.total() - plain.loss.total()) < 1e-15);
  for (std::size_t j = 0; j < plain.gradient.size(); ++j)
    CHECK(std::abs(found.gradient[j] - plain.gradient[j]) < 1e-14);
}

TEST_CASE("What terms on hooks take is part of the plan") {
  const auto model = small_model<small_gpt2, float>();
  const model_config& config = model.config();
  const auto prompts = random_prompts(config, {4, 3});
  const auto composition =
      steer(model, at(site::attn_z{}, policy::activ_scalar{}, layers::list({0, 2}), positions::shared()),
            at(site::mlp_post{}, policy::steer_vec{}, layers::list({1}), positions::shared()));
  const auto bytes = [&](index_t terms) {
    return bytes_of_step<float>(config, composition.layout(prompts), prompts, std::vector<double>{1, -1}, terms);
  };
  // Values and weights of 14 rows at one place and, for two heads, at two; three times 14 rows of the MLP.
  CHECK(bytes(1).total() - bytes(0).total() == 4 * (2 * 14 * (2 + 2 + 1) + 3 * 14 * config.hidden));
  CHECK(bytes(2).total() - bytes(1).total() == 4 * 2 * 14 * (2 + 2 + 1));
}

TEST_CASE("A fit with a term on hooks has the same bits on several threads, with company and after a checkpoint") {
  const auto prompts = random_prompts(small_gpt2::config(), {4, 3, 5, 2});
  const auto sum = [](double weight) {
    return objective::effectiveness{.shape = objective::psi::softplus} + 1.0 * objective::faithfulness{} +
           0.001 * objective::minimality{} + weight * norm_preservation{};
  };
  const auto compose = [](const auto& model) {
    return steer(model, at(site::mlp_out{}, policy::steer_vec{}, layers::list({1}), positions::shared()),
                 at(site::resid_post{}, policy::affine{}, layers::list({0}), positions::from_end(2)));
  };
  const auto model = small_model<small_gpt2, double>();
  const auto composition = compose(model);
  const trainer strict(composition, sum(20), adam{.learning_rate = .02});
  const trainer loose(composition, sum(0), adam{.learning_rate = .02});
  const auto alone = strict.fit(prompts, {.steps = 8}), free = loose.fit(prompts, {.steps = 8});
  REQUIRE(alone.history.back().terms.size() == 4);
  CHECK(free.history.back().terms.size() == 3);

  const auto threaded = small_model<small_gpt2, double>(3);
  CHECK(trainer(compose(threaded), sum(20), adam{.learning_rate = .02}).fit(prompts, {.steps = 8}).values ==
        alone.values);
  const auto together = strict.fit_all({strict.replica_of(prompts, {}, 8), loose.replica_of(prompts, {}, 8)});
  CHECK(together[0].values == alone.values);
  CHECK(together[0].history == alone.history);
  CHECK(together[1].values == free.values);
  CHECK(together[1].history == free.history);  // without the term
  const auto cut = strict.fit(prompts, {.steps = 8, .chunk = 3});
  CHECK(largest_difference(cut.values.theta, alone.values.theta) < 1e-10);
  CHECK(std::abs(cut.history.back().total() - alone.history.back().total()) < 1e-11);

  auto run = strict.start(prompts);
  while (run.steps() < 3) run.step();
  CHECK(run.state().facts.at("weight of norm_preservation") == "20");
  CHECK(strict.fit(prompts, {.steps = 8, .resume_from = run.state()}).values == alone.values);
  CHECK(loose.start(prompts).state().facts.count("weight of norm_preservation") == 0);

  // Mini-batches, and ranks that share the chunks.
  auto prompts_and_stays = prompts;
  prompts_and_stays[2].retained = true;
  const fit_options in_batches{.steps = 6, .chunk = 1, .batches = {.size = 3}};
  const auto batched = strict.fit(prompts_and_stays, in_batches);
  std::vector<char> same(2);
  thread_ranks::run(2, [&](const thread_ranks& own) {
    const trainer shared(composition, sum(20), adam{.learning_rate = .02}, own);
    const auto found_here = shared.fit(prompts_and_stays, in_batches);
    same[static_cast<std::size_t>(own.rank())] =
        found_here.values == batched.values and found_here.history == batched.history;
  });
  CHECK(same == std::vector<char>{1, 1});

  // It does what it is there for.
  const auto length = [&](const auto& fit) {
    return objective_at(composition, norm_preservation{}, fit.values, prompts).loss.total();
  };
  CHECK(length(alone) < 0.5 * length(free));
}

namespace {

/// A term of a user's: the square of what a hook adds along h, times a setting.
struct along_h {
  static constexpr bool of_hooks = true;
  double factor = 1;
  bool is_negative = false;  // followed by padding

  constexpr auto value(row auto& r) const {
    const auto d = along(r);
    return static_cast<decltype(d * d)>(signed_factor()) * d * d;
  }
  constexpr void gradient(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    const T slope = 2 * static_cast<T>(signed_factor()) * along(r) * r.d_value();
    r.each([&](auto j) {
      r.d_out(j) += slope * r.h(j);
      r.d_h(j) += slope * (r.out(j) - 2 * r.h(j));
    });
  }

 private:
  constexpr double signed_factor() const { return is_negative ? -factor : factor; }
  template <row R>
  static constexpr scalar_of<R> along(const R& r) {
    return r.sum([&](auto j) { return r.h(j) * (r.out(j) - r.h(j)); });
  }
};

/// Norm preservation of prompts that are to stay.
struct length_of_others : norm_preservation {
  static constexpr bool of_retained = true;
};

/// The sum of log |h|, whose gradient is not finite on a row of zeros.
struct log_size {
  static constexpr bool of_hooks = true;

  constexpr auto value(row auto& r) const {
    using std::log, std::abs;
    return r.sum([&](auto j) { return log(abs(r.h(j))); });
  }
  constexpr void gradient(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) += r.d_value() / r.h(j); });
  }
};

}  // namespace
}  // namespace trimtab::test::hook_measure_tests

template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::test::hook_measure_tests::along_h> = true;
template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::test::hook_measure_tests::length_of_others> = true;
template <>
inline constexpr bool trimtab::enable_objective_term<trimtab::test::hook_measure_tests::log_size> = true;

namespace trimtab::test::hook_measure_tests {

TEST_CASE("A user's term on hooks joins an objective, with one setting for fits that share a pass") {
  const auto model = small_model<small_gpt2, double>();
  const auto prompts = random_prompts(model.config(), {4, 3});
  const auto composition =
      steer(model, at(site::mlp_out{}, policy::steer_vec{}, layers::list({1}), positions::shared()));
  CHECK(check_adjoint(along_h{.factor = 1.5}).passes());
  const auto values = random_parameters(composition.layout(prompts));
  const auto both = objective_and_gradient(composition, 2.0 * along_h{} + 3.0 * norm_preservation{}, values, prompts);
  const auto first = objective_and_gradient(composition, 2.0 * along_h{}, values, prompts);
  const auto second = objective_and_gradient(composition, 3.0 * norm_preservation{}, values, prompts);
  REQUIRE(both.loss.terms.size() == 2);
  CHECK(both.loss.terms[0].name == "term");
  CHECK(std::abs(both.loss.total() - first.loss.total() - second.loss.total()) < 1e-12);
  for (std::size_t j = 0; j < both.gradient.size(); ++j)
    CHECK(std::abs(both.gradient[j] - first.gradient[j] - second.gradient[j]) < 1e-11);

  const trainer one(composition, objective::effectiveness{} + 1.0 * along_h{}, adam{});
  const trainer other(composition, objective::effectiveness{} + 1.0 * along_h{.factor = 2}, adam{});
  CHECK_THAT(refusal(error_kind::bad_argument,
                     [&] {
                       one.fit_all({one.replica_of(prompts, {}, 2), other.replica_of(prompts, {}, 2)});
                     }),
             ContainsSubstring("different settings of term, a term on what hooks do"));
  const trainer negative(composition, objective::effectiveness{} + 1.0 * along_h{.is_negative = true}, adam{});
  CHECK_THROWS_AS(negative.fit_all({one.replica_of(prompts, {}, 2), negative.replica_of(prompts, {}, 2)}), error);
  auto same = one.replica_of(prompts, {}, 2);
  reinterpret_cast<unsigned char*>(&std::get<1>(same.objective.terms).term)[sizeof(along_h) - 1] ^= 1U;
  CHECK(one.fit_all({one.replica_of(prompts, {}, 2), same}).size() == 2);
  const trainer without(composition, objective::effectiveness{} + 0.0 * along_h{.factor = 2}, adam{});
  const auto together = one.fit_all({without.replica_of(prompts, {}, 2), one.replica_of(prompts, {}, 2)});
  CHECK(together[0].values == without.fit(prompts, {.steps = 2}).values);
  CHECK(together[1].values == one.fit(prompts, {.steps = 2}).values);
}

TEST_CASE("A term on hooks may be one of the prompts that are to stay") {
  const auto model = small_model<small_gpt2, double>();
  auto prompts = random_prompts(model.config(), {4, 3, 5, 2});
  prompts[3].retained = true;
  const auto composition = steer(model, at(site::mlp_out{}, policy::steer_vec{}, layers::all(), positions::shared()));
  const auto values = random_parameters(composition.layout(prompts));
  const auto found = objective_and_gradient(composition, 2.0 * length_of_others{}, values, prompts);
  prompts[3].retained = false;
  const auto alone =
      objective_and_gradient(composition, 2.0 * norm_preservation{}, values, std::span(prompts).subspan(3));
  CHECK(alone.loss.total() > 0);
  CHECK(std::abs(found.loss.total() - alone.loss.total()) < 1e-14);
  for (std::size_t j = 0; j < alone.gradient.size(); ++j)
    CHECK(std::abs(found.gradient[j] - alone.gradient[j]) < 1e-13);
}

TEST_CASE("The gradient of a term on hooks leaves rows without a weight alone, whatever it would be there") {
  const eigen_backend<double> backend(1);
  const weighted_hook_term<eigen_backend<double>> term(log_size{}, {});
  host_matrix<double> h(2, 3), d_h(2, 3), d_out(2, 3);
  h.values = {0, 0, 0, 1, 2, 4};
  const std::vector<double> d_value{0, 2};
  term.gradients(backend, h.view(), h.view(), d_value.data(), d_h.view(), d_out.view());
  CHECK(d_h.values == std::vector<double>{0, 0, 0, 2, 1, 0.5});
  CHECK(largest(d_out.values) == 0);
}

}  // namespace trimtab::test::hook_measure_tests
