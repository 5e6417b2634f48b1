// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "report.hpp"
#include "talk.hpp"

#include <trimtab/core/version.hpp>
#include <trimtab/io/checkpoint_file.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/report/terminal/terminal_map.hpp>

#include <array>
#include <csignal>
#include <optional>
#include <set>
#include <string_view>

/// `trimtab fit`: learns an intervention, tells how good it is, and writes it to a file.

namespace trimtab::cli {

namespace {

volatile std::sig_atomic_t interrupted = 0;  ///< by which signal, the first if there were several

/// While one of these lives, Ctrl-C (SIGINT), SIGTERM, or SIGHUP as its terminal closes asks the fit to end after its
/// step; the same a second time ends the program. What was ignored before (nohup, a shell's background) stays ignored.
class interrupt_watch {
 public:
  interrupt_watch() {
    struct sigaction watch = {};
    watch.sa_handler = [](int signal) {
      if (interrupted == 0) interrupted = signal;
    };
    watch.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    for (auto& [signal, before] : watched_)
      if (sigaction(signal, nullptr, &before) == 0 and before.sa_handler != SIG_IGN) sigaction(signal, &watch, nullptr);
  }
  interrupt_watch(const interrupt_watch&) = delete;
  interrupt_watch& operator=(const interrupt_watch&) = delete;
  ~interrupt_watch() {
    for (const auto& [signal, before] : watched_) sigaction(signal, &before, nullptr);
  }

  static std::string name_of(int signal) {
    return signal == SIGINT ? "Ctrl-C" : signal == SIGTERM ? "SIGTERM" : "SIGHUP";
  }

 private:
  struct handled {
    int signal;
    struct sigaction before = {};
  };
  std::array<handled, 3> watched_ = {{{SIGINT}, {SIGTERM}, {SIGHUP}}};
};

/// Where what was learned is when a fit was cut short.
std::string places_of(const fit_command& command) {
  std::string places;
  if (not command.out.empty()) places += "; what it learned is in '" + command.out.string() + "'";
  if (not command.checkpoint.empty()) places += "; --resume '" + command.checkpoint.string() + "' goes on from there";
  return places.empty() ? "; without --out and --checkpoint nothing is kept" : places;
}

/// "1,-1"
std::string list_of(const std::vector<double>& values) {
  std::string text;
  for (double x : values) text += (text.empty() ? "" : ",") + strength_text(x);
  return text;
}

std::string list_of(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

/// A number in full, as JSON spells it.
std::string exact(double value) { return ordered_json(value).dump(); }

ordered_json terms_of(const loss_values& values) {
  ordered_json terms = {{"loss", values.total()}};
  for (const auto& term : values.terms) terms[term.name] = term.value;
  return terms;
}

std::string positions_of(const fit_command& command) {
  if (not command.positions.empty()) return command.positions;
  return command.policy == "dyn-scalar" ? "shared" : "absolute";
}

/// All roles of the prompts, in the order in which a prompt has them.
std::vector<std::string> roles_of(const std::vector<prompt_pair>& prompts) {
  std::vector<std::pair<int, std::string>> found;
  std::set<std::string_view> names;
  for (const auto& pair : prompts)
    for (const auto& [name, span] : pair.roles)
      if (names.insert(name).second) found.emplace_back(span.first, name);
  std::ranges::stable_sort(found, {}, &std::pair<int, std::string>::first);
  std::vector<std::string> roles;
  for (auto& [first, name] : found) roles.push_back(std::move(name));
  return roles;
}

position_key key_of(const std::string& name, const std::vector<std::string>& chosen_roles,
                    const std::vector<prompt_pair>& prompts) {
  if (name == "shared") return positions::shared();
  if (name == "from_end") return positions::from_end();
  if (name == "absolute") return positions::absolute();
  auto roles = chosen_roles.empty() ? roles_of(prompts) : chosen_roles;
  if (roles.empty())
    throw error(
        error_kind::bad_data,
        "no prompt has a role, and --positions role needs some; give lines \"roles\": {\"subject\": [first, last]}");
  return positions::role(std::move(roles));
}

/// A heat map for every site that has layers, as the terminal shows it.
std::string maps_of(const parameters& values) {
  std::string maps;
  for (const parameter_block& block : values.layout.blocks)
    if (not block.layers.empty())
      maps += "\n" + report::text_of(report::in_reading_order(report::map_of(values, block), block.positions),
                                     report::wants_colour(STDOUT_FILENO), report::width_of(STDOUT_FILENO));
  return maps;
}

}  // namespace

output fit(const fit_command& command, const common_options& common) {
  require_writable(command.out);
  require_writable(command.trace);
  require_writable(command.report);
  require_writable(command.heatmap);
  require_writable(command.checkpoint);
  std::optional<fit_state> state;
  if (not command.resume.empty()) state = io::read_checkpoint(command.resume);
  const auto model = load_model(command.model, common);
  const auto seed = command.data.seed.value_or(1);
  const auto positions = positions_of(command);
  const auto sets =
      read_data(*model, command.data, seed, positions == "absolute" ? positions::absolute() : positions::from_end());
  const auto& train = sets.front().pairs;
  composition_choice choice{
      .policy = command.policy, .bias = not command.no_bias, .positions = key_of(positions, command.roles, train)};
  for (const auto& site : command.sites) choice.sites[site] = command.layers;
  const auto composition = model->compose(choice);
  const auto defaults = composition->defaults();
  auto objective = command.objective;
  objective.lambda_m = objective.lambda_m.value_or(defaults.lambda_m);
  const auto optimizer =
      adam{.learning_rate = command.learning_rate.value_or(defaults.learning_rate), .subgradient = command.subgradient};

  // What cannot be evaluated afterwards is refused before.
  const auto key = choice.positions.resolved(train);
  for (const auto& set : sets)
    for (const auto& pair : set.pairs) (void)key.records(pair);

  note(common, "fit " + command.policy + " on " + std::to_string(train.size()) + " prompts, " +
                   choice.positions.text() + " positions, " + std::to_string(command.steps) + " steps, learning rate " +
                   rounded(optimizer.learning_rate) + ", lambda-f " + rounded(objective.lambda_f) + ", lambda-m " +
                   rounded(*objective.lambda_m));
  const stopwatch time;
  fit_options options{.steps = command.steps, .strengths = objective.strengths};
  if (not command.checkpoint.empty())
    options.checkpoint = [&](const fit_state& now) { io::write_checkpoint(command.checkpoint, now); };
  options.checkpoint_every = command.checkpoint_every;
  options.resume_from = std::move(state);
  const auto learn = [&] {
    report::progress_bar progress("fit", command.steps, not common.quiet);
    options.before_step = [&](index_t step, const loss_values& values) {
      progress.show(step, "loss " + report::number(values.total(), 4));
      return interrupted == 0;
    };
    return composition->fit(train, objective, optimizer, options);
  };

  std::map<std::string, std::string> made;
  index_t steps = 0;
  const auto learned = [&] {
    const interrupt_watch watch;  // until what was learned is on the disk
    auto result = learn();
    steps = static_cast<index_t>(result.history.size()) - 1;
    made = {{"lambda_f", exact(objective.lambda_f)},
            {"lambda_m", exact(*objective.lambda_m)},
            {"margin", exact(objective.margin)},
            {"learning_rate", exact(optimizer.learning_rate)},
            {"steps", std::to_string(steps)},
            {"seed", std::to_string(seed)},
            {"sites", list_of(command.sites)},
            {"chosen_layers", command.layers_text},
            {"strengths", list_of(objective.strengths)},
            {"precision", precision_name(common.precision)}};
    if (command.data.task.empty())
      made["data"] = command.data.train.string();
    else
      made["task"] = command.data.task;
    if (not command.out.empty()) io::write_intervention(command.out, composition->make_file(result.values, made));
    if (not command.trace.empty()) {
      ordered_json trace = ordered_json::array();
      for (index_t step = 0; step < steps; ++step) {
        trace.push_back(terms_of(result.history[static_cast<std::size_t>(step)]));
        trace.back()["step"] = step + 1;
      }
      io::write_file_atomically(command.trace, trace.dump(1) + "\n");
    }
    return result;
  }();
  note(common, "made " + std::to_string(steps) + " steps in " + time.text());
  if (interrupted != 0)
    tell("ended by " + interrupt_watch::name_of(interrupted) + " after step " + std::to_string(steps) + " of " +
         std::to_string(command.steps) + places_of(command));
  else if (options.resume_from and options.resume_from->steps() == command.steps and not common.quiet)
    tell(options.resume_from->name + " had made all " + std::to_string(command.steps) +
         " steps already; ask for more --steps to go on");

  output found;
  for (const auto& set : sets)
    if (not set.pairs.empty())
      add_metrics(set.name, measured(*composition, learned.values, set, objective.strengths, common), found);
  add_counts(count(learned.values), found);
  found.json["steps"] = steps;
  found.json["interrupted"] = learned.interrupted;
  found.json["objective"] = terms_of(learned.history.back());
  found.text += "loss: " + rounded(learned.history.front().total()) + " before, " +
                rounded(learned.history.back().total()) + " after " + std::to_string(steps) + " steps" +
                (learned.interrupted ? ", interrupted" : "") + "\n";
  if (interrupted != 0 and interrupted != SIGINT) found.status = 128 + interrupted;
  if (not command.report.empty() or not command.heatmap.empty()) {
    made["model"] = command.model.string();
    write_reports({describe(*composition, learned.values, sets, learned.history, command.policy, made)},
                  command.policy + " on " + name_of(command.model), command.report, command.heatmap);
  }
  if (not common.quiet) found.text += maps_of(learned.values);
  return found;
}

}  // namespace trimtab::cli
