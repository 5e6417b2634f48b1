// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "study.hpp"

#include <trimtab/io/intervention_tensors.hpp>
#include <trimtab/report/page/describe.hpp>
#include <trimtab/trimtab.hpp>

#include <string>
#include <utility>

/// Both tasks on one model, with the three policies of the paper at its three sites and the library's default settings.

namespace demo {

using namespace trimtab;

template <typename Model, typename Policy>
auto fit(const Model& model, const std::string& label, const task::prompt_sets& prompts, Policy policy) {
  constexpr fit_defaults defaults = defaults_of<Policy>();
  constexpr index_t steps = 200;
  const auto steering =
      steer(model, at(site::attn_out{}, policy), at(site::mlp_out{}, policy), at(site::resid_post{}, policy));
  const auto objective =
      objective::effectiveness{} + 1.0 * objective::faithfulness{} + defaults.lambda_m * objective::minimality{};
  report::progress_bar progress(label, steps);
  return trainer(steering, objective, adam{.learning_rate = defaults.learning_rate})
      .fit(prompts.train, {.steps = steps, .before_step = [&](index_t step, const loss_values& loss) {
                             progress.show(step, "loss " + report::number(loss.total(), 3));
                             return true;
                           }});
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
    add(label, fit(model, name + " " + task + " " + label, prompts, policy), defaults_of<decltype(policy)>());
  };
  study("activ_scalar", policy::activ_scalar{});
  study("steer_vec", policy::steer_vec{});
  study("dyn_scalar", policy::dyn_scalar<policy::gate{.bias = false}>{});
  into.chapters.push_back(std::move(chapter));
}

template <typename Model>
study run_study(const std::string& name) {
  const auto model = from_pretrained<Model>(TRIMTAB_EXAMPLE_MODELS "/" + name);
  study s;
  study_task(model, name, "IOI", task::ioi(model.tokenizer(), {.seed = 1}), s);
  study_task(model, name, "CCC", task::ccc(model.tokenizer(), {.seed = 1}), s);
  return s;
}

}  // namespace demo
