// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>
#include <trimtab/io/huggingface/from_pretrained.hpp>
#include <trimtab/io/intervention_tensors.hpp>
#include <trimtab/text/nearest_name.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <tuple>
#include <utility>

/// The compile-time compositions behind the command line: for one type of model, each policy at every site that the
/// architecture has. A site that was not asked for has no layers and does nothing, so sites need no choice of types.

namespace trimtab::cli {

inline auto objective_of(const objective_options& o, double lambda_m) {
  return objective::effectiveness{.margin = o.margin, .shape = o.psi} +
         o.lambda_f * objective::faithfulness{.over = o.kl, .direction = o.kl_direction} +
         lambda_m * objective::minimality{.norm = o.minimality};
}

template <typename T>
host_matrix<double> widened(const host_matrix<T>& from) {
  host_matrix<double> to(from.rows, from.cols);
  std::ranges::copy(from.values, to.values.begin());
  return to;
}

/// As many threads as the machine has unless the user says otherwise.
template <typename T>
eigen_backend<T> backend_with(int threads) {
  return threads > 0 ? eigen_backend<T>(threads) : eigen_backend<T>();
}

template <typename Steering>
class composition_of;

template <typename Model, typename... Interventions>
class composition_of<steering<Model, Interventions...>> final : public any_composition {
 public:
  explicit composition_of(steering<Model, Interventions...> s) : steering_(std::move(s)) {}

  /// All sites have the same policy.
  fit_defaults defaults() const override {
    using first = std::tuple_element_t<0, std::tuple<Interventions...>>;
    return defaults_of<typename first::policy_type>();
  }

  fit_result fit(std::span<const prompt_pair> prompts, const objective_options& objective, const adam& optimizer,
                 const fit_options& options) const override {
    auto result = trainer(steering_, objective_of(objective, *objective.lambda_m), optimizer).fit(prompts, options);
    return {std::move(result.values), std::move(result.history), result.interrupted};
  }

  metrics measure(const parameters& values, std::span<const prompt_pair> prompts,
                  const evaluate_options& options) const override {
    return evaluate(steering_, values, prompts, options);
  }

  report::fit_report describe(const parameters& values, std::span<const report::prompt_set> sets,
                              std::vector<loss_values> history,
                              const report::describe_options& options) const override {
    return report::describe(steering_, values, sets, std::move(history), options);
  }

  /// In pieces of some prompts, which bounds the memory: the loss is a mean over prompts.
  loss_result loss(const parameters& values, std::span<const prompt_pair> prompts, const objective_options& objective,
                   bool with_gradient) const override {
    constexpr std::size_t at_once = 64;
    check_prompts(prompts, steering_.model().config().vocabulary);
    check_strengths(objective.strengths);
    loss_result sum;
    sum.gradient.assign(with_gradient ? values.theta.size() : 0, 0.0);
    for (std::size_t first = 0; first < prompts.size(); first += at_once) {
      const auto some = prompts.subspan(first, std::min(at_once, prompts.size() - first));
      add(sum, values, some, objective, static_cast<double>(some.size()) / static_cast<double>(prompts.size()));
    }
    sum.minimality = norm_of(values.layout, values.theta, objective.minimality);
    sum.loss = sum.effectiveness + objective.lambda_f * sum.faithfulness + *objective.lambda_m * sum.minimality;
    return sum;
  }

  host_matrix<double> logits(const parameters& values, const prompt_pair& prompt, double strength,
                             scored where) const override {
    return widened(steered_logits(steering_, values, std::span(&prompt, 1), strength, where));
  }
  parameters fit_to(const intervention_file& file) const override { return trimtab::fit_to(file, steering_); }
  intervention_file make_file(const parameters& values, std::map<std::string, std::string> made) const override {
    return make_intervention_file(steering_, values, std::move(made));
  }

 private:
  void add(loss_result& sum, const parameters& values, std::span<const prompt_pair> prompts,
           const objective_options& objective, double share) const {
    const bool with_gradient = not sum.gradient.empty();
    const auto& backend = steering_.model().backend();
    const auto count = static_cast<index_t>(prompts.size());
    const auto& strengths = objective.strengths;
    steered run(steering_, values.layout, prompts, every_strength(count, strengths), 1,
                with_gradient ? tape_use::forward_and_backward : tape_use::forward_only);
    using trimtab::loss;  // nvcc 13 forgets a namespace that is named beside a class whose arguments are deduced
    const loss terms(backend, objective_of(objective, 0), prompts, run.sequences());
    load(backend, values.theta, run.theta());
    const auto logits = run.forward();
    const auto found = terms.values(logits, run.reference().logits(), values.layout, values.theta).front();
    sum.effectiveness += share * found.terms[0].value;
    sum.faithfulness += share * found.terms[1].value;

    const auto rows = backend.download(logits);
    for (index_t n = 0; n < count; ++n) {
      const prompt_pair& p = prompts[static_cast<std::size_t>(n)];
      loss_result::prompt one;
      for (std::size_t b = 0; b < strengths.size(); ++b) {
        const auto sequence = static_cast<index_t>(b) * count + n;
        one.logit_diff[strengths[b]] =
            static_cast<double>(rows(sequence, p.correct_id)) - static_cast<double>(rows(sequence, p.wrong_id));
        one.kl +=
            found.terms[1].per_sequence[static_cast<std::size_t>(sequence)] / static_cast<double>(strengths.size());
      }
      sum.prompts.push_back(std::move(one));
    }
    if (not with_gradient) return;
    terms.gradient(logits, run.reference().logits(), run.d_logits());
    run.backward();
    const auto gradient = backend.download(run.gradient());
    for (std::size_t i = 0; i < sum.gradient.size(); ++i)
      sum.gradient[i] += share * static_cast<double>(gradient.values[i]);
  }

  steering<Model, Interventions...> steering_;
};

template <typename Model>
class model_of final : public any_model {
 public:
  model_of(const path& folder, typename Model::backend_type backend, io::model_folder_options options)
      : model_(folder, std::move(backend), std::move(options)) {}

  const model_config& config() const override { return model_.config(); }
  const text::tokenizer& tokenizer() const override { return model_.tokenizer(); }
  bool has_tokenizer() const override { return model_.has_tokenizer(); }
  std::string weights_hash() const override { return model_.weights_hash(); }
  host_matrix<double> logits(const std::vector<int>& ids, scored where) const override {
    return widened(trimtab::logits(model_, std::span(&ids, 1), where));
  }

  std::unique_ptr<any_composition> compose(const composition_choice& choice) const override {
    const auto with = [&](auto policy) { return with_policy(policy, choice); };
    if (choice.policy == "activ-scalar") return with(policy::activ_scalar{});
    if (choice.policy == "steer-vec") return with(policy::steer_vec{});
    if (choice.policy == "affine") return with(policy::affine{});
    if (choice.policy == "dyn-scalar" and choice.bias) return with(policy::dyn_scalar<>{});
    if (choice.policy == "dyn-scalar") return with(policy::dyn_scalar<policy::gate{.bias = false}>{});
    const std::vector<std::string> known = {"activ-scalar", "steer-vec", "dyn-scalar", "affine"};
    throw error(error_kind::bad_argument,
                "the policy " + text::in_quotes(choice.policy, '\'') +
                    " is none of this program's: activ-scalar, steer-vec, dyn-scalar and affine" +
                    did_you_mean(choice.policy, known));
  }

 private:
  template <typename Policy>
  std::unique_ptr<any_composition> with_policy(Policy policy, const composition_choice& choice) const {
    for (const auto& [site, layers] : choice.sites)
      if (config().parallel_residual and not io::find_site(site)->in_parallel_blocks)
        throw error(error_kind::mismatch, "the model's blocks are parallel and have no " + site + "; their sites are " +
                                              io::site_names(true));
    const auto compose = [&](auto... sites) {
      return steer(model_, at(sites, policy, layers_at(sites, choice), choice.positions)...);
    };
    auto composition = [&] {
      using namespace site;
      if constexpr (exposes<resid_mid, Model::architecture::residual>)
        return compose(resid_pre{}, attn_z{}, attn_out{}, resid_mid{}, mlp_post{}, mlp_out{}, resid_post{});
      else
        return compose(resid_pre{}, attn_z{}, attn_out{}, mlp_post{}, mlp_out{}, resid_post{});
    }();
    return std::make_unique<composition_of<decltype(composition)>>(std::move(composition));
  }

  template <typename Site>
  static layer_set layers_at(Site, const composition_choice& choice) {
    const auto chosen = choice.sites.find(std::string(Site::text));
    return chosen == choice.sites.end() ? layers::none() : chosen->second;
  }

  pretrained<Model> model_;
};

}  // namespace trimtab::cli
