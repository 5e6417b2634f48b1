// SPDX-License-Identifier: Apache-2.0

// The demonstration. It steers a small GPT-2 and a small Pythia, which come with the project, on two tasks with the
// paper's three policies at the paper's three sites and with default settings, measures the interventions on prompts
// with unseen entities, and draws where in the model the answer is decided.
//
//     demo [PAGE.html [FOLDER]]    writes the report, and the intervention files into the folder

#include <trimtab/trimtab.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace trimtab;

namespace {

/// What the demonstration makes: a chapter of the report for each model and task, the intervention files by name, and what is
/// certified of the scalars.
struct results {
  std::vector<report::chapter> chapters = {};
  std::map<std::string, intervention_file> files = {};
  std::string certified = {};
};

/// Which of the places that a fit kept are needed, on its train prompts.
std::string sentence_of(const explain::certificate& found) {
  const auto needed = std::ranges::count_if(found.leave_one_out, &explain::left_out::necessary);
  const auto enough = found.subsets.smallest.front().size();
  return report::counted(found.places.size(), "activation") + " kept, " + std::to_string(needed) +
         " of them needed for " + report::number(100 * found.target, 0) + " % of the flip rates; " +
         (found.subsets.exact ? "" : "at most ") + std::to_string(enough) + " would do for that.\n";
}

/// A fit with the usual share of λ_max, and the weight of minimality that this is. Composes the interventions at run time, so
/// that the three policies share the code that is compiled for a model.
template <tensor_backend B, model_architecture A>
auto fit(const transformer<B, A>& model, const std::string& label, const task::prompt_sets& prompts,
         any_policy<B> policy, position_key by) {
  const fit_defaults defaults = policy.defaults();
  constexpr index_t steps = 200;
  std::vector<any_intervention<B>> interventions;
  for (const auto site : {"attn_out", "mlp_out", "resid_post"})
    interventions.push_back({*site::find(site), policy, layers::all(), by});
  const auto steering = steer(model, std::move(interventions));
  const auto objective_with = [](double lambda_m) {
    return objective::effectiveness{} + 1.0 * objective::faithfulness{} + lambda_m * objective::minimality{};
  };
  const double lambda_m = defaults.lambda_m_share * trainer(steering, objective_with(0)).lambda_max(prompts.train);
  report::progress_bar progress(label, steps);
  auto run =
      trainer(steering, objective_with(lambda_m), adam{.learning_rate = defaults.learning_rate}).start(prompts.train);
  while (run.steps() < steps) {
    progress.show(run.steps() + 1, "loss " + report::number(run.loss().total(), 3));
    run.step();
  }
  return std::pair(run.result(), lambda_m);
}

template <typename Model>
void study_task(const Model& model, const report::token_names& tokens, const std::string& name, const std::string& task,
                const task::prompt_sets& prompts, results& into) {
  report::chapter chapter{name + " " + task, {}};
  const auto add = [&](const std::string& policy, const auto& result, double learning_rate, double lambda_m) {
    const std::string rate = report::exact(learning_rate), weight = report::exact(lambda_m);
    chapter.fits.push_back(report::describe(
        result, prompts,
        {.name = policy,
         .asked = {{"model", name}, {"task", task}, {"seed", "1"}, {"learning rate", rate}, {"lambda_m", weight}},
         .token = tokens}));
    into.files[name + "-" + task + "-" + policy] = make_intervention_file(
        result.steering, result.values,
        {{"task", task == "IOI" ? "ioi" : "ccc"}, {"seed", "1"}, {"learning_rate", rate}, {"lambda_m", weight}});
  };
  const auto study = [&](const std::string& label, auto policy) {
    using P = decltype(policy);
    const auto [result, lambda_m] = fit(model, name + " " + task + " " + label, prompts,
                                        any_policy<typename Model::backend_type>(policy), default_positions<P>());
    add(label, result, defaults_of<P>().learning_rate, lambda_m);
    if constexpr (std::is_same_v<P, policy::activ_scalar>)
      into.certified += name + " " + task + ": " + sentence_of(explain::certify(result, prompts.train));
  };
  study("activ_scalar", policy::activ_scalar{});
  study("steer_vec", policy::steer_vec{});
  study("dyn_scalar", policy::dyn_scalar<gate::linear<gate::bias::none>>{});
  into.chapters.push_back(std::move(chapter));
}

template <typename Model>
void study_model(const std::string& name, results& into) {
  const auto stored = from_pretrained<Model>(TRIMTAB_EXAMPLE_MODELS "/" + name);
  const Model& model = stored;
  const auto tokens = report::token_names_of(stored);
  study_task(model, tokens, name, "IOI", task::ioi(stored.tokenizer(), {.seed = 1}), into);
  study_task(model, tokens, name, "CCC", task::ccc(stored.tokenizer(), {.seed = 1}), into);
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string path = argc > 1 ? argv[1] : "trimtab-demo.html";

  results found;
  study_model<gpt2<eigen_backend<float>>>("tiny-gpt2", found);
  study_model<gpt_neox<eigen_backend<float>>>("tiny-pythia", found);
  if (argc > 2)
    for (const auto& [name, file] : found.files) {
      std::filesystem::create_directories(argv[2]);
      io::write_intervention(std::filesystem::path(argv[2]) / (name + ".safetensors"), file);
    }

  report::table table(report::metrics_header("model, task, policy, prompts"));
  for (const report::chapter& chapter : found.chapters) {
    for (const report::fit_report& fit : chapter.fits)
      for (const report::measured_set& set : fit.sets) {
        // The untouched model's row comes before the first fit that was measured on this set.
        const bool first = std::ranges::none_of(chapter.fits.data(), &fit, [&](const report::fit_report& other) {
          return std::ranges::count(other.sets, set.name, &report::measured_set::name) > 0;
        });
        if (first) table.add(report::untouched_row(chapter.title + " untouched, " + set.name, set.measured));
        report::add_metrics(table, chapter.title + " " + fit.name + ", " + set.name, set.measured, fit.counts);
      }
    table.rule();
  }
  std::cout
      << table.text()
      << "\nflip: how often the steered model prefers the answer that the strength points at; both: at +1 and at -1; "
         "diff: mean\n"
         "logit difference, correct minus wrong; KL: of the steered from the untouched model, without the two answers "
         "and with\n"
         "them; top kept: how often the best other token stays the best; nonzero: parameters left, of so many.\n\n"
         "What is certified of the scalars, on their train prompts:\n"
      << found.certified << '\n';
  report::write_html(path, "Where the answer is decided", found.chapters);
  std::cout << "the report with its heat maps: " << path << '\n';
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
