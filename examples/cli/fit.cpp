// SPDX-License-Identifier: Apache-2.0

#include "asked.hpp"
#include "commands.hpp"
#include "contrasts.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "interrupt.hpp"
#include "plan.hpp"
#include "ranks.hpp"
#include "report.hpp"
#include "talk.hpp"

#include <trimtab/core/version.hpp>
#include <trimtab/io/checkpoint_file.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/report/terminal/terminal_map.hpp>
#include <trimtab/text/joined.hpp>

#include <optional>

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

/// A heat map for every site with at least one layer, for the terminal.
std::string maps_of(const parameters& values) {
  std::string maps;
  for (const parameter_block& block : values.layout.blocks)
    if (not block.layers.empty())
      maps += "\n" + report::text_of(report::in_reading_order(report::map_of(values, block), block.positions),
                                     report::wants_colour(STDOUT_FILENO), report::width_of(STDOUT_FILENO));
  return maps;
}

/// The figures of an intervention on each set, and its counts.
output figures_of(const any_composition& composition, const parameters& values, const std::vector<named_prompts>& sets,
                  const objective_options& objective, const common_options& common) {
  output found;
  for (const auto& set : sets)
    if (not set.pairs.empty())
      add_metrics(set.name, measured(composition, values, set, objective.strengths, common), found);
  add_counts(count_parameters(values), found);
  return found;
}

/// Writes the pages and pictures that were asked for, and adds the maps for the terminal.
void show(const fit_command& command, const common_options& common, const any_composition& composition,
          const parameters& values, const std::vector<named_prompts>& sets, const std::vector<loss_values>& history,
          std::map<std::string, std::string> made, output& to) {
  if (not command.report.empty() or not command.heatmap.empty()) {
    made["model"] = command.model.string();
    const auto name = policies_of(asked_by(command));
    write_reports({describe(composition, values, sets, history, name, made)}, name + " on " + name_of(command.model),
                  command.report, command.heatmap);
  }
  if (not common.quiet) to.text += maps_of(values);
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
  if (not command.positive.empty())
    made["positive"] = command.positive.string(), made["negative"] = command.negative.string();
  if (not command.out.empty()) io::write_intervention(command.out, composition.make_file(values, made));
  auto found = figures_of(composition, values, sets, objective, common);
  const auto loss = composition.loss(values, train, objective, false);
  found.json["steps"] = 0;
  found.json["interrupted"] = false;
  found.json["warnings"] = ordered_json::array();
  found.json["objective"] = {{"loss", loss.loss},
                             {"effectiveness", loss.effectiveness},
                             {"faithfulness", loss.faithfulness},
                             {"minimality", loss.minimality}};
  found.text += "loss: " + rounded(loss.loss) + "\n";
  show(command, common, composition, values, sets, {}, std::move(made), found);
  return found;
}

}  // namespace

output fit(const fit_command& command, const common_options& common) {
  if (command.size.plan) return plan_fit(command, common);
  require_writable(command.out);
  require_writable(command.trace);
  require_writable(command.report);
  require_writable(command.heatmap);
  require_writable(command.checkpoint);
  std::optional<fit_state> state;
  if (not command.resume.empty()) state = io::read_checkpoint(command.resume);
  const auto model = load_model(command.model, common);
  const auto seed = command.data.seed.value_or(1);
  const auto asked = asked_by(command);
  const auto sets = read_data(*model, command.data, seed, keys_of(asked));
  const auto& train = sets.front().pairs;
  const auto retained = read_retained(*model, command.data.retain, keys_of(asked), train);
  auto fitted_on = train;
  fitted_on.insert(fitted_on.end(), retained.begin(), retained.end());
  const auto chosen = chosen_for(asked, train);
  const auto composition = model->compose(chosen);
  const auto defaults = composition->defaults();
  auto objective = command.objective;
  objective.lambda_m = objective.lambda_m.value_or(defaults.lambda_m);
  const index_t all_steps = steps_of(command, std::ssize(fitted_on));
  const adam optimizer{.learning_rate = command.learning_rate.value_or(defaults.learning_rate),
                       .subgradient = command.subgradient,
                       .warmup = command.warmup,
                       .cosine = command.cosine ? all_steps : 0};
  auto size = command.size;
  size.batches.seed = seed;

  require_measurable(chosen, sets);
  const auto layout = composition->layout(fitted_on);
  if (command.method != "gradient")
    return fit_directions(command, common, *model, *composition, sets, objective,
                          made_by(command, objective, optimizer, 0, seed, *model, common));
  require_room(command, common, *model, layout, fitted_on);
  if (state and state->steps() > all_steps)
    throw error(error_kind::bad_argument, state->name + " has made " + std::to_string(state->steps()) +
                                              " steps, more than the " + std::to_string(all_steps) +
                                              " asked for; ask for more steps, or leave out --resume");

  note(common, "fit " + policies_of(asked) + " on " + std::to_string(train.size()) + " prompts, " +
                   chosen.front().positions.text() + " positions, " + std::to_string(all_steps) +
                   " steps, learning rate " + rounded(optimizer.learning_rate) + ", lambda-f " +
                   rounded(objective.lambda_f) + ", lambda-m " + rounded(*objective.lambda_m));
  const stopwatch time;
  const auto resumed = state ? state->steps() : index_t{0};
  const auto resumed_from = state ? state->name : std::string();
  const auto run = composition->start(fitted_on, objective, optimizer, {seed, command.init, std::move(state)}, size);
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
        progress.show(run->steps() + 1, "chunk " + std::to_string(now.done + 1) + " of " + std::to_string(now.chunks));
      return not in_chunks or all_ranks().size() > 1 or interrupt_watch::signal() == 0;
    });
    while (run->steps() < all_steps) {
      progress.show(run->steps() + 1, "loss " + report::number(run->loss().total(), 4));
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
    const interrupt_watch watch;  // lives until what was learned is on the disk
    learn_until_ended();
    steps = kept->steps();
    learned = {{layout, std::move(kept->theta)}, std::move(kept->history), steps < all_steps};
    if (command.polish and not learned.interrupted) {
      better = composition->polish(learned.values, fitted_on, objective);
      learned.values = better->values;
    }
    made = made_by(command, objective, optimizer, steps, seed, *model, common);
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
  note(common, "made " + std::to_string(steps) + " steps in " + time.text());
  if (const int signal = interrupt_watch::signal(); signal != 0)
    tell("ended by " + interrupt_watch::name_of(signal) + " after step " + std::to_string(steps) + " of " +
         std::to_string(all_steps) + places_of(command));
  else if (not resumed_from.empty() and resumed == all_steps and not common.quiet)
    tell(resumed_from + " had made all " + std::to_string(all_steps) +
         " steps already; ask for more --steps to continue");
  for (const auto& warning : run->warnings()) warn(warning);

  auto found = figures_of(*composition, learned.values, sets, objective, common);
  if (not retained.empty()) add_retention(*composition, learned.values, retained, objective, found);
  if (all_ranks().size() > 1)
    found.json["ranks"] = work_of_ranks(command, common, *model, layout, fitted_on, all_ranks().size());
  found.json["steps"] = steps;
  found.json["interrupted"] = learned.interrupted;
  if (better) found.json["polish"] = to_json(*better);
  found.json["warnings"] = run->warnings();
  found.json["objective"] = terms_of(learned.history.back());
  found.text += "loss: " + rounded(learned.history.front().total()) + " before, " +
                rounded(learned.history.back().total()) + " after " + std::to_string(steps) + " steps" +
                (learned.interrupted ? ", interrupted" : "") + "\n";
  found.status = interrupt_watch::status_of(interrupt_watch::signal());
  show(command, common, *composition, learned.values, sets, learned.history, std::move(made), found);
  return found;
}

}  // namespace trimtab::cli
