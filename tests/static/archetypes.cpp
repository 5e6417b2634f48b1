// SPDX-License-Identifier: Apache-2.0

// The smallest type that satisfies each concept, pushed through the library: a concept that asks too little fails here,
// and what satisfies the library's concepts is stated once.

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>

using namespace trimtab;

namespace {

struct least_policy {
  static constexpr per_row<"a"> a{};
  static constexpr parameter_list parameters{a};
  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.h(j) + r.beta() * r(a); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
    r.d(a) += r.beta() * r.sum([&](auto j) { return r.d_out(j); });
  }
};

struct least_term {
  constexpr auto value(row auto& r) const { return r.h(r.correct()); }
  constexpr void gradient(row auto& r) const {
    r.at(r.correct(), [&](auto j) { r.d_h(j) += r.d_value(); });
  }
};

struct least_optimizer {
  struct step {
    constexpr void forward(row auto& r) const {
      r.each([&](auto j) { r(name::theta, j) -= r.d(name::theta, j); });
    }
  };
  step update(index_t, penalty) const { return {}; }
};

// A pass would never come by.
struct somewhere_else : site::attn_out {};

struct least_architecture {
  static constexpr std::string_view text = "least";
  static constexpr residual_form residual = residual_form::sequential;
};

struct least_source {
  model_config config() const { return {}; }
  template <typename T>
  block_weights<T> block(index_t) const {
    return {};
  }
  template <typename T>
  outer_weights<T> outer() const {
    return {};
  }
};

struct no_policy {};
struct no_adjoint {
  static constexpr per_row<"a"> a{};
  [[maybe_unused]] static constexpr parameter_list parameters{a};
  constexpr void forward(row auto&) const {}
};
struct owns_memory : least_policy {
  std::vector<int> memory;
};

}  // namespace

template <>
inline constexpr bool trimtab::enable_objective_term<least_term> = true;

static_assert(intervention_policy<least_policy>);
static_assert(intervention_policy<policy::activ_scalar> and intervention_policy<policy::steer_vec>);
static_assert(intervention_policy<policy::affine> and intervention_policy<policy::dyn_scalar<>>);
static_assert(intervention_policy<policy::sequence<least_policy, policy::dyn_scalar<>, least_policy>>);
static_assert(not intervention_policy<no_policy> and not intervention_policy<no_adjoint>);
static_assert(not intervention_policy<owns_memory>, "a policy travels into kernels as its bytes");

static_assert(row_function<layer_norm> and row_function<gelu_tanh> and row_function<rotary> and
              row_function<residual> and row_function<residual_norm>);
static_assert(logit_term<least_term> and logit_term<objective::faithfulness> and not parameter_term<least_term>);
static_assert(parameter_term<objective::minimality> and not logit_term<objective::minimality>);
static_assert(not objective_term<least_policy>);
static_assert(optimizer<least_optimizer> and optimizer<adam>);
static_assert(hook_site<site::resid_mid> and not hook_site<no_policy> and not hook_site<somewhere_else>);
static_assert(model_architecture<least_architecture> and model_architecture<gpt_neox_architecture<>>);
static_assert(weight_source<least_source, float>);
static_assert(tensor_backend<eigen_backend<float>> and tensor_backend<eigen_backend<double>>);
static_assert(tensor_backend<eigen_backend<complex_step>>);
static_assert(hook_set<no_hooks, float>);
static_assert(exposes<site::resid_mid, residual_form::sequential> and
              not exposes<site::resid_mid, residual_form::parallel>);

// The composition of nothing but archetypes.
template <typename Model>
auto fit_archetypes(const Model& model, const std::vector<prompt_pair>& prompts) {
  const auto objective = 2.0 * least_term{} + objective::minimality{};
  const auto composition = steer(model, at(site::attn_out{}, least_policy{}));
  trainer(composition, least_term{}, adam{}).fit(prompts);        // one term is an objective
  trainer(composition, 0.5 * least_term{}, adam{}).fit(prompts);  // with a weight too
  trainer(composition, 0.5 * objective, adam{}).fit(prompts);
  return trainer(composition, objective, least_optimizer{}).fit(prompts);
}
template auto fit_archetypes(const gpt2<eigen_backend<float>>&, const std::vector<prompt_pair>&);
