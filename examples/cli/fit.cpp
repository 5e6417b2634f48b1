// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"

#include <trimtab/core/version.hpp>
#include <trimtab/io/atomic_file.hpp>
#include <trimtab/report/heat_map.hpp>
#include <trimtab/report/progress.hpp>
#include <trimtab/report/table.hpp>

#include <csignal>
#include <unistd.h>

/// `trimtab fit`: learns an intervention, tells how good it is, and writes it to a file.

namespace trimtab::cli {

namespace {

volatile std::sig_atomic_t interrupted = 0;

/// While one of these lives, Ctrl-C asks the fit to end after its step; a second Ctrl-C ends the program.
class interrupt_watch {
 public:
  interrupt_watch() {
    struct sigaction watch = {};
    watch.sa_handler = [](int) { interrupted = 1; };
    watch.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &watch, &before_);
  }
  interrupt_watch(interrupt_watch const&) = delete;
  interrupt_watch& operator=(interrupt_watch const&) = delete;
  ~interrupt_watch() { sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_ = {};
};

/// Hours of work must not end at a folder that does not exist.
void require_writable(path const& file) {
  if (file.empty()) return;
  auto const folder = file.has_parent_path() ? file.parent_path() : path(".");
  std::error_code ignored;
  if (not std::filesystem::is_directory(folder, ignored))
    throw error(error_kind::io, "cannot write '" + file.string() + "': there is no folder '" + folder.string() + "'");
  if (std::filesystem::is_directory(file, ignored))
    throw error(error_kind::io, "cannot write '" + file.string() + "': it is a folder");
  if (::access(folder.c_str(), W_OK) != 0)
    throw error(error_kind::io,
                "cannot write '" + file.string() + "': the folder '" + folder.string() + "' is not writable");
}

/// "1,-1"
std::string list_of(std::vector<double> const& values) {
  std::string text;
  for (double x : values) text += (text.empty() ? "" : ",") + strength_text(x);
  return text;
}

std::string list_of(std::vector<std::string> const& words) {
  std::string text;
  for (auto const& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

/// A number in full, as JSON spells it.
std::string exact(double value) { return ordered_json(value).dump(); }

ordered_json terms_of(loss_values const& values) {
  ordered_json terms = {{"loss", values.total()}};
  for (auto const& term : values.terms) terms[term.name] = term.value;
  return terms;
}

/// The figures, and a heat map for every site that has layers.
std::string page_of(fit_command const& command, std::string const& figures, parameters const& values) {
  std::string maps;
  for (parameter_block const& block : values.layout.blocks)
    if (not block.layers.empty()) maps += report::html_of(report::map_of(values, block));
  return report::html_page(command.policy + " on " + command.model.string(),
                           "<pre>" + report::escaped(figures) + "</pre>\n" + maps);
}

position_key positions_of(fit_command const& command) {
  auto const name = not command.positions.empty()    ? command.positions
                    : command.policy == "dyn-scalar" ? "shared"
                                                     : "absolute";
  if (name == "shared") return positions::shared();
  return name == "from_end" ? positions::from_end() : positions::absolute();
}

}  // namespace

output fit(fit_command const& command, common_options const& common) {
  require_writable(command.out);
  require_writable(command.trace);
  require_writable(command.report);
  auto const model = load_model(command.model, common);
  composition_choice choice{.policy = command.policy, .bias = not command.no_bias, .positions = positions_of(command)};
  for (auto const& site : command.sites) choice.sites[site] = command.layers;
  auto const composition = model->compose(choice);
  auto const defaults = composition->defaults();
  auto objective = command.objective;
  objective.lambda_m = objective.lambda_m.value_or(defaults.lambda_m);
  auto const optimizer =
      adam{.learning_rate = command.learning_rate.value_or(defaults.learning_rate), .subgradient = command.subgradient};
  auto const seed = command.data.seed.value_or(1);
  bool const any_length = choice.positions.by() != position_key::kind::absolute;
  auto const sets = read_data(*model, command.data, seed, any_length);

  // What cannot be evaluated afterwards is refused before.
  auto const& train = sets.front().pairs;
  auto const key = choice.positions.resolved(train);
  for (auto const& set : sets)
    for (auto const& pair : set.pairs) (void)key.records(pair);

  auto const learned = [&] {
    interrupt_watch watch;
    report::progress_bar progress("fit", command.steps, not common.quiet);
    return composition->fit(train, objective, optimizer,
                            {.steps = command.steps,
                             .strengths = objective.strengths,
                             .before_step = [&](index_t step, loss_values const& values) {
                               progress.show(step, "loss " + report::number(values.total(), 4));
                               return interrupted == 0;
                             }});
  }();
  auto const steps = static_cast<index_t>(learned.history.size()) - 1;

  if (not command.out.empty()) {
    std::map<std::string, std::string> made = {{"lambda_f", exact(objective.lambda_f)},
                                               {"lambda_m", exact(*objective.lambda_m)},
                                               {"margin", exact(objective.margin)},
                                               {"learning_rate", exact(optimizer.learning_rate)},
                                               {"steps", std::to_string(steps)},
                                               {"seed", std::to_string(seed)},
                                               {"sites", list_of(command.sites)},
                                               {"chosen_layers", command.layers_text},
                                               {"strengths", list_of(objective.strengths)},
                                               {"precision", common.double_precision ? "double" : "float"}};
    if (command.data.task.empty())
      made["data"] = command.data.train.string();
    else
      made["task"] = command.data.task;
    io::write_intervention(command.out, composition->make_file(learned.values, std::move(made)));
  }
  if (not command.trace.empty()) {
    ordered_json trace = ordered_json::array();
    for (index_t step = 0; step < steps; ++step) {
      trace.push_back(terms_of(learned.history[static_cast<std::size_t>(step)]));
      trace.back()["step"] = step + 1;
    }
    io::write_file_atomically(command.trace, trace.dump(1) + "\n");
  }

  output found;
  for (auto const& set : sets)
    if (not set.pairs.empty())
      add_metrics(set.name, composition->measure(learned.values, set.pairs, objective.strengths), found);
  add_counts(count(learned.values), found);
  found.json["steps"] = steps;
  found.json["interrupted"] = learned.interrupted;
  found.json["objective"] = terms_of(learned.history.back());
  found.text += "loss: " + rounded(learned.history.front().total()) + " before, " +
                rounded(learned.history.back().total()) + " after " + std::to_string(steps) + " steps" +
                (learned.interrupted ? ", interrupted" : "") + "\n";
  if (not command.report.empty()) io::write_file_atomically(command.report, page_of(command, found.text, learned.values));
  return found;
}

}  // namespace trimtab::cli
