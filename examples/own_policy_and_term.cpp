// SPDX-License-Identifier: Apache-2.0

// A policy and a term of one's own. Each is a row function, written once: it runs in float and double, for every site
// and model (and the same text is meant for the GPU), and its adjoint is checked by the same means as the library's
// own.

#include <trimtab/trimtab.hpp>

#include <cstdio>
#include <iostream>

namespace mine {

using namespace trimtab;

/// Every channel with a gain of its own: out = (1 + β s_j) h_j. Between activ_scalar (one gain) and steer_vec (an
/// offset).
struct channel_gain {
  static constexpr per_channel<"scale"> scale{};
  static constexpr parameter_list parameters{scale};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = (1 + r.beta() * r(scale, j)) * r.h(j); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) {
      r.d_h(j) = (1 + r.beta() * r(scale, j)) * r.d_out(j);
      r.d(scale, j) += r.beta() * r.h(j) * r.d_out(j);
    });
  }
};

/// The two answers together keep the weight that they had: ½ ((z_c + z_w) − (z⁰_c + z⁰_w))². Steering then moves weight
/// from one answer to the other instead of raising both.
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

}  // namespace mine

template <>
inline constexpr bool trimtab::enable_objective_term<mine::conserved_sum> = true;

using namespace trimtab;

int main() try {
  const auto model = from_pretrained<gpt_neox<eigen_backend<float>>>(TRIMTAB_EXAMPLE_MODELS "/tiny-pythia");
  const auto prompts = task::ccc(model.tokenizer(), {.train = 32, .test = 32, .seed = 1});
  const auto steering =
      steer(model, at(site::resid_post{}, mine::channel_gain{}, layers::all(), positions::from_end(8)));
  const auto base = objective::effectiveness{} + 1.0 * objective::faithfulness{} + 0.003 * objective::minimality{};

  report::table table(report::metrics_header("channel_gain"));
  const auto fit = [&](char const* name, auto objective) {
    const auto result = trainer(steering, objective, adam{.learning_rate = 0.01}).fit(prompts.train, {.steps = 100});
    const metrics test = evaluate(result, prompts.test);
    table.add(report::metrics_row(name, test, count(result.values)));
    return result.history.back().total() < result.history.front().total();
  };
  const bool learned =
      fit("without conserved_sum", base) and fit("with conserved_sum", base + 0.1 * mine::conserved_sum{});
  std::cout << table.text();
  return learned ? 0 : 1;
} catch (error const& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
