// SPDX-License-Identifier: Apache-2.0

#include "asked.hpp"
#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "interrupt.hpp"
#include "memory.hpp"
#include "places.hpp"
#include "plan.hpp"
#include "provenance.hpp"
#include "ranks.hpp"
#include "report.hpp"
#include "talk.hpp"

#include <trimtab/core/random.hpp>
#include <trimtab/io/sweep_folder.hpp>
#include <trimtab/measure/pareto.hpp>
#include <trimtab/report/page/html.hpp>
#include <trimtab/report/page/sweep_section.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/report/text.hpp>
#include <trimtab/text/joined.hpp>

#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

/// `trimtab sweep`: fits with many settings side by side, and the front of what they trade.

namespace trimtab::cli {

namespace {

/// The interventions of some points, with the settings that do not vary.
struct composed_once {
  fit_command command = {};
  std::vector<at_option> asked = {};
  std::unique_ptr<any_composition> composition = nullptr;
  fit_settings base = {};
  bool base_in_shares = false,
       in_shares = false;  ///< whether the weight of `base`, and of the points, is a share of λ_max
};

/// What a seed's fits are made on and measured on.
struct prompts_of_seed {
  std::vector<named_prompts> sets = {};
  std::vector<prompt_pair> retained = {};  ///< that are to stay as they are

  std::vector<prompt_pair> fitted_on() const {
    auto all = sets.front().pairs;
    all.insert(all.end(), retained.begin(), retained.end());
    return all;
  }
};

/// One fit of the sweep, and what is known of it once it has ended.
struct point {
  std::size_t composition = 0;
  fit_settings at = {};
  const prompts_of_seed* data = nullptr;
  std::size_t chain = 0;  ///< of a path: points with the same number follow each other
  std::optional<ordered_json> figures = {};
  std::optional<parameters> values = {};  ///< until then, and after a resumed sweep, nothing
};

std::string start_text(double sigma) { return sigma == 0 ? "identity" : "normal:" + exact(sigma); }

class running {
 public:
  running(const sweep_command& command, const common_options& common)
      : command_(command), common_(common), model_(load_model(command.fit.model, common)) {
    compose();
    lay_out_points();
    open_folder();
  }

  output run() {
    {
      const interrupt_watch watch("the sweep ends within this step");
      for (std::size_t k = 0; k < points_.size(); ++k)
        if (is_own(k)) recall(k);
      command_.path_values > 0 ? follow_paths() : fit_all();
    }
    if (all_ranks().size() > 1 and not take_from_ranks()) return {};
    describe();
    if (command_.bootstrap > 0 and interrupt_watch::signal() == 0) select();
    if (not command_.fit.report.empty()) write_page();
    if (interrupt_watch::signal() != 0) {
      tell("ended by " + interrupt_watch::name_of(interrupt_watch::signal()) + " with " + std::to_string(finished_) +
           " of " + report::counted(points_.size(), "point") + " finished" +
           (command_.out.empty() ? "; without --out they are not kept"
                                 : "; the same command goes on from '" + command_.out.string() + "'"));
      found_.status = interrupt_watch::status_of(interrupt_watch::signal());
    }
    found_.json["interrupted"] = interrupt_watch::signal() != 0;
    return std::move(found_);
  }

 private:
  void compose() {
    for (auto& command : compositions_of(command_, model_->config())) {
      composed_once one{.command = std::move(command)};
      one.asked = asked_by(one.command);
      const prompts_of_seed& read = data(one.asked, base_seed());
      const auto chosen = chosen_for(one.asked, read.sets.front().pairs);
      require_measurable(chosen, read.sets);
      one.composition = model_->compose(chosen);
      const auto fitted_on = read.fitted_on();
      require_room(one.command, common_, *model_, one.composition->layout(fitted_on), fitted_on);
      const auto& o = command_.fit.objective;
      const auto defaults = one.composition->defaults();
      const auto share = share_of_largest(o, *one.composition);
      one.base_in_shares = share.has_value();
      one.in_shares = command_.lambda_m_of_max or (command_.axes.lambda_m.empty() and share);
      one.base = {.lambda_f = o.lambda_f,
                  .lambda_m = share.value_or(o.lambda_m.value_or(defaults.lambda_m)),
                  .margin = o.margin,
                  .learning_rate = command_.fit.learning_rate.value_or(defaults.learning_rate),
                  .steps = command_.fit.steps,
                  .seed = base_seed(),
                  .start = command_.fit.init};
      composed_.push_back(std::move(one));
    }
  }

  void lay_out_points() {
    for (std::size_t c = 0; c < composed_.size(); ++c)
      for (const fit_settings& at : grid(command_.axes, composed_[c].base)) {
        point one{.composition = c, .at = at, .data = &data(composed_[c].asked, at.seed)};
        if (command_.path_values > 0) {
          one.chain = chains_++;
          for (const double lambda : path_weights(lambda_max_of(one), command_.path_values, command_.path_end)) {
            one.at.lambda_m = lambda;
            points_.push_back(one);
          }
        } else {
          if (composed_[c].in_shares) one.at.lambda_m *= lambda_max_of(one);
          points_.push_back(one);
        }
      }
    for (std::size_t k = 0; k < points_.size(); ++k)
      if (is_own(k)) all_steps_ += points_[k].at.steps, ++own_;
  }

  /// The rank that fits a point: points take turns, paths as a whole.
  std::size_t rank_of(std::size_t k) const {
    return (command_.path_values > 0 ? points_[k].chain : k) % static_cast<std::size_t>(all_ranks().size());
  }
  bool is_own(std::size_t k) const { return rank_of(k) == static_cast<std::size_t>(all_ranks().rank()); }

  /// Takes the points that other ranks finished from the folder; false for a rank that has nothing else to do.
  bool take_from_ranks() {
    auto failures = ordered_json::object();
    for (std::size_t k = 0; k < points_.size(); ++k)
      if (is_own(k) and points_[k].figures and points_[k].figures->contains("failed"))
        failures[std::to_string(k)] = *points_[k].figures;
    const std::string mine = failures.dump();
    std::vector<index_t> counts(static_cast<std::size_t>(all_ranks().size()));
    const auto failed_on = all_ranks().all_gather(std::as_bytes(std::span(mine)));
    if (not is_first_rank()) return false;
    for (const auto& bytes : failed_on) {
      const auto failed = ordered_json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
      for (const auto& [k, figures] : failed.items()) {
        point& p = points_[std::stoul(k)];
        if (not p.figures) warn("point " + k + " failed: " + figures["failed"].get<std::string>());
        p.figures = figures;
      }
    }
    for (std::size_t k = 0; k < points_.size(); ++k) {
      ++counts[rank_of(k)];
      if (is_own(k)) continue;
      points_[k].figures ? count(k) : recall(k);
    }
    const auto prompts = points_.front().data->sets.front().pairs.size();
    found_.json["ranks"] = {{"count", counts.size()},
                            {"prompts", std::vector(counts.size(), prompts)},
                            {"points", counts},
                            {"bytes_per_step", 0}};
    return true;
  }

  void open_folder() {
    if (command_.out.empty()) return;
    const auto& first = composed_.front();
    const auto& prompts = points_.front().data->sets.front().pairs;
    auto asked = made_by(command_.fit, objective_at(points_.front()), optimizer_at(points_.front()), command_.fit.steps,
                         base_seed(), *model_, common_);
    for (const auto* varied : {"lambda_f", "lambda_m", "margin", "learning_rate", "steps"}) asked.erase(varied);
    for (const auto& c : composed_) {
      asked["policy"] += (asked["policy"].empty() ? "" : ",") + policies_of(c.asked);
      for (const auto& at : c.asked) asked["positions"] += (asked["positions"].empty() ? "" : ",") + at.positions;
    }
    const auto base = first.base;
    asked["lambda_f"] = exact(base.lambda_f);
    // Where every point has its own, the one beside --vary or --path counts for --bootstrap alone.
    const bool weighs = (command_.axes.lambda_m.empty() and command_.path_values == 0) or command_.bootstrap > 0;
    const auto weight = command_.fit.objective.lambda_m.value_or(first.composition->defaults().lambda_m);
    asked["lambda_m"] = weighs ? exact(base.lambda_m) + (first.base_in_shares ? "max" : "") : exact(weight);
    asked["margin"] = exact(base.margin);
    asked["learning_rate"] = exact(base.learning_rate);
    asked["steps"] = std::to_string(base.steps);
    if (not command_.vary_text.empty()) asked["vary"] = command_.vary_text;
    if (command_.path_values > 0)
      asked["path"] = io::sweep_folder::path_text(command_.path_values, exact(command_.path_end));
    if (command_.fit.subgradient) asked["subgradient"] = "on";
    asked["model"] = weights_hash_of(*first.composition, prompts);
    asked["prompts"] = trimtab::detail::text_of(std::span<const prompt_pair>(prompts));
    if (const auto& stay = points_.front().data->retained; not stay.empty())
      asked["retained"] = trimtab::detail::text_of(std::span<const prompt_pair>(stay));
    if (not is_first_rank()) meet_all_ranks();  // the first one makes the folder
    folder_.emplace(command_.out, asked);
    if (is_first_rank()) meet_all_ranks();
  }

  std::uint64_t base_seed() const { return command_.fit.data.seed.value_or(1); }

  /// The prompts of a seed, for these positions; read once.
  const prompts_of_seed& data(const std::vector<at_option>& asked, std::uint64_t seed) {
    std::string key = std::to_string(command_.fit.data.task.empty() ? 0 : seed);
    for (const auto& at : asked) key += " " + at.positions + text::joined(at.roles, "+");
    auto found = data_.find(key);
    if (found == data_.end()) {
      prompts_of_seed read{read_data(*model_, command_.fit.data, seed, keys_of(asked))};
      read.retained = read_retained(*model_, command_.fit.data.retain, keys_of(asked), read.sets.front().pairs);
      found = data_.emplace(key, std::move(read)).first;
    }
    return found->second;
  }

  objective_options objective_at(const point& p) const {
    auto o = command_.fit.objective;
    o.lambda_f = p.at.lambda_f;
    o.lambda_m = p.at.lambda_m;
    o.margin = p.at.margin;
    return o;
  }
  adam optimizer_at(const point& p) const {
    return {.learning_rate = p.at.learning_rate, .subgradient = command_.fit.subgradient};
  }
  std::map<std::string, std::string> made_at(const point& p, index_t steps) const {
    auto command = composed_[p.composition].command;
    command.init = p.at.start;
    command.init_seed = p.at.seed;
    auto made = made_by(command, objective_at(p), optimizer_at(p), steps, p.at.seed, *model_, common_);
    auto read = p.data->sets;
    read.push_back({"retained", p.data->retained});
    add_provenance(command, read, common_, made);
    // No command of its own goes on from the fit before it on a path.
    if (command_.path_values > 0) made.erase("arguments");
    return made;
  }
  const any_composition& composition_of(const point& p) const { return *composed_[p.composition].composition; }

  double lambda_max_of(const point& p) {
    const auto key = std::tuple(p.composition, p.at.seed, p.at.margin);
    auto found = lambda_max_.find(key);
    if (found == lambda_max_.end())
      found =
          lambda_max_.emplace(key, composition_of(p).lambda_max(p.data->fitted_on(), objective_at(p), p.at.seed)).first;
    return found->second;
  }

  /// Takes the figures of a point that an earlier run finished.
  void recall(std::size_t k) {
    if (not folder_) return;
    const auto text = folder_->figures(k);
    if (not text) return;
    points_[k].figures = ordered_json::parse(*text);
    count(k);
  }
  const parameters& values_of(std::size_t k) {
    point& p = points_[k];
    if (not p.values) p.values = composition_of(p).fit_to(folder_->intervention(k), {.allow_other_weights = false});
    return *p.values;
  }
  void count(std::size_t k) {
    ++finished_;
    resumed_steps_ += points_[k].at.steps;
  }

  /// The values of what varies, under the names of the command line.
  ordered_json varied_of(const point& p) const {
    auto json = ordered_json::object();
    for (const auto& name : command_.varied) {
      auto key = name;
      std::ranges::replace(key, '-', '_');
      if (name == "policy") json[key] = composed_[p.composition].command.policy;
      if (name == "positions") json[key] = composed_[p.composition].command.positions;
      if (name == "lambda-f") json[key] = p.at.lambda_f;
      if (name == "lambda-m") json[key] = p.at.lambda_m;
      if (name == "margin") json[key] = p.at.margin;
      if (name == "lr") json[key] = p.at.learning_rate;
      if (name == "steps") json[key] = p.at.steps;
      if (name == "seed") json[key] = p.at.seed;
      if (name == "start") json[key] = start_text(p.at.start);
    }
    if (command_.path_values > 0) json["lambda_m"] = p.at.lambda_m;
    return json;
  }

  /// Measures a point, and keeps it on disk before anything else happens.
  void finish(std::size_t k, const parameters& values, index_t steps, const ordered_json& more = {}) {
    point& p = points_[k];
    auto figures = varied_of(p);
    if (not more.is_null()) figures.update(more);
    figures["untouched"] = ordered_json::object();
    for (const auto& set : p.data->sets) {
      if (set.pairs.empty()) continue;
      const auto m = composition_of(p).measure(values, set.pairs, {.strengths = command_.fit.objective.strengths});
      figures[set.name] = to_json(m);
      figures["untouched"][set.name] = untouched_json(m);
    }
    if (not p.data->retained.empty())
      figures["retain"] = retention_json(composition_of(p), values, p.data->retained, objective_at(p));
    const auto counts = count_parameters(values);
    figures["parameters"] = counts.parameters;
    figures["nonzero_parameters"] = counts.nonzero_parameters;
    figures["sites"] = counts.sites;
    figures["nonzero_sites"] = counts.nonzero_sites;
    if (folder_) {
      folder_->write(k, composition_of(p).make_file(values, made_at(p, steps)), figures.dump(1) + "\n");
    }
    p.figures = std::move(figures);
    p.values = values;
    count(k);
  }

  void fail(std::size_t k, const std::string& why) {
    auto figures = varied_of(points_[k]);
    figures["failed"] = why;
    warn("point " + std::to_string(k) + " failed: " + why);
    points_[k].figures = std::move(figures);
    count(k);
  }

  /// All points of a composition that are not finished yet share their passes.
  void fit_all() {
    report::progress_bar bar("sweep", all_steps_, not common_.quiet);
    for (std::size_t c = 0; c < composed_.size() and interrupt_watch::signal() == 0; ++c) {
      std::vector<point_to_fit> left;
      std::vector<std::size_t> numbers;
      for (std::size_t k = 0; k < points_.size(); ++k)
        if (points_[k].composition == c and is_own(k) and not points_[k].figures) {
          left.push_back({points_[k].data->fitted_on(), points_[k].at});
          numbers.push_back(k);
        }
      if (left.empty()) continue;
      const index_t before = resumed_steps_;
      composed_[c].composition->sweep(
          left, command_.fit.objective, {.subgradient = command_.fit.subgradient},
          [&](std::size_t n, const parameters& values) { finish(numbers[n], values, points_[numbers[n]].at.steps); },
          {.bytes = bytes_of_pass(command_, memory_of_program()),
           .proceed =
               [&](const sweep_progress& now) {
                 bar.show(before + now.steps, std::to_string(finished_) + " of " + std::to_string(own_) + " points");
                 return interrupt_watch::signal() == 0;
               },
           .failed = [&](std::size_t n, const std::string& why) { fail(numbers[n], why); }});
    }
  }

  /// The paths of a composition go down side by side. One whose loss is no longer finite ends there.
  void follow_paths() {
    report::progress_bar bar("path", static_cast<index_t>(points_.size()), not common_.quiet);
    const auto values = static_cast<std::size_t>(command_.path_values);
    for (std::size_t at = 0; at < values; ++at)
      for (std::size_t c = 0; c < composed_.size() and interrupt_watch::signal() == 0; ++c) {
        std::vector<point_to_fit> next;
        std::vector<std::optional<parameters>> starts;
        std::vector<std::size_t> numbers;
        for (std::size_t k = at; k < points_.size(); k += values) {
          const point& p = points_[k];
          if (p.composition != c or not is_own(k) or p.figures) continue;
          if (at > 0 and points_[k - 1].figures->contains("failed")) {
            fail(k, "the fit before it on the path failed");
            continue;
          }
          next.push_back({p.data->fitted_on(), p.at});
          starts.push_back(at == 0 ? std::nullopt : std::optional(values_of(k - 1)));
          numbers.push_back(k);
        }
        if (next.empty()) continue;
        bar.show(static_cast<index_t>(finished_) + 1, "lambda-m " + rounded(next.front().at.lambda_m));
        composed_[c].composition->next_on_paths(
            next, starts, command_.fit.objective, {.subgradient = command_.fit.subgradient},
            bytes_of_pass(command_, memory_of_program()), {.go_on = [] { return interrupt_watch::signal() == 0; }},
            [&](std::size_t n, const std::string& why) { fail(numbers[n], why); },
            [&](std::size_t n, const path_point& found) {
              finish(numbers[n], found.values, found.steps,
                     {{"steps", found.steps}, {"violation", found.violation}, {"stationary", found.is_stationary}});
            });
      }
  }

  /// The set that points are compared on: test prompts where there are any.
  static const ordered_json& compared(const ordered_json& figures) {
    return figures.contains("test") ? figures["test"] : figures["train"];
  }
  static trade_off trade_off_of(const ordered_json& figures) {
    trade_off t{.flip_rate = std::numeric_limits<double>::max(),
                .kl = compared(figures)["kl_masked"],
                .places = figures["nonzero_sites"]};
    for (const auto& [strength, rate] : compared(figures)["flip_rate"].items())
      if (strength != "both") t.flip_rate = std::min(t.flip_rate, rate.get<double>());
    return t;
  }

  void describe() {
    std::vector<trade_off> trades;
    std::vector<std::size_t> measured;  // the points' numbers
    index_t all_places = 0;
    double worst = 0;
    for (std::size_t k = 0; k < points_.size(); ++k) {
      if (not points_[k].figures or points_[k].figures->contains("failed")) continue;
      measured.push_back(k);
      trades.push_back(trade_off_of(*points_[k].figures));
      all_places = std::max(all_places, (*points_[k].figures)["sites"].get<index_t>());
      worst = std::max(worst, trades.back().kl);
    }
    const auto front = front_of(trades);
    const auto knee = knee_of(trades, front);
    if (command_.path_values > 0 or composed_.front().in_shares)
      found_.json["lambda_max"] = lambda_max_of(points_.front());
    found_.json["points"] = ordered_json::array();
    for (const point& p : points_) {
      found_.json["points"].push_back(p.figures ? *p.figures : varied_of(p));
      found_.json["points"].back()["on_front"] = false;
    }
    found_.json["front"] = ordered_json::array();
    for (const std::size_t f : front) {
      found_.json["front"].push_back(measured[f]);
      found_.json["points"][measured[f]]["on_front"] = true;
    }
    found_.json["knee"] = knee ? ordered_json(measured[*knee]) : ordered_json();
    found_.json["hypervolume"] = hypervolume(trades, worst, all_places);
    if (knee) measure_knee(measured[*knee]);
    if (command_.path_values > 0) describe_path();
    print(measured, trades, front, knee);
  }

  /// The knee was chosen on these prompts, so its figures there are too good; they are measured again on others.
  void measure_knee(std::size_t k) {
    const point& p = points_[k];
    std::vector<prompt_pair> fresh;
    if (not command_.fit.data.task.empty()) {
      const auto sets = read_data(*model_, command_.fit.data, p.at.seed + 1, keys_of(composed_[p.composition].asked));
      fresh = sets[1].pairs;
    } else if (not command_.holdout.empty()) {
      fresh = read_pairs(*model_, command_.holdout, resolved_keys(p));
    }
    if (fresh.empty()) return;
    const auto m = composition_of(p).measure(values_of(k), fresh, {.strengths = command_.fit.objective.strengths});
    found_.json["knee_fresh"] = to_json(m);
    fresh_text_ = to_text("the knee on fresh prompts", m);
  }
  std::vector<position_key> resolved_keys(const point& p) const {
    auto keys = keys_of(composed_[p.composition].asked);
    for (auto& key : keys)
      if (key.by() == position_key::kind::absolute) key = key.resolved(p.data->sets.front().pairs);
    return keys;
  }

  void describe_path() {
    std::vector<path_point> path;
    for (std::size_t k = 0; k < points_.size() and points_[k].chain == 0 and points_[k].figures; ++k) {
      if (points_[k].figures->contains("failed")) break;
      path.push_back({.lambda = points_[k].at.lambda_m, .values = values_of(k)});
    }
    if (path.empty()) return;
    const auto entries = entries_of(path);
    const auto& layout = path.front().values.layout;
    found_.json["entry"] = places_of(layout, entries, model_->config().layers);
    for (const path_point& at : path) page_.lambdas.push_back(at.lambda);
    std::vector<std::pair<double, report::path_line>> lines;
    std::size_t record = 0;
    for (const parameter_block& block : layout.blocks) {
      const auto names = model_->names_of(block.positions, points_.front().data->sets.front().pairs);
      for (index_t r = 0; r < block.records(); ++r, ++record) {
        if (entries[record] == 0) continue;
        const index_t layer = block.layers[static_cast<std::size_t>(r / block.records_per_layer())];
        const auto position = static_cast<std::size_t>(r % block.records_per_layer() / block.parts);
        report::path_line line{block.site + " " + std::to_string(layer) + ", " + names[position], {}};
        const auto first = static_cast<std::size_t>(block.offset + r * block.record_size);
        for (const path_point& at : path) line.sizes.push_back(norm_of_record(block, at.values.theta, first));
        lines.emplace_back(entries[record], std::move(line));
      }
    }
    std::ranges::stable_sort(lines, std::greater<>{}, [](const auto& line) { return line.first; });
    for (auto& [entry, line] : lines) page_.places.push_back(std::move(line));
  }

  /// The page: the front, the path, the halves, and the fits on the front with their maps.
  void write_page() {
    std::vector<report::fit_report> fits;
    for (report::swept_point& p : page_.points) {
      if (not p.on_front) continue;
      const auto k = static_cast<std::size_t>(std::stoul(p.name.substr(p.name.find(' '))));
      const point& at = points_[k];
      fits.push_back(
          cli::describe(composition_of(at), values_of(k), at.data->sets, {}, p.name, made_at(at, at.at.steps)));
      p.link = "#fit-1." + std::to_string(fits.size());
    }
    const auto title = "sweep on " + name_of(command_.fit.model);
    report::write_html(command_.fit.report, title, {{title, std::move(fits), report::html_of(page_)}});
  }

  /// The untouched model on the prompts of the first point; a folder of an older trimtab does not know it.
  void add_untouched(const std::vector<std::size_t>& measured, std::size_t varied, report::table& table) const {
    if (measured.empty() or not points_[measured.front()].figures->contains("untouched")) return;
    const auto& bare = (*points_[measured.front()].figures)["untouched"];
    auto figures = bare;
    figures["nonzero_sites"] = 0;
    const auto t = trade_off_of(figures);
    std::vector<std::string> cells(varied + 1);
    cells.front() = "untouched";
    cells.push_back(report::number(t.flip_rate, 3) + " [" +
                    report::text_of(wilson(t.flip_rate, compared(bare)["prompts"].get<index_t>())) + "]");
    cells.push_back(report::number(t.kl, 4));
    cells.push_back("0");
    table.add(std::move(cells));
  }

  void print(const std::vector<std::size_t>& measured, const std::vector<trade_off>& trades,
             const std::vector<std::size_t>& front, std::optional<std::size_t> knee) {
    using report::number;
    std::vector<std::string> header{"point"};
    const auto names = varied_of(points_.front());
    for (const auto& [name, value] : names.items()) header.push_back(name);
    header.insert(header.end(), {"smallest flip rate [95 %]", "KL masked", "places", ""});
    report::table table(header);
    add_untouched(measured, names.size(), table);
    for (std::size_t i = 0; i < measured.size(); ++i) {
      const point& p = points_[measured[i]];
      std::vector<std::string> cells{std::to_string(measured[i])};
      const auto varied = varied_of(p);
      for (const auto& [name, value] : varied.items())
        cells.push_back(value.is_string()         ? value.get<std::string>()
                        : value.is_number_float() ? rounded(value.get<double>())
                                                  : value.dump());
      const auto n = compared(*p.figures)["prompts"].get<index_t>();
      cells.push_back(number(trades[i].flip_rate, 3) + " [" + report::text_of(wilson(trades[i].flip_rate, n)) + "]");
      cells.push_back(number(trades[i].kl, 4));
      cells.push_back(std::to_string(trades[i].places));
      const bool on_front = std::ranges::find(front, i) != front.end();
      cells.push_back(knee == i ? "knee" : on_front ? "front" : "");
      table.add(cells);
      page_.points.push_back({"point " + cells[0],
                              {cells.begin() + 1, cells.end() - 4},
                              trades[i],
                              wilson(trades[i].flip_rate, n),
                              on_front,
                              knee == i,
                              {}});
    }
    page_.varied = {header.begin() + 1, header.end() - 4};
    page_.hypervolume = found_.json["hypervolume"].get<double>();
    found_.text += table.text(report::wants_colour(STDOUT_FILENO)) + "hypervolume " +
                   rounded(found_.json["hypervolume"].get<double>()) + " (flip rate × KL × places)\n\n" + fresh_text_;
  }

  /// Pairs of complementary halves of the train prompts, each with all prompts to retain.
  std::vector<point_to_fit> halves_of(const std::vector<prompt_pair>& train, const std::vector<prompt_pair>& retained,
                                      const fit_settings& at) const {
    random_generator random(base_seed());
    std::vector<point_to_fit> halves;
    std::vector<std::size_t> order(train.size());
    for (std::size_t n = 0; n < order.size(); ++n) order[n] = n;
    for (index_t pair = 0; pair < command_.bootstrap; ++pair) {
      random.shuffle(order);
      for (const std::size_t first : {std::size_t{0}, order.size() / 2}) {
        point_to_fit half{.at = at};
        for (std::size_t n = first; n < first + order.size() / 2; ++n) half.prompts.push_back(train[order[n]]);
        half.prompts.insert(half.prompts.end(), retained.begin(), retained.end());
        halves.push_back(std::move(half));
      }
    }
    return halves;
  }

  /// Fits all halves that no earlier run fitted, and gives each fit to `use`; false where a signal ended it.
  bool fit_halves(const std::vector<point_to_fit>& halves, const std::function<void(const parameters&)>& use) {
    const auto& composition = *composed_.front().composition;
    const point as_point{.at = halves.front().at, .data = &data(composed_.front().asked, base_seed())};
    auto made = made_at(as_point, as_point.at.steps);
    made.erase("arguments");  // no command of its own fits a half
    std::vector<point_to_fit> left;
    std::vector<std::size_t> numbers;
    for (std::size_t k = 0; k < halves.size(); ++k) {
      if (const auto fitted = folder_ ? folder_->half(k) : std::nullopt) {
        use(composition.fit_to(*fitted, {.allow_other_weights = false}));
        continue;
      }
      left.push_back(halves[k]);
      numbers.push_back(k);
    }
    if (left.empty()) return true;
    report::progress_bar bar("halves", as_point.at.steps * std::ssize(left), not common_.quiet);
    const auto finished = [&](std::size_t n, const parameters& values) {
      made["half"] = std::to_string(numbers[n]);
      if (folder_) folder_->write_half(numbers[n], composition.make_file(values, made));
      use(values);
    };
    return composition.sweep(
        left, command_.fit.objective, {.subgradient = command_.fit.subgradient}, finished,
        {.bytes = bytes_of_pass(command_, memory_of_program()), .proceed = [&](const sweep_progress& now) {
           bar.show(now.steps, "of " + std::to_string(command_.bootstrap) + " pairs");
           return interrupt_watch::signal() == 0;
         }});
  }

  /// Fits complementary halves of the train prompts, and counts how often each place is kept (Shah and Samworth 2013).
  void select() {
    const composed_once& c = composed_.front();
    const prompts_of_seed& read = data(c.asked, base_seed());
    const auto& train = read.sets.front().pairs;
    if (train.size() < 2)
      throw error(error_kind::bad_data, "--bootstrap halves the train prompts, and there is only " +
                                            std::to_string(train.size()) + "; give more");
    auto at = c.base;
    if (c.base_in_shares) at.lambda_m *= lambda_max_of(points_.front());
    const auto halves = halves_of(train, read.retained, at);
    std::vector<double> kept;
    parameter_layout layout;
    double mean_kept = 0;
    const auto share = 1 / static_cast<double>(halves.size());
    const bool whole = fit_halves(halves, [&](const parameters& values) {
      layout = values.layout;
      std::size_t record = 0;
      each_record(layout, [&](const parameter_block& block, std::size_t first) {
        if (record == kept.size()) kept.push_back(0);
        const bool is_kept = norm_of_record(block, values.theta, first) > 0;
        kept[record++] += is_kept ? 1 : 0;
        mean_kept += is_kept ? share : 0;
      });
    });
    if (not whole) return;
    for (double& times : kept) times /= static_cast<double>(halves.size());
    constexpr double threshold = 0.8;
    const auto places = static_cast<double>(kept.size());
    const auto stable = std::ranges::count_if(kept, [](double x) { return x >= threshold; });
    const double bound = mean_kept * mean_kept / places / (2 * threshold - 1);
    found_.json["selected"] = places_of(layout, kept, model_->config().layers);
    report::map_group group{
        "kept", "In what share of the halves of the train prompts each place is kept.", "selected", {}};
    std::size_t offset = 0;
    for (const parameter_block& block : layout.blocks) {
      const auto share_at = [&](index_t layer, index_t position, index_t part) {
        const index_t r = (layer * block.positions.count() + position) * block.parts + part;
        return kept[offset + static_cast<std::size_t>(r)];
      };
      if (not block.layers.empty())
        group.maps.push_back(report::in_reading_order(
            report::detail::map_by(block, model_->names_of(block.positions, train), share_at), block.positions));
      offset += static_cast<std::size_t>(block.records());
    }
    page_.selection.push_back(std::move(group));
    found_.json["selection"] = {{"halves", halves.size()},
                                {"threshold", threshold},
                                {"stable_places", stable},
                                {"mean_kept", mean_kept},
                                {"false_places_at_most", bound}};
    found_.text += std::to_string(stable) + " of " + report::counted(kept.size(), "place") +
                   (stable == 1 ? " is kept in at least " : " are kept in at least ") +
                   report::number(100 * threshold, 0) + " % of " + std::to_string(halves.size()) +
                   " halves of the train prompts, which keep " + rounded(mean_kept) +
                   " on average. Of places that a half keeps no more often than by chance, at most " + rounded(bound) +
                   " are expected among them.\n";
  }

  const sweep_command& command_;
  const common_options& common_;
  std::unique_ptr<any_model> model_;
  std::map<std::string, prompts_of_seed> data_ = {};
  std::vector<composed_once> composed_ = {};
  std::vector<point> points_ = {};
  std::size_t chains_ = 0;
  std::map<std::tuple<std::size_t, std::uint64_t, double>, double> lambda_max_ = {};
  std::optional<io::sweep_folder> folder_ = {};
  std::size_t finished_ = 0, own_ = 0;
  index_t all_steps_ = 0;
  index_t resumed_steps_ = 0;
  std::string fresh_text_ = {};
  report::sweep_report page_ = {};
  output found_ = {};
};

}  // namespace

output sweep(const sweep_command& command, const common_options& common) {
  if (command.fit.size.plan) return plan_sweep(command, common);
  if (all_ranks().size() > 1 and command.out.empty())
    throw error(error_kind::bad_argument,
                "several ranks share a sweep through the folder of its points; name it by --out");
  require_writable(command.fit.report);
  return running(command, common).run();
}

}  // namespace trimtab::cli
