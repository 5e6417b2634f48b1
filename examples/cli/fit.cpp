// SPDX-License-Identifier: Apache-2.0

#include "asked.hpp"
#include "check.hpp"
#include "commands.hpp"
#include "contrasts.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "interrupt.hpp"
#include "memory.hpp"
#include "plan.hpp"
#include "provenance.hpp"
#include "ranks.hpp"
#include "report.hpp"
#include "talk.hpp"

#include <trimtab/core/version.hpp>
#include <trimtab/io/checkpoint_file.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/measure/diagnosis.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/report/terminal/terminal_map.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

/// `trimtab fit`: learns an intervention, measures it, and writes it to a file.

namespace trimtab::cli {

namespace {

/// For an interrupted fit: where what it learned is, and how to continue.
std::string places_of(const fit_command& command) {
  std::string places;
  if (not command.out.empty()) places += "; what it learned is in '" + command.out.string() + "'";
  if (not command.checkpoint.empty()) places += "; --resume '" + command.checkpoint.string() + "' continues from there";
  return places.empty() ? "; without --out and --checkpoint nothing is kept" : places;
}

ordered_json terms_of(const loss_values& values) {
  ordered_json terms = {{"loss", values.total()}};
  for (const auto& term : values.terms) terms[term.name] = term.value;
  return terms;
}

/// The sets that are measured after the fit: all, but after SIGTERM or SIGHUP, which leave little time, those that take
/// no longer than a second. A pass over a prompt takes at most its share of a step.
std::vector<named_prompts> quickly_measured(const std::vector<named_prompts>& sets, double seconds, index_t steps,
                                            const objective_options& objective) {
  if (interrupt_watch::status_of(interrupt_watch::signal()) == 0) return sets;
  const auto of_one_pass = seconds / static_cast<double>(std::max<index_t>(steps, 1)) /
                           static_cast<double>(sets.front().pairs.size() * objective.strengths.size());
  std::vector<named_prompts> quick;
  for (const auto& set : sets) {
    const auto passes = static_cast<double>(set.pairs.size() * (objective.strengths.size() + 1));
    if (of_one_pass * passes <= 1)
      quick.push_back(set);
    else
      tell("the " + std::to_string(set.pairs.size()) + " prompts of '" + set.name + "' are not measured after " +
           interrupt_watch::name_of(interrupt_watch::signal()) +
           "; --measure-anyway asks for it, and eval does it later");
  }
  return quick;
}

/// What a fit is judged by. λ_max is looked for where everything is zero, and stays unknown where there is none.
fit_outcome outcome_of(const parameters& values, const std::vector<loss_values>& history, const metrics& train,
                       const objective_options& objective, const std::vector<prompt_pair>& prompts,
                       const any_composition& composition, std::optional<double> lambda_max, std::uint64_t seed,
                       const size_options& size) {
  fit_outcome outcome{.history = history,
                      .counts = count_parameters(values),
                      .train = train,
                      .lambda_m = *objective.lambda_m,
                      .lambda_max = lambda_max};
  if (outcome.counts.nonzero_parameters == 0 and not lambda_max and composition.starts_at_identity())
    outcome.lambda_max = composition.lambda_max(prompts, objective, seed, size);
  return outcome;
}

/// λ_max, which takes a step's work: with a bar where that is in chunks.
double largest_weight(const any_composition& composition, const std::vector<prompt_pair>& prompts,
                      const objective_options& objective, std::uint64_t seed, const size_options& size,
                      const common_options& common) {
  std::optional<report::progress_bar> bar;
  return composition.lambda_max(prompts, objective, seed, size, all_ranks(), [&](const chunk_progress& now) {
    if (now.chunks > 1 and not bar) bar.emplace("largest weight of minimality", now.chunks, not common.quiet);
    if (bar) bar->show(now.done);
    return true;
  });
}

/// A heat map for every site with at least one layer, for the terminal, with the names of the places of prompts. Those
/// of one policy share a scale.
std::string maps_of(const parameters& values, const any_model& model, const std::vector<prompt_pair>& prompts) {
  std::vector<report::map_group> by_policy;
  for (const parameter_block& block : values.layout.blocks) {
    if (block.layers.empty()) continue;
    auto map = report::map_of(values, block, model.names_of(block.positions, prompts));
    if (block.record_size > 1) map.title += ", the Euclidean norm of each place's parameters";
    auto group = std::ranges::find(by_policy, block.policy, &report::map_group::title);
    if (group == by_policy.end()) group = by_policy.insert(group, {.title = block.policy});
    group->maps.push_back(report::in_reading_order(map, block.positions));
  }
  std::string text;
  for (const auto& group : by_policy)
    text += report::text_of(group, report::wants_colour(STDOUT_FILENO), report::width_of(STDOUT_FILENO));
  return text;
}

/// Writes the pages and pictures that were asked for, and adds the maps for the terminal, whose places have the names
/// of `prompts`.
void show(const fit_command& command, const common_options& common, const any_model& model,
          const any_composition& composition, const parameters& values, const std::vector<named_prompts>& sets,
          const std::vector<prompt_pair>& prompts, const std::vector<loss_values>& history,
          const std::map<std::string, std::string>& made, const std::vector<std::string>& warnings, output& to) {
  if (not command.report.empty() or not command.heatmap.file.empty()) {
    const auto name = policies_of(asked_by(command));
    write_reports({describe(composition, values, sets, command.data.task, history, name, made, warnings)},
                  name + " on " + name_of(command.model), command.report, command.heatmap);
  }
  if (not common.quiet) to.text += maps_of(values, model, prompts);
}

/// Adds the line that repeats a fit, and with --like whether its bits are those of the file.
void tell_how_to_repeat(const fit_command& command, const common_options& common, const intervention_file& file,
                        output& to) {
  const auto line = line_that_repeats(file.made, command.out.string());
  to.json["repeat"] = line;
  if (not command.like.empty()) {
    const auto compared = compare_with(command.like, file);
    to.json["same_bits"] = compared.same_bits;
    to.text += compared.sentence + "\n";
  }
  if (not common.quiet) to.text += "repeat it: " + line + "\n";
}

/// Vectors by statistics.
output fit_directions(const fit_command& command, const common_options& common, const any_model& model,
                      const any_composition& composition, const std::vector<named_prompts>& sets,
                      const objective_options& objective, std::map<std::string, std::string> made) {
  const auto& train = sets.front().pairs;
  const auto contrast = contrasts_of(command, model, train);
  const auto values = composition.directions(
      train, contrast.positive, contrast.negative,
      command.method == "pca" ? direction_method::principal_component : direction_method::mean_difference);
  made["method"] = command.method;
  add_provenance(command, sets, common, made);
  if (not command.positive.empty())
    made["positive"] = command.positive.string(), made["negative"] = command.negative.string();
  if (not command.out.empty()) io::write_intervention(command.out, composition.make_file(values, made));
  output found;
  std::vector<std::string> warnings;
  const auto loss = composition.loss(values, train, objective, false);
  for (const auto& set : sets) {
    if (set.pairs.empty()) continue;
    const auto figures = measured(composition, values, set, objective.strengths, common);
    if (set.name == sets.front().name)
      warnings = failures_of({.counts = count_parameters(values), .train = figures, .by_statistics = true});
    add_metrics(set.name, figures, found);
  }
  add_counts(count_parameters(values), found);
  found.json["steps"] = 0;
  found.json["interrupted"] = false;
  found.json["warnings"] = warnings;
  found.json["objective"] = terms_of(loss);
  found.text += "loss: " + rounded(loss.loss) + "\n";
  for (const auto& warning : warnings) found.text += "warning: " + warning + "\n";
  tell_how_to_repeat(command, common, composition.make_file(values, made), found);
  show(command, common, model, composition, values, sets, train, {}, made, warnings, found);
  return found;
}

}  // namespace

output fit(const fit_command& given, const common_options& common) {
  if (given.size.plan) return plan_fit(given, common);
  require_writable(given.out);
  require_writable(given.trace);
  require_writable(given.report);
  require_heatmap(given.heatmap);
  require_writable(given.checkpoint);
  std::optional<fit_state> state;
  if (not given.resume.empty()) state = io::read_checkpoint(given.resume);
  const auto model = load_model(given.model, common);
  const auto command = with_sites(given, model->config());
  const auto seed = command.data.seed.value_or(1);
  const auto asked = asked_by(command);
  const auto sets = read_data(*model, command.data, seed, keys_of(asked));
  const auto& train = sets.front().pairs;
  const auto retained = read_retained(*model, command.data.retain, keys_of(asked), train);
  const auto fitted_on = with_retained(train, retained);
  const auto chosen = chosen_for(asked, train);
  const auto composition = model->compose(chosen);
  auto read = sets;
  read.push_back({"retained", retained});
  if (not command.like.empty()) {
    require_like(command, read, weights_hash_of(*composition, train));
    if (not common.quiet) tell_what_is_kept(command);
  }
  const auto defaults = composition->defaults();
  auto objective = command.objective;
  const index_t all_steps = steps_of(command, std::ssize(fitted_on));
  const adam optimizer{.learning_rate = command.learning_rate.value_or(defaults.learning_rate),
                       .subgradient = command.subgradient,
                       .warmup = command.warmup,
                       .cosine = command.cosine ? all_steps : 0};
  auto size = command.size;
  size.batches.seed = seed;

  require_measurable(chosen, sets);
  const auto layout = composition->layout(fitted_on);
  // λ_max depends on the seed where parameters that minimality does not weigh start at random.
  std::optional<double> lambda_max;
  const auto weigh = [&] {
    if (objective.lambda_m_share) {
      lambda_max = largest_weight(*composition, fitted_on, objective, command.init_seed.value_or(seed), size, common);
      objective.lambda_m = *objective.lambda_m_share * *lambda_max;
    }
    objective.lambda_m = objective.lambda_m.value_or(defaults.lambda_m);
  };
  if (command.method != "gradient") {
    weigh();
    return fit_directions(command, common, *model, *composition, sets, objective,
                          made_by(command, objective, optimizer, 0, seed, *model, common));
  }
  require_room(command, common, *model, layout, fitted_on);
  const index_t memory = left_for_work(command.size.memory, common);
  for (const auto& set : sets)
    require_evaluation(model->config(), layout, set.pairs, objective.strengths, common, memory);
  auto about_data = warnings_about(*model, command.data);
  if (auto nothing_left = empty_masked_kl(*model, objective, sets)) about_data.push_back(*nothing_left);
  for (const auto& warning : about_data) warn(warning);
  if (state and state->steps() > all_steps)
    throw error(error_kind::bad_argument, state->name + " has made " + std::to_string(state->steps()) +
                                              " steps, more than the " + std::to_string(all_steps) +
                                              " asked for; ask for more steps, or leave out --resume");

  objective.lambda_m_share = share_of_largest(objective, *composition);
  weigh();

  note(common, "fit " + policies_of(asked) + " on " + counted(train.size(), "prompt") + ", " +
                   chosen.front().positions.text() + " positions, " +
                   counted(static_cast<std::size_t>(all_steps), "step") + ", learning rate " +
                   rounded(optimizer.learning_rate) + ", lambda-f " + rounded(objective.lambda_f) + ", lambda-m " +
                   rounded(*objective.lambda_m) +
                   (objective.hook_terms() > 0 ? ", lambda-n " + rounded(*objective.lambda_n) : "") +
                   (lambda_max ? ", which is " + rounded(*objective.lambda_m_share) + " of the largest" : ""));
  const stopwatch time;
  const auto resumed = state ? state->steps() : index_t{0};
  const auto resumed_from = state ? state->name : std::string();
  auto run = composition->start(fitted_on, objective, optimizer,
                                {command.init_seed.value_or(seed), command.init, std::move(state)}, size);
  const auto checkpoint = [&](const fit_state& at) {
    if (not command.checkpoint.empty()) io::write_checkpoint(command.checkpoint, at);
  };
  std::optional<fit_state> kept;  // where steps run in chunks: the last one before a step that may be broken off
  const auto learn = [&] {
    report::progress_bar progress("fit", all_steps, not common.quiet);
    bool in_chunks = false;
    run->watch([&](const chunk_progress& now) {
      in_chunks = now.chunks > 1;
      if (in_chunks)
        progress.show(run->steps(), "chunk " + std::to_string(now.done + 1) + " of " + std::to_string(now.chunks));
      return not in_chunks or all_ranks().size() > 1 or interrupt_watch::signal() == 0;
    });
    while (run->steps() < all_steps) {
      progress.show(run->steps(), "loss " + report::number(run->loss().total(), 4));
      if (in_chunks) kept = run->state();
      if (any_rank(interrupt_watch::signal() != 0)) break;
      run->step();
      if (run->steps() % command.checkpoint_every == 0 and run->steps() < all_steps) checkpoint(run->state());
    }
    kept = run->state();
  };
  const auto learn_until_ended = [&] {
    try {
      learn();
    } catch (const step_broken_off&) {
      if (not kept)
        throw error(error_kind::bad_argument, "ended by " + interrupt_watch::name_of(interrupt_watch::signal()) +
                                                  " before the first step was made; nothing was learned");
    }
    checkpoint(*kept);
  };

  std::map<std::string, std::string> made;
  struct {
    parameters values = {};
    std::vector<loss_values> history = {};
    bool interrupted = false;
  } learned;
  std::optional<polished> better;
  index_t steps = 0;
  {
    const interrupt_watch watch("the fit ends within this step");  // lives until what was learned is on the disk
    learn_until_ended();
    steps = kept->steps();
    learned = {{layout, std::move(kept->theta)}, std::move(kept->history), steps < all_steps};
    if (command.polish and not learned.interrupted) {
      better = polish_until_ended(*composition, learned.values, fitted_on, objective, command.polish_steps, common);
      learned.values = better->values;
      learned.interrupted = any_rank(interrupt_watch::signal() != 0);
    }
    made = made_by(command, objective, optimizer, steps, seed, *model, common);
    auto as_made = command;
    if (learned.interrupted and command.polish) {  // what repeats it polishes as far as this did
      const auto set = [&](const char* option, std::optional<std::string> value) {
        std::erase_if(as_made.given, [&](const given_option& one) { return one.name == option; });
        if (value) as_made.given.push_back({option, *value});
      };
      const bool has_polished = better and better->steps > 0;
      set("--polish-steps", has_polished ? std::optional(std::to_string(better->steps)) : std::nullopt);
      if (not has_polished) set("--polish", std::nullopt);
    }
    add_provenance(as_made, read, common, made);
    if (objective.lambda_m_share) made["lambda_m_share"] = exact(*objective.lambda_m_share) + "max";
    if (better) made["polish_steps"] = std::to_string(better->steps);
    if (not command.out.empty()) io::write_intervention(command.out, composition->make_file(learned.values, made));
    if (not command.trace.empty()) {
      ordered_json trace = ordered_json::array();
      for (index_t step = 0; step < steps; ++step) {
        trace.push_back(terms_of(learned.history[static_cast<std::size_t>(step)]));
        trace.back()["step"] = step + 1;
      }
      io::write_file_atomically(command.trace, trace.dump(1) + "\n");
    }
  }
  if (not is_first_rank()) return {};
  note(common, "made " + counted(static_cast<std::size_t>(steps), "step") + " in " + time.text());
  if (const int signal = interrupt_watch::signal(); signal != 0)
    tell("ended by " + interrupt_watch::name_of(signal) + " after step " + std::to_string(steps) + " of " +
         std::to_string(all_steps) + (better ? " and " + std::to_string(better->steps) + " of polishing" : "") +
         places_of(command));
  else if (not resumed_from.empty() and resumed == all_steps and not common.quiet)
    tell(resumed_from + " had made all " + std::to_string(all_steps) +
         " steps already; ask for more --steps to continue");
  for (const auto& warning : run->warnings()) warn(warning);

  output found;
  auto warnings = about_data;
  std::ranges::copy(run->warnings(), std::back_inserter(warnings));
  run.reset();  // its memory is room for measuring
  const auto told = warnings.size();
  const auto measurable =
      command.measure_anyway ? sets : quickly_measured(sets, time.seconds(), steps - resumed, objective);
  for (const auto& set : measurable) {
    if (set.pairs.empty()) continue;
    const auto figures = measured(*composition, learned.values, set, objective.strengths, common, memory);
    if (set.name == sets.front().name)
      for (auto& failure : failures_of(outcome_of(learned.values, learned.history, figures, objective, fitted_on,
                                                  *composition, lambda_max, command.init_seed.value_or(seed), size)))
        warnings.push_back(std::move(failure));
    add_metrics(set.name, figures, found);
  }
  add_counts(count_parameters(learned.values), found);
  if (not retained.empty()) add_retention(*composition, learned.values, retained, objective, found, {}, memory);
  if (all_ranks().size() > 1)
    found.json["ranks"] = work_of_ranks(command, common, *model, layout, fitted_on, all_ranks().size());
  found.json["steps"] = steps;
  found.json["interrupted"] = learned.interrupted;
  if (better) found.json["polish"] = to_json(*better);
  found.json["warnings"] = warnings;
  found.json["objective"] = terms_of(learned.history.back());
  found.text += "loss: " + rounded(learned.history.front().total()) + " before, " +
                rounded(learned.history.back().total()) + " after " + counted(static_cast<std::size_t>(steps), "step");
  if (better) {
    const auto polished_to = composition->loss(learned.values, fitted_on, objective, false, {}, memory);
    found.json["objective"] = terms_of(polished_to);
    found.text += ", " + rounded(polished_to.loss) + " after polishing";
  }
  found.text += (learned.interrupted ? ", interrupted\n" : "\n");
  found.json["lambda_m"] = *objective.lambda_m;
  if (lambda_max) found.json["lambda_max"] = *lambda_max;
  for (std::size_t k = told; k < warnings.size(); ++k) found.text += "warning: " + warnings[k] + "\n";
  tell_how_to_repeat(command, common, composition->make_file(learned.values, made), found);
  found.status = interrupt_watch::status_of(interrupt_watch::signal());
  show(command, common, *model, *composition, learned.values, measurable, train, learned.history, made, warnings,
       found);
  return found;
}

}  // namespace trimtab::cli
