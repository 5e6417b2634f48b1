// SPDX-License-Identifier: Apache-2.0

#include "study.hpp"

#include <trimtab/trimtab.hpp>

#include <string>
#include <utility>

// Both tasks on one model, with the three policies of the paper at the paper's three sites, and default settings.

namespace demo {

using namespace trimtab;

namespace {

/// Composes the interventions at run time, so that the three policies share the code that is compiled for a model.
template <tensor_backend B, model_architecture A>
auto fit(const transformer<B, A>& model, const std::string& label, const task::prompt_sets& prompts,
         any_policy<B> policy, position_key by) {
  const fit_defaults defaults = policy.defaults();
  constexpr index_t steps = 200;
  std::vector<any_intervention<B>> interventions;
  for (const auto site : {"attn_out", "mlp_out", "resid_post"})
    interventions.push_back({*site::find(site), policy, layers::all(), by});
  const auto steering = steer(model, std::move(interventions));
  const auto objective =
      objective::effectiveness{} + 1.0 * objective::faithfulness{} + defaults.lambda_m * objective::minimality{};
  report::progress_bar progress(label, steps);
  auto run = trainer(steering, objective, adam{.learning_rate = defaults.learning_rate}).start(prompts.train);
  while (run.steps() < steps) {
    progress.show(run.steps() + 1, "loss " + report::number(run.loss().total(), 3));
    run.step();
  }
  return run.result();
}

template <typename Model>
void study_task(const Model& model, const std::string& name, const std::string& task, const task::prompt_sets& prompts,
                study& into) {
  report::chapter chapter{name + " " + task, {}};
  const auto add = [&](const std::string& policy, const auto& result, fit_defaults defaults) {
    const std::string rate = report::exact(defaults.learning_rate);
    chapter.fits.push_back(report::describe(
        result, prompts,
        {.name = policy, .asked = {{"model", name}, {"task", task}, {"seed", "1"}, {"learning rate", rate}}}));
    into.files[name + "-" + task + "-" + policy] =
        make_intervention_file(result.steering, result.values,
                               {{"task", task == "IOI" ? "ioi" : "ccc"}, {"seed", "1"}, {"learning_rate", rate}});
  };
  const auto study = [&](const std::string& label, auto policy) {
    using P = decltype(policy);
    add(label,
        fit(model, name + " " + task + " " + label, prompts, any_policy<typename Model::backend_type>(policy),
            default_positions<P>()),
        defaults_of<P>());
  };
  study("activ_scalar", policy::activ_scalar{});
  study("steer_vec", policy::steer_vec{});
  study("dyn_scalar", policy::dyn_scalar<policy::gate{.bias = false}>{});
  into.chapters.push_back(std::move(chapter));
}

template <typename Model>
study run_study(const std::string& name) {
  const auto stored = from_pretrained<Model>(TRIMTAB_EXAMPLE_MODELS "/" + name);
  const Model& model = stored;
  study s;
  study_task(model, name, "IOI", task::ioi(stored.tokenizer(), {.seed = 1}), s);
  study_task(model, name, "CCC", task::ccc(stored.tokenizer(), {.seed = 1}), s);
  return s;
}

}  // namespace

study study_tiny_gpt2() { return run_study<gpt2<eigen_backend<float>>>("tiny-gpt2"); }
study study_tiny_pythia() { return run_study<gpt_neox<eigen_backend<float>>>("tiny-pythia"); }

}  // namespace demo
