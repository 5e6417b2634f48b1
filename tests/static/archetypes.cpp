// SPDX-License-Identifier: Apache-2.0

// Compiles the library with the smallest type that satisfies each concept: a concept that requires too little fails
// here. The static_asserts say which of the library's types satisfy which concept.

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

struct least_hook_term {
  static constexpr bool of_hooks = true;
  constexpr auto value(row auto& r) const { return r.out(index_t{}); }
  constexpr void gradient(row auto&) const {}
};
struct least_term {
  constexpr auto value(row auto& r) const { return r.h(r.correct()); }
  constexpr void gradient(row auto& r) const {
    r.at(r.correct(), [&](auto j) { r.d_h(j) += r.d_value(); });
  }
};

// A term on logits that has a setting of the name that penalties on parameters have.
struct term_with_norm : least_term {
  parameter_norm norm = parameter_norm::sum;
};
// Owns memory, which terms on rows may not: it must not become a penalty.
struct term_with_memory : term_with_norm {
  std::vector<double> weights = {};
};

struct least_optimizer {
  struct step {
    constexpr void forward(row auto& r) const {
      r.each([&](auto j) { r(name::theta, j) -= r.d(name::theta, j); });
    }
  };
  step update(index_t, penalty) const { return {}; }
};

// Not one of the sites that a pass runs through.
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

// Backends, each with what one concept requires and nothing more: no default constructor, no assignment. They run no
// row functions, so only the library's side of each call is compiled.
class least_storage {
 public:
  using scalar = float;
  using numbers = matrix_view<scalar>;
  using constants = matrix_view<const scalar>;

  struct memory {
    memory() = default;
    memory(memory&&) = default;
    memory& operator=(memory&&) = default;
    numbers view(index_t, index_t) { return {}; }
    constants view(index_t, index_t) const { return {}; }
  };
  class indices {
   public:
    explicit indices(int) {}
    indices(indices&&) = default;
    indices& operator=(indices&&) = delete;
    const int* data() const { return nullptr; }
  };

  explicit least_storage(int) {}
  least_storage(const least_storage&) = default;
  least_storage& operator=(const least_storage&) = delete;

  memory allocate(index_t) const { return {}; }
  memory upload(constants) const { return {}; }
  indices upload(std::vector<int>) const { return indices(0); }
  host_matrix<scalar> download(constants) const { return {}; }
  void download(constants, numbers) const {}
  void copy(constants, numbers) const {}
  void fill(numbers, scalar) const {}
};

template <typename Storage>
struct least_products : Storage {
  using Storage::Storage;
  using typename Storage::constants;
  using typename Storage::numbers;

  class linear {
   public:
    explicit linear(int) {}
    linear(linear&&) = default;
    linear& operator=(linear&&) = delete;
  };

  class table {
   public:
    explicit table(int) {}
    table(table&&) = default;
    table& operator=(table&&) = delete;
  };

  weight_type weights() const { return weight_type::as_in_file; }
  linear prepare(constants, constants, bool = false) const { return linear(0); }
  void multiply(const linear&, constants, numbers) const {}
  void multiply_backward(const linear&, constants, numbers) const {}
  table make_table(constants, const linear*) const { return table(0); }
  void look_up(const table&, const int*, numbers) const {}
};

template <typename Storage>
struct least_attention : Storage {
  using Storage::Storage;
  using typename Storage::constants;
  using typename Storage::numbers;
  using typename Storage::scalar;

  void attention(const ragged_shape&, index_t, scalar, constants, numbers) const {}
  void attention_backward(const ragged_shape&, index_t, scalar, constants, constants, numbers) const {}

  class cache {
   public:
    explicit cache(int) {}
    cache(cache&&) = default;
    cache& operator=(cache&&) = delete;
    void reserve(index_t, index_t) {}
  };
  cache make_cache(index_t, index_t, index_t, index_t) const { return cache(0); }
  void attention(const ragged_shape&, index_t, scalar, constants, cache&, numbers) const {}
};

template <typename Storage>
struct least_rows : Storage {
  using Storage::Storage;
  using typename Storage::constants;
  using typename Storage::numbers;
  using typename Storage::scalar;

  template <typename F, typename... Name, typename... U>
  void forward(const F&, index_t, index_t, operand<Name, U>...) const {}
  template <typename F, typename... Name, typename... U>
  void backward(const F&, index_t, index_t, operand<Name, U>...) const {}
  template <typename Term, typename... Name, typename... U>
  void values(const Term&, index_t, index_t, scalar*, operand<Name, U>...) const {}
  template <typename Term, typename... Name, typename... U>
  void gradients(const Term&, index_t, index_t, operand<Name, U>...) const {}
  template <intervention_policy P>
  void intervene(const P&, constants, numbers, const scalar*, const bound_rows<scalar>&) const {}
  template <intervention_policy P>
  void intervene_backward(const P&, constants, constants, numbers, const scalar*, scalar*, scalar*,
                          const bound_rows<scalar>&) const {}
};

using least_backend = least_rows<least_attention<least_products<least_storage>>>;

// The same for a backend that records its work, in which indices can be written too.
struct least_recorder : least_backend {
  struct indices {
    indices() = default;
    indices(indices&&) = default;
    indices& operator=(indices&&) = default;
    int* data() { return nullptr; }
    const int* data() const { return nullptr; }
  };
  class recording {
   public:
    explicit recording(int) {}
    recording(recording&&) = default;
    recording& operator=(recording&&) = delete;
    void replay() const {}
  };

  using least_backend::least_backend;
  using least_backend::upload;
  indices upload(std::vector<int>) const { return {}; }
  template <typename Work>
  recording record(Work) const {
    return recording(0);
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
template <>
inline constexpr bool trimtab::enable_objective_term<term_with_norm> = true;
template <>
inline constexpr bool trimtab::enable_objective_term<term_with_memory> = true;
template <>
inline constexpr bool trimtab::enable_objective_term<least_hook_term> = true;

static_assert(intervention_policy<least_policy>);
static_assert(intervention_policy<policy::activ_scalar> and intervention_policy<policy::steer_vec>);
static_assert(intervention_policy<policy::affine> and intervention_policy<policy::dyn_scalar<>>);
static_assert(intervention_policy<policy::sequence<least_policy, policy::dyn_scalar<>, least_policy>>);
static_assert(gate_function<gate::linear<>> and gate_function<gate::mlp<2>> and gate_function<gate::cosine>);
static_assert(not gate_function<no_policy> and not gate_function<policy::steer_vec>);
static_assert(site_part<site::head<3>> and not site_part<site::attn_z> and not channel_span<site::head<3>>);
static_assert(not intervention_policy<no_policy> and not intervention_policy<no_adjoint>);
static_assert(not intervention_policy<owns_memory>, "a policy travels into kernels as its bytes");

static_assert(row_function<layer_norm> and row_function<gelu_tanh> and row_function<relu> and row_function<rotary> and
              row_function<residual> and row_function<residual_norm>);
static_assert(logit_term<least_term> and logit_term<objective::faithfulness> and not parameter_term<least_term>);
static_assert(parameter_term<objective::minimality> and not logit_term<objective::minimality>);
static_assert(hook_term<objective::norm_preservation> and hook_term<least_hook_term> and
              not logit_term<least_hook_term>);
static_assert(not hook_term<least_term> and not parameter_term<least_hook_term>);
static_assert(logit_term<term_with_norm> and not parameter_term<term_with_norm>);
static_assert(not objective_term<term_with_memory>);
static_assert(not objective_term<least_policy>);
static_assert(optimizer<least_optimizer> and optimizer<adam>);
static_assert(hook_site<site::resid_mid> and not hook_site<no_policy> and not hook_site<somewhere_else>);
static_assert(model_architecture<least_architecture> and model_architecture<gpt_neox_architecture<>>);
static_assert(weight_source<least_source, float>);
static_assert(tensor_backend<eigen_backend<float>> and tensor_backend<eigen_backend<double>>);
static_assert(tensor_backend<eigen_backend<dual>>);
static_assert(storage_backend<least_storage> and not linear_backend<least_storage> and
              not attention_backend<least_storage> and not row_backend<least_storage>);
static_assert(linear_backend<least_products<least_storage>> and not tensor_backend<least_products<least_storage>>);
static_assert(attention_backend<least_attention<least_storage>> and not tensor_backend<least_attention<least_storage>>);
static_assert(row_backend<least_rows<least_storage>> and not tensor_backend<least_rows<least_storage>>);
static_assert(tensor_backend<least_backend> and not recording_backend<least_backend>);
static_assert(recording_backend<least_recorder>);
static_assert(not std::default_initializable<least_backend> and not std::copyable<least_backend>);
static_assert(hook_set<no_hooks, eigen_backend<float>>);
static_assert(rowwise_backend<eigen_backend<float>> and rowwise_backend<eigen_backend<dual>>);
static_assert(not rowwise_backend<least_backend>);
static_assert(rowwise_hooks<static_hooks<eigen_backend<float>, intervention<site::attn_out, least_policy>>,
                            eigen_backend<float>>);
static_assert(rowwise_hooks<dynamic_hooks<eigen_backend<float>, residual_form::sequential>, eigen_backend<float>>);
static_assert(
    hook_set<static_hooks<least_backend, intervention<site::attn_out, least_policy>>, least_backend> and
    not rowwise_hooks<static_hooks<least_backend, intervention<site::attn_out, least_policy>>, least_backend>);
static_assert(exposes<site::resid_mid, residual_form::sequential> and
              not exposes<site::resid_mid, residual_form::parallel>);

// A fit of archetypes only, on a complete backend.
template <typename Model>
auto fit_archetypes(const Model& model, const std::vector<prompt_pair>& prompts) {
  const auto objective = 2.0 * least_term{} + objective::minimality{} + least_hook_term{};
  const auto composition = steer(model, at(site::attn_out{}, least_policy{}));
  trainer(composition, least_term{}, adam{}).fit(prompts);        // one term is an objective
  trainer(composition, 0.5 * least_term{}, adam{}).fit(prompts);  // with a weight too
  trainer(composition, 0.5 * objective, adam{}).fit(prompts);
  return trainer(composition, objective, least_optimizer{}).fit(prompts);
}
template auto fit_archetypes(const gpt2<eigen_backend<float>>&, const std::vector<prompt_pair>&);

// Everything that the library does with a backend, on the smallest backends.
template <typename Model, typename Steering>
void use_least_machine(const Model& model, const Steering& composition, const std::vector<prompt_pair>& prompts) {
  const auto objective = 2.0 * least_term{} + objective::faithfulness{} + objective::minimality{};
  const trainer learner(composition, objective, adam{});
  const auto learned = learner.fit(prompts);
  learner.fit_each(prompts);
  auto run = learner.start(prompts);
  run.step();
  run.state();
  evaluate(learned, prompts);
  steered_logits(composition, learned.values, prompts, 1.0);
  objective_and_gradient(composition, objective, learned.values, prompts);
  observe(composition, learned.values, prompts, 1.0, [](auto, index_t, auto, auto) {});
  activations(model, prompts, {"attn_out"});
  logits(model, ids_of(prompts));
}

template <typename Model>
void on_least_machine(const std::vector<prompt_pair>& prompts) {
  using B = typename Model::backend_type;
  const Model model(least_source{}, B(0));
  use_least_machine(model, steer(model, at(site::attn_out{}, least_policy{}), at(site::attn_z{}, least_policy{})),
                    prompts);
  use_least_machine(model, steer(model, std::vector<any_intervention<B>>{{0, least_policy{}}}), prompts);
}
template void on_least_machine<gpt2<least_backend>>(const std::vector<prompt_pair>&);
template void on_least_machine<gpt_neox<least_backend>>(const std::vector<prompt_pair>&);
template void on_least_machine<gpt2<least_recorder>>(const std::vector<prompt_pair>&);
