// SPDX-License-Identifier: Apache-2.0

// How do I write my own term of the objective? A term is a row function over the logits, with its gradient, and is
// added to the others.

#include <trimtab/trimtab.hpp>

#include <cstdio>
#include <iostream>

using namespace trimtab;

/// Keeps the sum of the two answers' logits as it was: ½ ((z_c + z_w) − (z⁰_c + z⁰_w))². Steering then raises one
/// answer and lowers the other instead of raising both.
struct conserved_sum {
  constexpr auto value(row auto& r) const {
    const auto moved = shift(r);
    return moved * moved / 2;
  }
  constexpr void gradient(row auto& r) const {
    const auto d = r.d_value() * shift(r);
    r.at(r.correct(), [&](auto j) { r.d_h(j) += d; });
    r.at(r.wrong(), [&](auto j) { r.d_h(j) += d; });
  }

 private:
  static constexpr auto shift(row auto& r) {
    return r.h(r.correct()) + r.h(r.wrong()) - r.reference(r.correct()) - r.reference(r.wrong());
  }
};

template <>
inline constexpr bool trimtab::enable_objective_term<conserved_sum> = true;

int main() try {
  const auto model = from_pretrained<gpt_neox<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-pythia");
  const auto prompts = task::ccc(model.tokenizer(), {.train = 32, .test = 32, .seed = 1});
  const auto steering =
      steer(model, at(site::resid_post{}, policy::steer_vec{}, layers::all(), positions::from_end(8)));
  const auto usual = objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.003 * objective::minimality{};

  report::table table(report::metrics_header("objective"));
  const auto fit = [&](const char* name, auto objective) {
    const auto result = trainer(steering, objective, adam{.learning_rate = 0.01}).fit(prompts.train, {.steps = 100});
    report::add_metrics(table, name, evaluate(result, prompts.test), count_parameters(result.values));
    return result.history.back().total() < result.history.front().total();
  };
  const bool learned = fit("usual", usual) and fit("usual + conserved_sum", usual + 0.1 * conserved_sum{});
  std::cout << table.text();
  return learned ? 0 : 1;
} catch (const error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
