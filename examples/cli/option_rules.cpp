// SPDX-License-Identifier: Apache-2.0

#include "option_rules.hpp"

#include "like.hpp"
#include "option_groups.hpp"
#include "option_values.hpp"

#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <utility>

namespace trimtab::cli {

namespace {

/// Throws for options that do not go together, and gives --test its meaning.
void require_data(data_options& data, files_in_use& files) {
  if (data.task.empty() == data.train.empty())
    throw usage_error("prompts come either from --task or from --data; give one of the two");
  if (data.task.empty() and (data.train_count or data.shape.is_chosen()))
    throw usage_error("--train, --templates and --lengths go with --task");
  if (data.task.empty() and data.test_count) throw usage_error("--test N goes with --task; a file has its prompts");
  if (data.test_text.empty()) return;
  if (data.task.empty()) {
    data.test = data.test_text;
    files.inputs.push_back({"--test", data.test});
    return;
  }
  data.test_count = number<int>(data.test_text);
  if (not data.test_count)
    throw usage_error("--test goes with --data as a file; with --task it is the number of test prompts");
  if (*data.test_count < 0 or *data.test_count > task::prompt_limit)
    refuse("--test", data.test_text, "a number of prompts from 0 to " + std::to_string(task::prompt_limit));
}

/// Throws `usage_error` for options that do not go together.
void require_consistent(const generate_command& c) {
  if (int{c.prompt.has_value()} + int{not c.ids.empty()} + int{not c.prompts.empty()} != 1)
    throw usage_error("give one of --prompt, --ids and --prompts");
  if (c.steer.strength and not c.strengths.empty()) throw usage_error("give either --strength or --strengths");
  if (not c.steer.intervention.empty()) return;
  if (not c.strengths.empty()) throw usage_error("--strengths goes with --intervention");
  if (c.positions.phase != steered_phase::all) throw usage_error("--phase goes with --intervention");
  if (c.positions.as_processed) throw usage_error("--as-processed goes with --intervention");
}

/// Throws for options of `explain` that do not belong to the methods; `all` becomes their names.
void take_methods(explain_command& command, const CLI::App& app) {
  auto& methods = command.methods;
  const auto has = [&](const std::string& method) { return std::ranges::find(methods, method) != methods.end(); };
  if (command.all_methods) {
    const bool attends = has("attention");
    methods = scoring_methods;
    if (attends) methods.push_back("attention");
  }
  const auto given = [&](const char* option) { return app.get_option(option)->count() > 0; };
  if (has("attention")) {
    if (methods.size() > 1) throw usage_error("attention scores no places; leave out the other --method");
    if (command.heads.empty()) throw usage_error("--method attention needs --heads, such as 5.1,9.6");
    for (const auto* option : {"--sites", "--layers", "--positions", "--roles", "--per-head", "--metric", "--against",
                               "--curve", "--holdout"})
      if (given(option)) throw usage_error(std::string(option) + " does not go with --method attention");
  } else if (not command.heads.empty()) {
    throw usage_error("--heads goes with --method attention");
  }
  const auto belongs = [&](const char* option, const std::vector<std::string>& owners) {
    if (given(option) and std::ranges::none_of(owners, has))
      throw usage_error(std::string(option) + " goes with --method " + text::joined(owners, " or "));
  };
  belongs("--direction", {"patching", "attribution-patching"});
  belongs("--ablate", {"ablation"});
  belongs("--ig-steps", {"integrated"});
  belongs("--ig-rule", {"integrated"});
  if (not command.roles.empty() and command.positions != "role")
    throw usage_error("--roles goes with --positions role");
  if (not command.holdout.empty()) command.curve = true;
}

/// Throws `usage_error` for options that do not go with the method; vectors by statistics are the default of theirs.
void take_method(fit_command& c, const CLI::App& app) {
  const bool by_statistics = c.method != "gradient";
  if (c.positive.empty() != c.negative.empty()) throw usage_error("--positive and --negative go together");
  if (not by_statistics and not c.positive.empty())
    throw usage_error("--positive and --negative go with --method mean-difference or pca");
  if (not by_statistics) return;
  for (const auto* option :
       {"--lr", "--warmup", "--cosine", "--steps", "--epochs", "--batch-size", "--chunk", "--subgradient", "--init",
        "--polish", "--plan", "--retain", "--trace", "--checkpoint", "--resume"})
    if (app.get_option(option)->count() > 0) throw usage_error(std::string(option) + " goes with --method gradient");
  if (app.get_option("--policy")->count() == 0) c.policy = policy::steer_vec::text;
}

}  // namespace

void require_consistent(command_line& line, description& d) {
  const CLI::App& app = d.app;
  fit_command* const fits = line.name == "fit" ? &line.fit : line.name == "sweep" ? &line.sweep.fit : nullptr;
  if (fits != nullptr) {
    require_data(fits->data, d.files);
    fits->given = given_in(d, *command_of(app, line.name));
    fits->command = line.name;
    if (std::ranges::all_of(fits->objective.strengths, [](double beta) { return beta == 0; }))
      throw usage_error("--strengths has only 0, at which nothing is steered; give at least one other");
  }
  if (fits != nullptr and fits->data.retain.empty() and
      command_of(app, line.name)->get_option("--lambda-r")->count() > 0)
    throw usage_error("--lambda-r goes with --retain, the file of the prompts that are to stay as they are");
  if (line.name == "fit") take_method(line.fit, *command_of(app, "fit"));
  if (line.fit.polish_steps > 0 and not line.fit.polish) throw usage_error("--polish-steps goes with --polish");
  if (line.name == "certify") {
    require_data(line.certify.data, d.files);
    if (line.certify.polish_steps > 0 and not line.certify.polish)
      throw usage_error("--polish-steps goes with --polish");
    if (not line.certify.out.empty() and not line.certify.polish)
      throw usage_error("--out goes with --polish, which changes the intervention");
  }
  for (const auto& [command, objective] :
       {std::pair("eval", &line.eval.objective), std::pair("loss", &line.loss.objective),
        std::pair("certify", &line.certify.objective)})
    if (line.name == command)
      for (const auto& option : given_in(d, *command_of(app, command))) objective->given.insert(option.name);
  if (line.name == "eval") require_data(line.eval.data, d.files);
  if (line.name == "loss") {
    require_data(line.loss.data, d.files);
    if (not line.loss.data.test_text.empty()) throw usage_error("loss is of train prompts; leave out --test");
  }
  if (line.name == "task") {
    auto& data = line.task.data;
    if (data.task.empty() == data.train.empty())
      throw usage_error("prompts come either from a task, ioi or ccc, or from --data; give one of the two");
    if (data.task.empty() and data.shape.is_chosen())
      throw usage_error("--templates and --lengths go with a task, not with --data");
  }
  if (line.name == "explain") {
    require_data(line.explain.data, d.files);
    take_methods(line.explain, *command_of(app, "explain"));
  }
  if (line.name == "report") {
    auto& data = line.report.data;
    if (not data.task.empty() or not data.train.empty() or not data.test_text.empty()) require_data(data, d.files);
    if (line.report.out.empty() and line.report.heatmap.file.empty())
      throw usage_error("report needs --out PAGE.html, --heatmap FILE, or both");
  }
  if (line.name == "fit" and line.fit.size.epochs > 0 and command_of(app, "fit")->get_option("--steps")->count() == 0)
    line.fit.steps = most_steps;  // the epochs end the fit
  if (fits != nullptr and not fits->at.empty())
    for (const auto* option :
         {"--policy", "--sites", "--layers", "--positions", "--roles", "--no-bias", "--gate", "--inner", "--rank"})
      if (command_of(app, line.name)->get_option(option)->count() > 0)
        throw usage_error(std::string("--at replaces ") + option + "; give only one of the two");
  if (fits != nullptr and line.sweep.policies.empty())
    for (const auto& [option, value] : fits->variant)
      if (policy::values_of(fits->policy, option).empty()) {
        std::vector<std::string> owners;
        for (const auto& one : policy_words())
          if (not policy::values_of(one, option).empty()) owners.push_back(one);
        throw usage_error((option == "bias" ? "--no-bias" : "--" + option) + " goes with --policy " +
                          text::joined(owners, " or ") + "; " + fits->policy + " has no such option");
      }
  if (fits != nullptr and not fits->roles.empty() and fits->positions != "role")
    throw usage_error("--roles goes with --positions role");
  if (line.name == "sweep") {
    const auto& c = line.sweep;
    if (command_of(app, "sweep")->get_option("--init-seed")->count() > 0)
      throw usage_error("in a sweep the seed of the data is that of --init, too; leave out --init-seed");
    if (not fits->at.empty() and not(c.policies.empty() and c.positions.empty()))
      throw usage_error(
          "--at says which policies and positions there are; leave out --vary policy and --vary positions");
    const auto given = [&](const std::string& option) {
      const auto* const found = option_of(*command_of(app, "sweep"), option);
      return found != nullptr and found->count() > 0;
    };
    if (c.path_values == 0 and given("--path-end")) throw usage_error("--path-end goes with --path");
    if (c.path_values > 0 and not c.axes.lambda_m.empty())
      throw usage_error("--path varies the weight of minimality; leave out --vary lambda-m");
    if (c.path_values > 0 and not(c.axes.steps.empty() and c.axes.start.empty() and fits->init == 0))
      throw usage_error("a path starts from the identity and ends its fits itself; leave out --vary start and steps");
    if (c.path_values > 0 and c.path_end >= 1)
      throw usage_error("--path-end is a share of the largest weight, below 1");
    if (not c.holdout.empty() and not fits->data.task.empty())
      throw usage_error("--holdout goes with --data; a task has fresh prompts of its own");
  }
  if (line.name == "fit" and line.fit.checkpoint.empty() and
      line.fit.checkpoint_every != fit_command{}.checkpoint_every)
    throw usage_error("--checkpoint-every goes with --checkpoint, the file to write");
  for (const auto& steer : {line.logits.steer, line.generate.steer})
    if (steer.strength and steer.intervention.empty()) throw usage_error("--strength goes with --intervention");
  if (line.name == "generate") require_consistent(line.generate);
  using enum arithmetic;
  const auto precision = line.common.precision;
  if (line.common.backend == machine::eigen and (precision == in_tf32 or precision == in_bf16))
    throw usage_error("--precision " + precision_name(precision) + " goes with --backend cuda");
  if (line.common.backend == machine::cuda and precision == in_double)
    throw usage_error("--precision double goes with --backend eigen; cuda computes in float, tf32 or bf16");
  if (const auto weights = line.common.weights;
      line.common.backend == machine::cuda and (weights == weight_type::float16 or weights == weight_type::bfloat16))
    throw usage_error("--weights float16 and bfloat16 go with --backend eigen; --precision bf16 is cuda's");
  if (line.name == "bake" and line.common.weights != weight_type::as_in_file)
    throw usage_error("bake reads the weights as they are stored; --dtype says in which type it writes them");
  if (line.name == "bake" and (line.common.backend == machine::cuda or precision != in_float))
    throw usage_error("bake computes in double on the CPU; leave out --backend and --precision");
  if (not line.import_from.producer.empty() and line.import_from.format != "gguf")
    throw usage_error("--producer goes with --format gguf");
  for (const auto& [command, option] :
       {std::pair("eval", "--per-prompt"), {"explain", "--per-prompt"}, {"generate", "--logprobs"}})
    if (line.name == command and not line.common.json and command_of(app, command)->get_option(option)->count() > 0 and
        not line.explain.writes_all_attention())
      throw usage_error(std::string(option) + " adds to the JSON; give --json" +
                        (line.name == "eval" ? ", or --per-prompt-csv FILE for a table" : ""));
  if (line.name == "logits" and line.logits.prompt.has_value() != line.logits.ids.empty())
    throw usage_error("give either --prompt or --ids");
  for (const auto& [picture, command] :
       {std::pair(&line.fit.heatmap, "fit"), std::pair(&line.explain.heatmap, "explain"),
        std::pair(&line.report.heatmap, "report")})
    if (line.name == command and picture->width and picture->file.empty())
      throw usage_error("--heatmap-width goes with --heatmap, the file to write");
}

}  // namespace trimtab::cli
