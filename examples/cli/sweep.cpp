// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "figures.hpp"
#include "interrupt.hpp"
#include "memory.hpp"
#include "plan.hpp"
#include "ranks.hpp"
#include "report.hpp"
#include "sweep_points.hpp"
#include "talk.hpp"

#include <trimtab/report/page/html.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/report/text.hpp>

#include <optional>
#include <span>
#include <utility>

/// `trimtab sweep`: fits with many settings side by side, and the front of what they trade.

namespace trimtab::cli {

namespace {

/// Fits the points of a sweep.
class running {
 public:
  running(const sweep_command& command, const common_options& common)
      : command_(command), common_(common), points_(command, common) {}

  output run() {
    {
      warn_of_what_does_nothing();
      const interrupt_watch watch("the sweep ends within this step");
      if (const auto found = points_.found_in_folder(); found > 0 and not common_.quiet)
        tell("found " + std::to_string(found) + " of " + report::counted(points_.size(), "point") + " finished in '" +
             command_.out.string() + "'");
      for (std::size_t k = 0; k < points_.size(); ++k)
        if (points_.is_own(k)) points_.recall(k);
      command_.path_values > 0 ? follow_paths() : fit_all();
    }
    if (all_ranks().size() > 1 and not take_from_ranks()) return {};
    report::sweep_report page;
    add_figures(points_, command_, page, found_);
    if (command_.bootstrap > 0 and interrupt_watch::signal() == 0) add_halves(points_, command_, common_, page, found_);
    if (not command_.fit.report.empty()) write_page(page);
    if (interrupt_watch::signal() != 0) {
      tell("ended by " + interrupt_watch::name_of(interrupt_watch::signal()) + " with " +
           std::to_string(points_.finished()) + " of " + report::counted(points_.size(), "point") + " finished" +
           (command_.out.empty() ? "; without --out they are not kept"
                                 : "; the same command goes on from '" + command_.out.string() + "'"));
      found_.status = interrupt_watch::status_of(interrupt_watch::signal());
    }
    found_.json["interrupted"] = interrupt_watch::signal() != 0;
    return std::move(found_);
  }

 private:
  /// Says which options do nothing: those whose values --vary or --path says, but for the halves of --bootstrap, and a
  /// seed that draws nothing.
  void warn_of_what_does_nothing() const {
    const auto& fit = command_.fit;
    const auto warn_of = [&](const std::string& option, const std::string& instead) {
      if (std::ranges::find(fit.given, option, &given_option::name) != fit.given.end())
        warn(option + " is not used, because " + instead + " says its values");
    };
    if (command_.bootstrap == 0) {
      for (const auto& name : command_.varied) warn_of("--" + (name == "start" ? "init" : name), "--vary " + name);
      if (command_.path_values > 0) warn_of("--lambda-m", "--path");
    }
    const bool starts_at_random =
        fit.init > 0 or std::ranges::any_of(command_.axes.start, [](double sigma) { return sigma > 0; }) or
        std::ranges::any_of(points_.composed(),
                            [](const auto& one) { return not one.composition->starts_at_identity(); });
    if (command_.axes.seed.size() > 1 and fit.data.task.empty() and not starts_at_random)
      warn("--vary seed repeats each fit: the prompts come from a file, and no fit starts at random");
  }

  /// Takes the points that other ranks finished from the folder; false for a rank that has nothing else to do.
  bool take_from_ranks() {
    auto failures = ordered_json::object();
    for (std::size_t k = 0; k < points_.size(); ++k)
      if (points_.is_own(k) and points_[k].figures and points_[k].figures->contains("failed"))
        failures[std::to_string(k)] = *points_[k].figures;
    const std::string mine = failures.dump();
    std::vector<index_t> counts(static_cast<std::size_t>(all_ranks().size()));
    const auto failed_on = all_ranks().all_gather(std::as_bytes(std::span(mine)));
    if (not is_first_rank()) return false;
    for (const auto& bytes : failed_on) {
      const auto failed = ordered_json::parse(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
      for (const auto& [k, figures] : failed.items()) {
        sweep_point& p = points_[std::stoul(k)];
        if (not p.figures) warn("point " + k + " failed: " + figures["failed"].get<std::string>());
        p.figures = figures;
      }
    }
    for (std::size_t k = 0; k < points_.size(); ++k) {
      ++counts[points_.rank_of(k)];
      if (points_.is_own(k)) continue;
      points_[k].figures ? points_.count(k) : points_.recall(k);
    }
    const auto prompts = points_.front().data->sets.front().pairs.size();
    found_.json["ranks"] = {{"count", counts.size()},
                            {"prompts", std::vector(counts.size(), prompts)},
                            {"points", counts},
                            {"bytes_per_step", 0}};
    return true;
  }

  /// All points of a composition that are not finished yet share their passes.
  void fit_all() {
    report::progress_bar bar("sweep", points_.own_steps(), not common_.quiet);
    for (std::size_t c = 0; c < points_.composed().size() and interrupt_watch::signal() == 0; ++c) {
      std::vector<point_to_fit> left;
      std::vector<std::size_t> numbers;
      for (std::size_t k = 0; k < points_.size(); ++k)
        if (points_[k].composition == c and points_.is_own(k) and not points_[k].figures) {
          left.push_back({points_[k].data->fitted_on(), points_[k].at});
          numbers.push_back(k);
        }
      if (left.empty()) continue;
      const index_t before = points_.finished_steps();
      points_.composed()[c].composition->sweep(
          left, command_.fit.objective, {.subgradient = command_.fit.subgradient},
          [&](std::size_t n, const parameters& values) {
            points_.finish(numbers[n], values, points_[numbers[n]].at.steps);
          },
          {.bytes = bytes_of_pass(command_, memory_of_program()),
           .proceed =
               [&](const sweep_progress& now) {
                 bar.show(before + now.steps,
                          std::to_string(points_.finished()) + " of " + std::to_string(points_.own()) + " points");
                 return interrupt_watch::signal() == 0;
               },
           .failed = [&](std::size_t n, const std::string& why) { points_.fail(numbers[n], why); }});
    }
  }

  /// The paths of a composition go down side by side. One whose loss is no longer finite ends there.
  void follow_paths() {
    report::progress_bar bar("path", static_cast<index_t>(points_.size()), not common_.quiet);
    const auto values = static_cast<std::size_t>(command_.path_values);
    for (std::size_t at = 0; at < values; ++at)
      for (std::size_t c = 0; c < points_.composed().size() and interrupt_watch::signal() == 0; ++c) {
        std::vector<point_to_fit> next;
        std::vector<std::optional<parameters>> starts;
        std::vector<std::size_t> numbers;
        for (std::size_t k = at; k < points_.size(); k += values) {
          const sweep_point& p = points_[k];
          if (p.composition != c or not points_.is_own(k) or p.figures) continue;
          if (at > 0 and points_[k - 1].figures->contains("failed")) {
            points_.fail(k, "the fit before it on the path failed");
            continue;
          }
          next.push_back({p.data->fitted_on(), p.at});
          starts.push_back(at == 0 ? std::nullopt : std::optional(points_.values_of(k - 1)));
          numbers.push_back(k);
        }
        if (next.empty()) continue;
        bar.show(static_cast<index_t>(points_.finished()) + 1, "lambda-m " + rounded(next.front().at.lambda_m));
        points_.composed()[c].composition->next_on_paths(
            next, starts, command_.fit.objective, {.subgradient = command_.fit.subgradient},
            bytes_of_pass(command_, memory_of_program()), {.go_on = [] { return interrupt_watch::signal() == 0; }},
            [&](std::size_t n, const std::string& why) { points_.fail(numbers[n], why); },
            [&](std::size_t n, const path_point& found) {
              points_.finish(
                  numbers[n], found.values, found.steps,
                  {{"steps", found.steps}, {"violation", found.violation}, {"stationary", found.is_stationary}});
            });
      }
  }

  /// The page: the front, the path, the halves, and the fits on the front with their maps.
  void write_page(report::sweep_report& page) {
    std::vector<report::fit_report> fits;
    for (report::swept_point& p : page.points) {
      if (not p.on_front) continue;
      const auto k = static_cast<std::size_t>(std::stoul(p.name.substr(p.name.find(' '))));
      const sweep_point& at = points_[k];
      fits.push_back(cli::describe(points_.composition_of(at), points_.values_of(k), at.data->sets,
                                   command_.fit.data.task, {}, p.name, points_.made_at(at, at.at.steps)));
      p.link = "#fit-1." + std::to_string(fits.size());
    }
    const auto title = "sweep on " + name_of(command_.fit.model);
    report::write_html(command_.fit.report, title, {{title, std::move(fits), report::html_of(page)}});
  }

  const sweep_command& command_;
  const common_options& common_;
  sweep_points points_;
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
