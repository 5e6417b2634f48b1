// SPDX-License-Identifier: Apache-2.0
#include <trimtab/compose.hpp>

#include "examples/circuits/known_circuits.hpp"
#include "support/explained.hpp"

#include <cstdio>
#include <string>
#include <vector>

namespace trimtab::test::known_circuits_tests {

using namespace circuits;

// How right each method is on models whose deciding places are known.

namespace {

/// The sizes of a map's scores, and which of its places decide the answer.
struct marked {
  std::vector<double> sizes;
  std::vector<bool> decides;

  double area() const { return roc_area(sizes, decides); }
  double found() const { return recall(sizes, decides, count()); }
  double right() const { return precision(sizes, decides, count()); }

 private:
  std::size_t count() const { return static_cast<std::size_t>(std::ranges::count(decides, true)); }
};

template <typename Form>
struct known {
  circuit_weights weights;
  Form model;
  std::vector<prompt_pair> prompts;
  explain::options chosen;

  explicit known(circuit which)
      : weights(which, Form::architecture::residual == residual_form::parallel),
        model(weights, eigen_backend<double>(1)),
        prompts(weights.prompts(12)) {
    chosen.sites.clear();
    for (const std::string_view name : site::texts(model.config().parallel_residual)) chosen.sites.emplace_back(name);
    chosen.positions =
        prompts.front().roles.size() == 2 ? positions::role({"subject", "end"}) : positions::role({"subject"});
  }

  marked mark(const explain::place_map& map) const {
    marked m{sizes_of(map.scores), std::vector<bool>(map.scores.size())};
    for (double& x : m.sizes) x = x < 1e-12 ? 0 : x;  // the norms' backward pass has remainders of 2^-80
    for (const parameter_block& block : map.places.blocks)
      for (index_t l : block.layers)
        for (index_t i = 0; i < block.positions.count(); ++i)
          m.decides[static_cast<std::size_t>(block.layer_offset(l) + i)] =
              weights.decides(block.site, l, block.positions.roles()[static_cast<std::size_t>(i)]);
    return m;
  }
  marked attributed(explain::attribution_kind kind) const {
    auto with = chosen;
    with.attribute = kind;
    return mark(explain::attribution(model, prompts, with));
  }
  marked patched(explain::patch_direction direction) const {
    auto with = chosen;
    with.direction = direction;
    return mark(explain::patching(model, prompts, with));
  }
  marked ablated(explain::ablation_kind kind) const {
    auto with = chosen;
    with.ablate = kind;
    return mark(explain::ablation(model, prompts, with));
  }
};

using enum explain::attribution_kind;
using enum explain::patch_direction;

/// A sparse fit of a scalar for each place of attn_out and mlp_out.
template <typename Known>
auto sparse_fit(const Known& k) {
  const auto steering = steer(k.model, at(site::attn_out{}, policy::activ_scalar{}, layers::all(), k.chosen.positions),
                              at(site::mlp_out{}, policy::activ_scalar{}, layers::all(), k.chosen.positions));
  const auto objective = objective::effectiveness{} + 0.03 * objective::minimality{};
  return trainer(steering, objective, adam{.learning_rate = 0.05}).fit(k.prompts, {.steps = 100});
}

/// A fit, marked as a map.
template <typename Known, typename Fit>
marked mark_of(const Known& k, const Fit& fit) {
  return k.mark({.places = fit.values.layout, .scores = fit.values.theta});
}

}  // namespace

TEMPLATE_TEST_CASE("the models answer as they are written to", "", gpt2<eigen_backend<double>>,
                   gpt_neox<eigen_backend<double>>) {
  for (const auto which : {circuit::copying, circuit::fact, circuit::both, circuit::redundant}) {
    const known<TestType> k(which);
    const auto z = logits(k.model, ids_of(k.prompts)),
               corrupt = logits(k.model, explain::detail::corrupt_ids_of(k.prompts));
    for (index_t n = 0; n < std::ssize(k.prompts); ++n)
      for (index_t j = 0; j < z.cols; ++j) {
        CHECK(z(n, j) == (j == k.prompts[static_cast<std::size_t>(n)].correct_id ? 1 : 0));
        CHECK(corrupt(n, j) == (j == k.prompts[static_cast<std::size_t>(n)].wrong_id ? 1 : 0));
      }
  }
}

TEMPLATE_TEST_CASE("patching finds exactly the places that decide, whatever decoys are active", "",
                   gpt2<eigen_backend<double>>, gpt_neox<eigen_backend<double>>) {
  for (const auto which : {circuit::copying, circuit::fact, circuit::both}) {
    const known<TestType> k(which);
    for (const auto direction : {denoising, noising}) {
      const auto m = k.patched(direction);
      for (std::size_t i = 0; i < m.sizes.size(); ++i) CHECK(m.sizes[i] == (m.decides[i] ? 1 : 0));
      CHECK(m.area() == 1);
      CHECK(m.found() == 1);
    }
  }
  // The decoy is active: it is as large as the answer, and depends on the subject.
  const known<TestType> k(circuit::both);
  const auto& p = k.prompts.front();
  const auto clean = activations(k.model, std::span(&p.ids, 1), {"mlp_out"});
  const auto corrupt = activations(k.model, std::span(&p.corrupt_ids, 1), {"mlp_out"});
  CHECK(clean.at("mlp_out")[0].values != corrupt.at("mlp_out")[0].values);
}

TEMPLATE_TEST_CASE("first-order methods and ablation find them too, where nothing saturates", "",
                   gpt2<eigen_backend<double>>, gpt_neox<eigen_backend<double>>) {
  for (const auto which : {circuit::copying, circuit::fact, circuit::both}) {
    const known<TestType> k(which);
    CAPTURE(static_cast<int>(which));
    for (const auto kind : {gradient, patching, integrated}) CHECK(k.attributed(kind).area() == 1);
    for (const auto kind : {explain::ablation_kind::zero, explain::ablation_kind::mean})
      CHECK(k.ablated(kind).area() == 1);
  }
  // In the corrupt run the neuron of the right subject is off and has no gradient: only the wrong one's going is seen.
  const known<TestType> k(circuit::fact);
  const auto seen = explain::attribution(k.model, k.prompts, k.chosen);
  CHECK(std::abs(seen.score(seen.block("resid_pre"), 0, 0) - (seen.clean - seen.corrupt) / 2) < 1e-12);
}

TEMPLATE_TEST_CASE("with two redundant paths single ablations and saturated gradients miss both", "",
                   gpt2<eigen_backend<double>>, gpt_neox<eigen_backend<double>>) {
  const known<TestType> k(circuit::redundant);
  const auto score = [](const marked& m, const explain::place_map& map, const char* site, index_t layer) {
    return m.sizes[static_cast<std::size_t>(map.block(site).layer_offset(layer))];
  };
  const auto map = explain::patching(k.model, k.prompts, k.chosen);
  const auto denoised = k.patched(denoising), noised = k.patched(noising),
             ablated = k.ablated(explain::ablation_kind::zero), slopes = k.attributed(gradient);
  CHECK(denoised.area() == 1);
  for (index_t path : {0, 1}) {
    CHECK(score(denoised, map, "mlp_out", path) == 0.5);  // it brings the right answer; the other keeps the wrong one
    CHECK(score(noised, map, "mlp_out", path) == 0.5);
    CHECK(score(ablated, map, "mlp_out", path) == 0);
    CHECK(score(slopes, map, "mlp_out", path) == 0);
  }
  CHECK(score(ablated, map, "mlp_out", 2) == 1);  // where they meet, it is decided alone
  CHECK(ablated.area() < 1);
  CHECK(ablated.found() < denoised.found());
  CHECK(slopes.found() <= 0.25);  // only what lies after the saturation has a slope
}

TEMPLATE_TEST_CASE("a sparse fit keeps only places that decide", "", gpt2<eigen_backend<double>>,
                   gpt_neox<eigen_backend<double>>) {
  for (const auto which : {circuit::copying, circuit::fact, circuit::both}) {
    const known<TestType> k(which);
    CAPTURE(static_cast<int>(which));
    const auto fit = sparse_fit(k);
    // With two scalars in a row, that of the attention turns the neurons of the MLP off, and then nothing has a slope.
    CHECK(evaluate(fit, k.prompts).flip_rate_both == (which == circuit::both ? 0 : 1));
    const marked m = mark_of(k, fit);
    for (std::size_t i = 0; i < m.sizes.size(); ++i)
      if (not m.decides[i]) CHECK(m.sizes[i] == 0);
    CHECK(m.found() > 0);
  }
}

TEMPLATE_TEST_CASE("a real norm sees the size of the stream, which patching leaves alone and ablation does not", "",
                   gpt2<eigen_backend<double>>, gpt_neox<eigen_backend<double>>) {
  const known<TestType> k(circuit::normed);
  const auto z = logits(k.model, ids_of(k.prompts));
  for (index_t n = 0; n < std::ssize(k.prompts); ++n)
    for (index_t j = 0; j < z.cols; ++j)
      CHECK((z(n, j) > 0) == (j == k.prompts[static_cast<std::size_t>(n)].correct_id));
  for (const auto direction : {denoising, noising}) {
    const auto m = k.patched(direction);
    for (std::size_t i = 0; i < m.sizes.size(); ++i) CHECK(std::abs(m.sizes[i] - (m.decides[i] ? 1 : 0)) < 1e-12);
  }
  // Without the decoy the answer stands out more.
  const auto map = explain::ablation(k.model, k.prompts, k.chosen);
  CHECK(map.score(map.block("mlp_out"), 2, 1) < -0.1);
}

TEMPLATE_TEST_CASE("how right each method is", "", gpt2<eigen_backend<double>>, gpt_neox<eigen_backend<double>>) {
  using enum explain::ablation_kind;
  std::vector<std::string> right, wrong;
  for (const auto& [circuit_name, which] : all_circuits) {
    const std::string name = circuit_name;
    const known<TestType> k(which);
    /// Precision and recall of as many places as decide the answer, and the area under the ROC curve.
    const auto add = [&](const std::string& method, const marked& m) {
      char figures[64];
      std::snprintf(figures, sizeof figures, "%.2f %.2f %.2f", m.right(), m.found(), m.area());
      const bool all = m.right() == 1 and m.found() == 1 and m.area() == 1;
      (all ? right : wrong).push_back(name + ", " + method + ": " + figures);
    };
    add("gradient", k.attributed(gradient));
    add("attribution-patching", k.attributed(patching));
    add("integrated", k.attributed(integrated));
    add("patching", k.patched(denoising));
    add("noising", k.patched(noising));
    add("zero", k.ablated(zero));
    add("mean", k.ablated(mean));
    add("resample", k.ablated(resample));
    auto written = k.chosen;
    written.sites = {"attn_out", "mlp_out"};
    add("direct", k.mark(explain::direct_logit(k.model, k.prompts, written)));
    add("fit", mark_of(k, sparse_fit(k)));
  }
  CHECK(right.size() == 43);
  const bool parallel = TestType::architecture::residual == residual_form::parallel;  // without the site resid_mid
  CHECK(wrong ==
        std::vector<std::string>{
            "both, direct: 1.00 0.50 0.75",  // it sees the last step alone
            parallel ? "redundant, gradient: 1.00 0.25 0.62" : "redundant, gradient: 1.00 0.20 0.60",
            parallel ? "redundant, attribution-patching: 1.00 0.25 0.62"
                     : "redundant, attribution-patching: 1.00 0.20 0.60",
            parallel ? "redundant, zero: 1.00 0.67 0.83" : "redundant, zero: 1.00 0.73 0.87",
            "redundant, direct: 1.00 0.33 0.67", "redundant, fit: 1.00 0.33 0.67",
            // A stream that grows in proportion leaves a norm's output as it is: its own direction has no slope.
            parallel ? "normed, gradient: 0.50 0.50 0.88" : "normed, gradient: 0.55 0.55 0.88"});
}

}  // namespace trimtab::test::known_circuits_tests
