// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>

#include <span>
#include <vector>

/// What most programs compose and train, compiled once for float and once for double: the CPU backend's products and
/// row functions, the library's policies and terms, the models, and fits that are composed at run time.
///
/// trimtab.hpp includes the headers of this room where TRIMTAB_INSTANCES is defined, as the library targets
/// `trimtab::float` and `trimtab::double` do: sources that link one take these functions from there. Without it the
/// headers are complete, and each source compiles what it uses.
///
/// Macros, because nothing else turns one list into declarations here and definitions in the sources beside it.
/// Declaring a class extern concerns only member functions that are defined outside of it: those inside are inline, and
/// are still compiled wherever they are used.

#define TRIMTAB_POLICY_INSTANCES(KIND, S, ...)                                                                      \
  KIND template void eigen::intervene(index_t, const __VA_ARGS__&, matrix_view<const S>, matrix_view<S>, const S*,  \
                                      const bound_rows<S>&);                                                        \
  KIND template void eigen::intervene_backward(int, const __VA_ARGS__&, matrix_view<const S>, matrix_view<const S>, \
                                               matrix_view<S>, const S*, S*, S*, const bound_rows<S>&);

/// Of policy::all.
#define TRIMTAB_LIBRARY_POLICY_INSTANCES(KIND, S)                                              \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::activ_scalar)                                      \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::steer_vec)                                         \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::affine)                                            \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::dyn_scalar<gate::linear<>>)                        \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::dyn_scalar<gate::linear<gate::bias::none>>)        \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::dyn_scalar<gate::tanh<>>)                          \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::dyn_scalar<gate::tanh<gate::bias::none>>)          \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::dyn_scalar<gate::rms<>>)                           \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::dyn_scalar<gate::rms<gate::bias::none>>)           \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::dyn_scalar<gate::tanh_rms<>>)                      \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::dyn_scalar<gate::tanh_rms<gate::bias::none>>)      \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::dyn_scalar<gate::mlp<4>>)                          \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::dyn_scalar<gate::cosine>)                          \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::channel_scale)                                     \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::project_out)                                       \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::low_rank<1>)                                       \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::low_rank<2>)                                       \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::low_rank<4>)                                       \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::low_rank<8>)                                       \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::conditional<gate::linear<>, policy::steer_vec>)    \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::conditional<gate::linear<>, policy::activ_scalar>) \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::conditional<gate::mlp<4>, policy::steer_vec>)      \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::conditional<gate::mlp<4>, policy::activ_scalar>)   \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::conditional<gate::cosine, policy::steer_vec>)      \
  TRIMTAB_POLICY_INSTANCES(KIND, S, policy::conditional<gate::cosine, policy::activ_scalar>)

/// Of row functions on all rows of the backend, or on one.
#define TRIMTAB_PART_INSTANCES(KIND, S, ON)                                                                            \
  KIND template void block_parts<eigen_backend<S>>::normalise(const ON&, const frozen_norm<eigen_backend<S>>&,         \
                                                              matrix_view<S>, matrix_view<S>) const;                   \
  KIND template void block_parts<eigen_backend<S>>::add_and_normalise(const ON&, const frozen_norm<eigen_backend<S>>&, \
                                                                      operand<per_channel<"h">, S>, matrix_view<S>,    \
                                                                      matrix_view<S>, matrix_view<S>) const;           \
  KIND template void block_parts<eigen_backend<S>>::activate(const ON&, matrix_view<S>, matrix_view<S>) const;         \
  KIND template void block_parts<eigen_backend<S>>::add(const ON&, operand<per_channel<"h">, S>, matrix_view<S>,       \
                                                        matrix_view<S>) const;

#define TRIMTAB_BACKEND_INSTANCES(KIND, S)                                                                             \
  KIND template void eigen::multiply(int, const eigen::linear<S>&, matrix_view<const S>, matrix_view<S>);              \
  KIND template void eigen::multiply_backward(int, const eigen::linear<S>&, matrix_view<const S>, matrix_view<S>);     \
  KIND template void eigen::attention(int, const ragged_shape&, index_t, S, matrix_view<const S>, matrix_view<S>);     \
  KIND template void eigen::attention(int, const ragged_shape&, index_t, S, matrix_view<const S>, eigen::cache<S>&,    \
                                      matrix_view<S>);                                                                 \
  KIND template void eigen::attention_backward(int, const ragged_shape&, index_t, S, matrix_view<const S>,             \
                                               matrix_view<const S>, matrix_view<S>);                                  \
  KIND template class batch<eigen_backend<S>>;                                                                         \
  KIND template class frozen_model<eigen_backend<S>>;                                                                  \
  KIND template class block_parts<eigen_backend<S>>;                                                                   \
  TRIMTAB_PART_INSTANCES(KIND, S, eigen_backend<S>)                                                                    \
  TRIMTAB_PART_INSTANCES(KIND, S, eigen::one_row<S>)                                                                   \
  KIND template pass_memory<S> plan_pass<S>(workspace<eigen_backend<S>>&, const model_config&, const pass_rows&,       \
                                            layer_interval, const hooked_sites&, pass_use);                            \
  KIND template class replica_storage<eigen_backend<S>>;                                                               \
  KIND template class binding<eigen_backend<S>>;                                                                       \
  KIND template class hook_measure<eigen_backend<S>>;                                                                  \
  KIND template class loss<eigen_backend<S>, objective::effectiveness, objective::faithfulness,                        \
                           objective::minimality>;                                                                     \
  KIND template class loss<eigen_backend<S>, objective::effectiveness, objective::faithfulness, objective::minimality, \
                           objective::retention, objective::norm_preservation>;                                        \
  KIND template class loss<eigen_backend<S>, objective::faithfulness, objective::faithfulness>;                        \
  KIND template void update_records(const eigen_backend<S>&, const adam_update&, matrix_view<S>, matrix_view<S>,       \
                                    matrix_view<S>, matrix_view<S>, record_units);

#define TRIMTAB_EXPLAIN_INSTANCE(KIND, METHOD, ...)                                                  \
  KIND template explain::place_map explain::METHOD(const __VA_ARGS__&, std::span<const prompt_pair>, \
                                                   const explain::options&);

#define TRIMTAB_CURVE_INSTANCE(KIND, CURVE, ...)                                                        \
  KIND template explain::ranking_curve explain::CURVE(const __VA_ARGS__&, std::span<const prompt_pair>, \
                                                      const explain::place_map&, const explain::options&, int);

/// A fit, its loss and gradient, for a sum of terms.
#define TRIMTAB_OBJECTIVE_INSTANCES(KIND, SUM, ...)                                                                  \
  KIND template class fit_run<dynamic_steering<__VA_ARGS__>, SUM, adam>;                                             \
  KIND template objective_gradient objective_and_gradient(const dynamic_steering<__VA_ARGS__>&, const SUM&,          \
                                                          const parameters&, std::span<const prompt_pair>,           \
                                                          std::span<const double>);                                  \
  KIND template objective_gradient objective_at(const dynamic_steering<__VA_ARGS__>&, const SUM&, const parameters&, \
                                                std::span<const prompt_pair>, std::span<const double>);

#define TRIMTAB_MODEL_INSTANCES(KIND, ...)                                                                       \
  KIND template class baseline<__VA_ARGS__>;                                                                     \
  TRIMTAB_OBJECTIVE_INSTANCES(KIND, detail::usual_terms, __VA_ARGS__)                                            \
  TRIMTAB_OBJECTIVE_INSTANCES(KIND, detail::all_terms, __VA_ARGS__)                                              \
  KIND template std::vector<metrics> evaluate(const dynamic_steering<__VA_ARGS__>&, std::span<const parameters>, \
                                              std::span<const prompt_pair>, const evaluate_options&);            \
  KIND template parameters directions(const dynamic_steering<__VA_ARGS__>&, std::span<const prompt_pair>,        \
                                      std::span<const std::vector<int>>, std::span<const std::vector<int>>,      \
                                      direction_method);                                                         \
  KIND template std::vector<generated_text> generate(const dynamic_steering<__VA_ARGS__>&, const parameters&,    \
                                                     std::span<const prompt_pair>, generation_options);          \
  KIND template host_matrix<typename __VA_ARGS__::scalar> steered_logits(                                        \
      const dynamic_steering<__VA_ARGS__>&, const parameters&, std::span<const prompt_pair>, double, scored);    \
  TRIMTAB_EXPLAIN_INSTANCE(KIND, attribution, __VA_ARGS__)                                                       \
  TRIMTAB_EXPLAIN_INSTANCE(KIND, patching, __VA_ARGS__)                                                          \
  TRIMTAB_EXPLAIN_INSTANCE(KIND, ablation, __VA_ARGS__)                                                          \
  TRIMTAB_EXPLAIN_INSTANCE(KIND, direct_logit, __VA_ARGS__)                                                      \
  TRIMTAB_EXPLAIN_INSTANCE(KIND, logit_lens, __VA_ARGS__)                                                        \
  TRIMTAB_CURVE_INSTANCE(KIND, faithfulness_of, __VA_ARGS__)                                                     \
  TRIMTAB_CURVE_INSTANCE(KIND, faithfulness_on, __VA_ARGS__)                                                     \
  KIND template std::vector<std::vector<host_matrix<double>>> explain::attention_patterns(                       \
      const __VA_ARGS__&, std::span<const prompt_pair>, std::span<const explain::head_of_layer>, index_t);

#define TRIMTAB_FAMILY_INSTANCES(KIND, S)                   \
  TRIMTAB_MODEL_INSTANCES(KIND, gpt2<eigen_backend<S>>)     \
  TRIMTAB_MODEL_INSTANCES(KIND, gpt_neox<eigen_backend<S>>) \
  TRIMTAB_MODEL_INSTANCES(KIND, gpt_neox_sequential<eigen_backend<S>>)

namespace trimtab {

namespace detail {
using usual_terms = objective::weighted_sum<objective::effectiveness, objective::faithfulness, objective::minimality>;
using all_terms = objective::weighted_sum<objective::effectiveness, objective::faithfulness, objective::minimality,
                                          objective::retention, objective::norm_preservation>;
}  // namespace detail

TRIMTAB_BACKEND_INSTANCES(extern, float)
TRIMTAB_BACKEND_INSTANCES(extern, double)
TRIMTAB_LIBRARY_POLICY_INSTANCES(extern, float)
TRIMTAB_LIBRARY_POLICY_INSTANCES(extern, double)
TRIMTAB_FAMILY_INSTANCES(extern, float)
TRIMTAB_FAMILY_INSTANCES(extern, double)

}  // namespace trimtab
