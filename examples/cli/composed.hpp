// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"
#include "ranks.hpp"

#include <trimtab/trimtab.hpp>

#include <range/v3/view/transform.hpp>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <utility>

/// Implements the interfaces of model.hpp for one type of model, with any interventions.

namespace trimtab::cli {

/// In policies.hpp.
template <tensor_backend B>
any_policy<B> policy_for(const chosen_at& chosen);

inline auto objective_of(const objective_options& o, double lambda_m) {
  return objective::effectiveness{.margin = o.margin, .shape = o.psi} +
         o.lambda_f * objective::faithfulness{.over = o.kl, .direction = o.kl_direction} +
         lambda_m * objective::minimality{.norm = o.minimality} + o.lambda_r * objective::retention{} +
         o.lambda_n.value_or(0) * objective::norm_preservation{};
}

template <typename T>
host_matrix<double> widened(const host_matrix<T>& from) {
  host_matrix<double> to(from.rows, from.cols);
  std::ranges::copy(from.values, to.values.begin());
  return to;
}

/// The CPU backend that the options ask for.
template <typename T>
eigen_backend<T> backend_for(const common_options& common) {
  return eigen_backend<T>(common.threads > 0 ? common.threads : eigen::available_threads(), common.weights,
                          weights_of_machine());
}

/// The number of a site. Throws `mismatch` for one that the model's blocks lack.
inline std::size_t site_in(const model_config& config, const std::string& name) {
  const auto number = site::find(name);
  if (config.parallel_residual and not site::table[*number].in_parallel_blocks)
    throw error(error_kind::mismatch,
                "the model's blocks are parallel and have no " + name + "; their sites are " + site::names(true));
  return *number;
}

/// The smallest defaults of some policies.
template <typename Range>
fit_defaults least_of(Range&& all) {
  std::optional<fit_defaults> least;
  for (const fit_defaults& one : all) {
    if (not least) least = one;
    least->lambda_m = std::min(least->lambda_m, one.lambda_m);
    least->learning_rate = std::min(least->learning_rate, one.learning_rate);
    least->lambda_m_share = std::min(least->lambda_m_share, one.lambda_m_share);
  }
  return least.value_or(fit_defaults{});
}

template <typename Run>
class run_of final : public any_run {
 public:
  explicit run_of(Run run) : run_(std::move(run)) {}

  index_t step() override { return run_.step(); }
  index_t steps() const override { return run_.steps(); }
  void watch(chunk_watch proceed) override { run_.watch(std::move(proceed)); }
  const loss_values& loss() override { return run_.loss(); }
  fit_state state() override { return run_.state(); }
  parameters values() override { return run_.result().values; }
  std::vector<loss_values> history() override { return run_.result().history; }
  std::vector<std::string> warnings() const override { return run_.warnings(); }

 private:
  Run run_;
};

template <typename Model>
class composition_of final : public any_composition {
 public:
  composition_of(dynamic_steering<Model> s, report::token_names tokens)
      : steering_(std::move(s)), tokens_(std::move(tokens)) {}

  parameter_layout layout(std::span<const prompt_pair> prompts) const override { return steering_.layout(prompts); }
  fit_defaults defaults() const override {
    return least_of(steering_.interventions() |
                    ranges::views::transform([](const auto& i) { return i.policy.defaults(); }));
  }
  bool starts_at_identity() const override {
    return std::ranges::all_of(steering_.interventions(), [](const auto& i) { return i.policy.starts_at_identity(); });
  }

  std::unique_ptr<any_run> start(std::span<const prompt_pair> prompts, const objective_options& objective,
                                 const adam& optimizer, fit_start from, const size_options& size) const override {
    fit_options options{
        .strengths = objective.strengths, .seed = from.seed, .chunk = size.chunk, .batches = size.batches};
    if (from.sigma > 0 and not from.resume_from)
      options.start = random_start(steering_, prompts, from.sigma, from.seed);
    options.resume_from = std::move(from.resume_from);
    auto run = trainer(steering_, objective_of(objective, *objective.lambda_m), optimizer, all_ranks())
                   .start(prompts, options);
    return std::make_unique<run_of<decltype(run)>>(std::move(run));
  }

  bool sweep(std::span<const point_to_fit> points, const objective_options& objective, const adam& optimizer,
             const std::function<void(std::size_t, const parameters&)>& finished,
             const sweep_options& options) const override {
    return trimtab::sweep(
        steering_, replicas_of(points, objective, optimizer),
        [&](std::size_t point, const auto& result) { finished(point, result.values); }, options);
  }
  double lambda_max(std::span<const prompt_pair> prompts, const objective_options& objective, std::uint64_t seed,
                    const size_options& size, const any_communicator& ranks, chunk_watch proceed) const override {
    const fit_options options{
        .strengths = objective.strengths, .seed = seed, .chunk = size.chunk, .batches = size.batches};
    return trainer(steering_, objective_of(objective, 0), adam{}, ranks)
        .lambda_max(prompts, options, std::move(proceed));
  }
  void next_on_paths(std::span<const point_to_fit> points, std::span<const std::optional<parameters>> starts,
                     const objective_options& objective, const adam& optimizer, index_t bytes,
                     const path_options& options, const std::function<void(std::size_t, const std::string&)>& failed,
                     const std::function<void(std::size_t, const path_point&)>& finished) const override {
    auto replicas = replicas_of(points, objective, optimizer);
    std::vector<pass_size> sizes;
    std::vector<index_t> steps;
    for (std::size_t k = 0; k < replicas.size(); ++k) {
      replicas[k].start = starts[k];
      sizes.push_back(size_of_replica(steering_, replicas[k]));
      steps.push_back(*replicas[k].steps);
    }
    auto passes = passes_of(sizes, steps, largest_pass<typename Model::backend_type>(bytes));
    for (std::size_t p = 0; p < passes.size(); ++p) {
      if (options.go_on and not options.go_on()) return;
      auto left = passes[p];
      std::vector<typename decltype(replicas)::value_type> riders;
      for (const std::size_t k : left) riders.push_back(replicas[k]);
      try {
        trimtab::next_on_paths(steering_, std::move(riders), options, [&](std::size_t n, const path_point& point) {
          finished(passes[p][n], point);
          std::erase(left, passes[p][n]);
        });
      } catch (const error& problem) {
        if (problem.kind() != error_kind::bad_argument) throw;
        // The others give the same bits without the one that fails, so each that is left goes on alone.
        if (left.size() == 1)
          failed(left.front(), problem.what());
        else
          for (const std::size_t k : left) passes.push_back({k});
      }
    }
  }
  stationarity stationary(const parameters& values, std::span<const prompt_pair> prompts,
                          const objective_options& objective) const override {
    return stationarity_of(steering_, objective_of(objective, *objective.lambda_m), values, prompts,
                           objective.strengths);
  }
  polished polish(const parameters& values, std::span<const prompt_pair> prompts, const objective_options& objective,
                  const polish_options& options) const override {
    return trimtab::polish(steering_, objective_of(objective, *objective.lambda_m), values, prompts,
                           objective.strengths, options);
  }
  explain::certificate certify(const parameters& values, std::span<const prompt_pair> prompts,
                               const explain::certificate_options& options) const override {
    return explain::certify(steering_, values, prompts, options);
  }

  metrics measure(const parameters& values, std::span<const prompt_pair> prompts,
                  const evaluate_options& options) const override {
    return evaluate(steering_, values, prompts, options);
  }

  report::fit_report describe(const parameters& values, std::span<const report::prompt_set> sets,
                              std::vector<loss_values> history,
                              const report::describe_options& options) const override {
    auto named = options;
    named.token = tokens_;
    return report::describe(steering_, values, sets, std::move(history), named);
  }

  /// Runs some prompts at a time, which bounds the memory; what each gives is added up in their order.
  loss_result loss(const parameters& values, std::span<const prompt_pair> prompts, const objective_options& objective,
                   bool with_gradient, const any_communicator& ranks, index_t memory) const override {
    check_prompts(prompts, steering_.model().config().vocabulary);
    loss_result sum;
    sum.gradient.assign(with_gradient ? values.theta.size() : 0, 0.0);
    // Those to steer and those to stay are means of their own.
    std::vector<prompt_pair> sorted(prompts.begin(), prompts.end());
    // The std:: algorithm, because clang 14 cannot read the subrange that its std::ranges twin returns.
    const auto first_to_stay =
        std::stable_partition(sorted.begin(), sorted.end(), [](const prompt_pair& pair) { return not pair.retained; });
    const std::span<const prompt_pair> steers(sorted.begin(), first_to_stay), stays(first_to_stay, sorted.end());
    const auto of_steered = terms_of(sum.gradient, values, steers, objective, ranks, memory);
    auto difference = of_steered.logit_diffs.begin();
    for (const prompt_terms& one : of_steered.each) {
      sum.effectiveness += one.effectiveness / static_cast<double>(steers.size());
      sum.faithfulness += one.kl / static_cast<double>(steers.size());
      if (objective.hook_terms() > 0)
        sum.norm_preservation = sum.norm_preservation.value_or(0) + one.norm / static_cast<double>(steers.size());
      loss_result::prompt& shown = sum.prompts.emplace_back(loss_result::prompt{.kl = one.kl});
      for (const double strength : objective.strengths) shown.logit_diff[strength] = *difference++;
    }
    for (const prompt_terms& one : terms_of(sum.gradient, values, stays, objective, ranks, memory).each)
      sum.retention = sum.retention.value_or(0) + one.retention / static_cast<double>(stays.size());
    sum.minimality = norm_of(values.layout, values.theta, objective.minimality);
    sum.loss = sum.effectiveness + objective.lambda_f * sum.faithfulness + *objective.lambda_m * sum.minimality +
               objective.lambda_r * sum.retention.value_or(0) +
               objective.lambda_n.value_or(0) * sum.norm_preservation.value_or(0);
    return sum;
  }

  host_matrix<double> logits(const parameters& values, const prompt_pair& prompt, double strength,
                             scored where) const override {
    return widened(steered_logits(steering_, values, std::span(&prompt, 1), strength, where));
  }
  std::vector<generated_text> generate(const parameters& values, std::span<const prompt_pair> prompts,
                                       const generation_options& options) const override {
    return trimtab::generate(steering_, values, prompts, options);
  }
  parameters directions(std::span<const prompt_pair> prompts, std::span<const std::vector<int>> positive,
                        std::span<const std::vector<int>> negative, direction_method method) const override {
    return trimtab::directions(steering_, prompts, positive, negative, method);
  }
  std::vector<folded_place> write_folded(const parameters& values, const fold_options& options,
                                         const io::model_folder& model, const path& folder,
                                         const io::save_options& how) const override {
    if constexpr (std::is_same_v<typename Model::scalar, double>) {
      const folded_weights folded(model, steering_, values, options);
      io::write_pretrained(folder, model, folded, how);
      return folded.places();
    } else {
      throw std::logic_error("weights are folded in double");
    }
  }
  parameters fit_to(const intervention_file& file, load_options options) const override {
    return trimtab::fit_to(file, steering_, options);
  }
  intervention_file make_file(const parameters& values, std::map<std::string, std::string> made) const override {
    return make_intervention_file(steering_, values, std::move(made));
  }

 private:
  auto replicas_of(std::span<const point_to_fit> points, const objective_options& objective,
                   const adam& optimizer) const {
    const auto sum = objective_of(objective, 0);
    std::vector<replica<std::remove_const_t<decltype(sum)>, adam>> replicas;
    for (const auto& point : points)
      replicas.push_back(replica_at(steering_, sum, optimizer, point.at, point.prompts, objective.strengths));
    return replicas;
  }

  /// Means over strengths.
  struct prompt_terms {
    double effectiveness = 0, kl = 0, retention = 0, norm = 0;
  };
  struct terms_of_prompts {
    std::vector<prompt_terms> each = {};
    std::vector<double> logit_diffs = {};  ///< [prompts][strengths]
  };

  /// The terms of prompts that are all to be steered, or all to stay. The ranks share the prompts unless a gradient is asked
  /// for, which is added up in groups of a fixed size.
  terms_of_prompts terms_of(std::vector<double>& gradient, const parameters& values,
                            std::span<const prompt_pair> prompts, const objective_options& objective,
                            const any_communicator& ranks, index_t memory) const {
    const bool with_gradient = not gradient.empty();
    constexpr index_t with_gradient_at_once = 64;
    using T = typename Model::scalar;
    const model_config& config = steering_.model().config();
    const auto& strengths = objective.strengths;
    const auto betas = static_cast<double>(strengths.size());
    const auto terms = objective_of(objective, 0);
    const any_communicator sharing = with_gradient ? any_communicator() : ranks;
    const item_range own = own_share(sharing, std::ssize(prompts));
    terms_of_prompts own_terms;
    for (index_t first = own.first; first < own.last;) {
      const auto left = prompts.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(own.last - first));
      const index_t count = with_gradient ? std::min(with_gradient_at_once, std::ssize(left))
                                          : prompts_that_fit<T>(config, values.layout, left, std::ssize(strengths),
                                                                evaluate_options{}.prompts_at_once, memory);
      const auto some = left.first(static_cast<std::size_t>(count));
      if (with_gradient and memory > 0)
        if (const auto bytes = bytes_of_step<T>(config, values.layout, some, strengths, objective.hook_terms()).total();
            bytes > memory)
          throw error(error_kind::memory, "the gradient of " + std::to_string(count) + " prompts at once takes " +
                                              bytes_text(static_cast<double>(bytes)) + ", more than the " +
                                              bytes_text(static_cast<double>(memory)) +
                                              " that are left for it; give a larger --memory");
      const auto found = with_gradient ? objective_and_gradient(steering_, terms, values, some, strengths)
                                       : objective_at(steering_, terms, values, some, strengths);
      for (std::size_t n = 0; n < some.size(); ++n) {
        // 0 for a term that is left out.
        const auto mean = [&](std::string_view name) {
          double sum_of_strengths = 0;
          for (const term_value& term : found.loss.terms)
            for (std::size_t b = 0; b < strengths.size() and term.name == name; ++b)
              sum_of_strengths += term.per_sequence[b * some.size() + n] / betas;
          return sum_of_strengths;
        };
        own_terms.each.push_back(some[n].retained ? prompt_terms{.retention = mean(objective::retention::text)}
                                                  : prompt_terms{.effectiveness = mean(objective::effectiveness::text),
                                                                 .kl = mean(objective::faithfulness::text),
                                                                 .norm = mean(objective::norm_preservation::text)});
        for (std::size_t b = 0; b < strengths.size(); ++b)
          own_terms.logit_diffs.push_back(found.logit_diffs[b * some.size() + n]);
      }
      const double share = static_cast<double>(some.size()) / static_cast<double>(prompts.size());
      for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] += share * found.gradient[i];
      first += std::ssize(some);
    }
    return {gathered(sharing, std::move(own_terms.each)), gathered(sharing, std::move(own_terms.logit_diffs))};
  }

  dynamic_steering<Model> steering_;
  report::token_names tokens_;
};

template <typename Model>
class model_of final : public any_model {
 public:
  using B = typename Model::backend_type;

  model_of(const path& folder, B backend, io::model_folder_options options)
      : model_(from_pretrained<Model>(folder, std::move(backend), std::move(options))) {}

  const model_config& config() const override { return model_.config(); }
  const text::tokenizer& tokenizer() const override { return model_.tokenizer(); }
  bool has_tokenizer() const override { return model_.has_tokenizer(); }
  const std::string& hash_of_weights() const override { return model_.hash_of_weights(); }
  const io::end_tokens& end_tokens() const override { return model_.end_tokens(); }
  const std::vector<std::string>& warnings() const override { return model_.warnings(); }
  host_matrix<double> logits(const std::vector<int>& ids, scored where) const override {
    return widened(trimtab::logits(static_cast<const Model&>(model_), std::span(&ids, 1), where));
  }

  std::vector<generated_text> generate(std::span<const prompt_pair> prompts,
                                       const generation_options& options) const override {
    return trimtab::generate(static_cast<const Model&>(model_), prompts, options);
  }

  std::unique_ptr<any_composition> compose(const std::vector<chosen_at>& chosen) const override {
    std::vector<any_intervention<B>> interventions;
    for (const auto& one : chosen) {
      interventions.push_back({site_in(config(), one.site), policy_for<B>(one), one.layers, one.positions});
    }
    return std::make_unique<composition_of<Model>>(steer(static_cast<const Model&>(model_), std::move(interventions)),
                                                   report::token_names_of(model_));
  }

  explain::place_map explain(const std::string& method, std::span<const prompt_pair> prompts,
                             const explain::options& chosen) const override {
    const Model& model = model_;
    if (method == "patching") return explain::patching(model, prompts, chosen);
    if (method == "ablation") return explain::ablation(model, prompts, chosen);
    if (method == "direct") return explain::direct_logit(model, prompts, chosen);
    if (method == "logit-lens") return explain::logit_lens(model, prompts, chosen);
    return explain::attribution(model, prompts, chosen);
  }
  explain::ranking_curve curve_of(const explain::place_map& map, std::span<const prompt_pair> prompts,
                                  std::span<const prompt_pair> held_out, const explain::options& chosen,
                                  int random_orders) const override {
    const Model& model = model_;
    return held_out.empty() ? explain::faithfulness_of(model, prompts, map, chosen, random_orders)
                            : explain::faithfulness_on(model, held_out, map, chosen, random_orders);
  }
  std::vector<std::vector<host_matrix<double>>> attention(std::span<const prompt_pair> prompts,
                                                          std::span<const explain::head_of_layer> heads,
                                                          index_t memory) const override {
    return explain::attention_patterns(static_cast<const Model&>(model_), prompts, heads, memory);
  }
  std::vector<std::string> names_of(const position_key& key, std::span<const prompt_pair> prompts) const override {
    return report::common_tokens(model_, key, prompts);
  }

 private:
  pretrained<Model> model_;
};

/// The model of a folder on a backend, whichever its architecture is.
template <tensor_backend B>
std::unique_ptr<any_model> load_on(B backend, const path& folder, const model_config& config,
                                   io::model_folder_options options) {
  if (config.architecture == "gpt2")
    return std::make_unique<model_of<gpt2<B>>>(folder, std::move(backend), std::move(options));
  if (config.parallel_residual)
    return std::make_unique<model_of<gpt_neox<B>>>(folder, std::move(backend), std::move(options));
  return std::make_unique<model_of<gpt_neox_sequential<B>>>(folder, std::move(backend), std::move(options));
}

}  // namespace trimtab::cli
