// SPDX-License-Identifier: Apache-2.0

#include "study.hpp"

#include <trimtab/io/intervention_file.hpp>
#include <trimtab/measure/pareto.hpp>
#include <trimtab/report/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

/// ActivScalar against SteerVec on three sets of sites, over several draws of the prompts.

namespace trimtab::cli {

namespace {

// Margins, fixed before anything is measured. Flip rates may be lower by one prompt in ten, and the KL divergence
// higher by a twentieth of a nat; one parameter fewer counts as fewer; two fits agree if they share half of the places.
constexpr double rate_margin = -0.1, kl_margin = -0.05, fewer_margin = 1, shared_margin = 0.5;

struct site_set {
  std::string name, sites, title;
};
const site_set site_sets[] = {{"mlp", "mlp_out", "mlp_out"},
                              {"both", "attn_out,mlp_out", "attn_out and mlp_out"},
                              {"all", "attn_out,mlp_out,resid_post", "all three sites"}};
const std::pair<std::string, std::string> policies[] = {{"activ-scalar", "ActivScalar"}, {"steer-vec", "SteerVec"}};

int style_of(const std::string& policy) { return policy == "activ-scalar" ? 0 : 2; }

std::string fit_name(const site_set& set, const std::string& policy, int seed) {
  return "sites/" + set.name + "/" + policy + "-" + std::to_string(seed);
}

std::vector<study_part> site_parts(const study_subject& subject) {
  std::vector<study_part> parts;
  for (const auto& set : site_sets)
    for (const auto& [policy, title] : policies)
      for (int seed = 1; seed <= subject.with.seeds; ++seed) {
        const auto name = fit_name(set, policy, seed);
        const std::vector<std::string> data = {"--data", subject.prompts(seed, "train"), "--test",
                                               subject.prompts(seed, "test")};
        auto options = all_words({data, {"--policy", policy, "--positions", subject.positions()}});
        // All three are the default, of which SteerVec leaves out those where it would repeat a later one.
        if (set.name != "all") options.insert(options.end(), {"--sites", set.sites});
        if (set.name == "all" and seed == 1)  // of which the experiment on norm and direction shows maps
          options.insert(options.end(), {"--heatmap", subject.file(name + "-maps.json").string()});
        parts.push_back(fit_part(subject, name, options, subject.with.train));
        parts.push_back(eval_part(subject, name + "-prompts", name, data, subject.with.train + subject.with.test));
      }
  return parts;
}

/// A fit, as the tables show it.
struct measured_fit {
  io::json fit = {}, eval = {};
  std::vector<bool> kept = {};  ///< by place, of ActivScalar
};

std::vector<bool> kept_places(const path& file) {
  std::vector<bool> kept;
  for (const auto& one : io::read_intervention(file).interventions)
    for (const auto& parameter : one.parameters)
      for (const double x : parameter.numbers.values) kept.push_back(x != 0);
  return kept;
}

using fits_by_seed = std::vector<measured_fit>;

fits_by_seed read_fits(const study_report& from, const site_set& set, const std::string& policy) {
  fits_by_seed fits;
  for (int seed = 1; seed <= from.subject().with.seeds; ++seed) {
    const auto name = fit_name(set, policy, seed);
    fits.push_back({from.output_of(name), from.output_of(name + "-prompts"), {}});
    if (policy == "activ-scalar") fits.back().kept = kept_places(from.subject().file(name + ".safetensors"));
  }
  return fits;
}

/// One list of all seeds' values.
template <typename Values>
std::vector<double> pooled(const fits_by_seed& fits, const std::string& set, Values values) {
  std::vector<double> all;
  for (const auto& one : fits) {
    const auto of_one = values(one.eval[set]);
    all.insert(all.end(), of_one.begin(), of_one.end());
  }
  return all;
}

double mean(const std::vector<double>& values) { return mean_of(values).mean; }

void judge(study_report& to, const site_set& set, const fits_by_seed& own, const fits_by_seed& other) {
  const auto named = [&](const std::string& what) { return what + ", " + set.title; };
  to.hypothesis(named("ActivScalar is as effective as SteerVec"),
                rate_at_least(rate_margin, pooled(own, "test", follows_both), pooled(other, "test", follows_both)));
  auto kl = pooled(other, "test", kl_of_each);
  const auto own_kl = pooled(own, "test", kl_of_each);
  for (std::size_t n = 0; n < kl.size(); ++n) kl[n] -= own_kl[n];
  to.hypothesis(named("ActivScalar is as faithful as SteerVec"), mean_at_least(kl_margin, kl));
  std::vector<double> fewer;
  for (std::size_t seed = 0; seed < own.size(); ++seed)
    fewer.push_back(other[seed].fit["nonzero_parameters"].get<double>() -
                    own[seed].fit["nonzero_parameters"].get<double>());
  to.hypothesis(named("ActivScalar keeps fewer parameters than SteerVec"), mean_at_least(fewer_margin, fewer));
  for (const auto& [title, fits] : {std::pair("ActivScalar", &own), std::pair("SteerVec", &other)}) {
    const auto test = pooled(*fits, "test", follows_both), train = pooled(*fits, "train", follows_both);
    to.hypothesis(named(std::string(title) + " generalises to test prompts"),
                  generalises(rate_margin, mean(test), std::ssize(test), mean(train), std::ssize(train)));
  }
  std::vector<std::vector<bool>> kept;
  for (const auto& one : own) kept.push_back(one.kept);
  const auto shared = agreements(kept);
  to.hypothesis(named("ActivScalar's places are stable over seeds"),
                shared.empty() ? at_least(shared_margin, std::nan(""), {std::nan(""), std::nan("")})
                               : mean_at_least(shared_margin, shared));
}

/// A panel of the main figure: at x = 1, 2, 3 a mark for each policy and set of prompts, with its interval.
report::line_chart panel(const std::string& title, const std::string& y_axis, bool by_set = true) {
  report::line_chart chart{.title = title,
                           .note = by_set
                                       ? "Crosses are train prompts, points are test prompts; bars are 95 % intervals."
                                       : "Over draws of the prompts; bars are 95 % intervals.",
                           .x_axis = "1: mlp_out, 2: attn_out and mlp_out, 3: all three sites",
                           .y_axis = y_axis};
  for (const auto& [policy, name] : policies) {
    if (by_set) chart.lines.push_back({name + ", train", style_of(policy), false, true, {}, true});
    chart.lines.push_back({name + (by_set ? ", test" : ""), style_of(policy), false, true, {}, false});
  }
  return chart;
}

/// `line` is the number of a line of the panel; lines stand beside each other.
void add(report::line_chart& to, std::size_t sites, std::size_t line, double y, const interval& within) {
  auto& marks = to.lines[line];
  marks.points.push_back({static_cast<double>(sites) + 1 +
                              0.12 * (static_cast<double>(line) - static_cast<double>(to.lines.size() - 1) / 2),
                          y,
                          marks.name + ": " + report::exact(y),
                          {},
                          {},
                          within.low,
                          within.high});
}

interval around_mean(const std::vector<double>& values) { return mean_at_least(0, values).within; }

struct traded_fit {
  trade_off figures = {};
  std::size_t policy = 0;
  std::string sites = {}, seed = {};
};

/// Two of the three figures that fits trade, whatever the third.
struct traded_pair {
  std::string file, title, x_axis, y_axis;
  double (*x)(const trade_off&);
  double (*y)(const trade_off&);
  trade_off (*of)(const trade_off&);  ///< with the third figure alike for all
};

double flips(const trade_off& fit) { return fit.flip_rate; }
double kl(const trade_off& fit) { return fit.kl; }
double places(const trade_off& fit) { return static_cast<double>(fit.places); }

const std::string flips_axis = "smallest flip rate", kl_axis = "KL divergence, answers left out",
                  places_axis = "places that are kept";

const traded_pair traded_pairs[] = {
    {"flips-and-kl", "Flips and side effects", kl_axis, flips_axis, kl, flips,
     [](const trade_off& fit) {
       return trade_off{fit.flip_rate, fit.kl, 0};
     }},
    {"flips-and-places", "Flips and size", places_axis, flips_axis, places, flips,
     [](const trade_off& fit) {
       return trade_off{fit.flip_rate, 0, fit.places};
     }},
    {"kl-and-places", "Side effects and size", places_axis, kl_axis, places, kl, [](const trade_off& fit) {
       return trade_off{0, fit.kl, fit.places};
     }}};

/// The fits that no other betters in these two figures, along the x axis.
std::vector<std::size_t> front_in(const traded_pair& pair, const std::vector<traded_fit>& fits) {
  std::vector<trade_off> alike;
  for (const auto& fit : fits) alike.push_back(pair.of(fit.figures));
  auto front = front_of(alike);
  std::ranges::stable_sort(front, {}, [&](std::size_t k) { return pair.x(alike[k]); });
  return front;
}

/// Every fit as a mark, and the front as a line.
report::line_chart traded(const traded_pair& pair, const std::vector<traded_fit>& fits,
                          const std::vector<std::size_t>& front) {
  report::line_chart chart{.title = pair.title,
                           .note =
                               "Each mark is a fit, on test prompts; the line joins those that no other fit betters "
                               "in these two figures.",
                           .x_axis = pair.x_axis,
                           .y_axis = pair.y_axis};
  chart.lines.push_back({"front", 4});
  for (const std::size_t k : front)
    chart.lines.front().points.push_back({pair.x(fits[k].figures), pair.y(fits[k].figures)});
  for (const auto& [policy, name] : policies) chart.lines.push_back({name, style_of(policy), false, true, {}});
  for (const auto& [fit, policy, sites, seed] : fits)
    chart.lines[1 + policy].points.push_back({pair.x(fit), pair.y(fit),
                                              "flip rate " + report::exact(fit.flip_rate) + ", KL " +
                                                  report::exact(fit.kl) + ", " + std::to_string(fit.places) +
                                                  " places"});
  return chart;
}

void show_sites(study_report& to) {
  to.heading("ActivScalar against SteerVec");
  auto effectiveness = panel("Effectiveness", "share of prompts that follow both strengths"),
       faithfulness = panel("Faithfulness", "KL divergence, answers left out"),
       minimality = panel("Minimality", "log₁₀ of the parameters that are kept", false);
  std::vector<std::vector<std::string>> rows;
  std::vector<traded_fit> fits_traded;
  for (std::size_t s = 0; s < std::size(site_sets); ++s) {
    const auto& set = site_sets[s];
    const auto own = read_fits(to, set, "activ-scalar"), other = read_fits(to, set, "steer-vec");
    for (std::size_t p = 0; p < 2; ++p) {
      const auto& fits = p == 0 ? own : other;
      std::size_t line = 2 * p;
      std::vector<double> sizes;
      for (std::size_t seed = 0; seed < fits.size(); ++seed) {
        const auto& fit = fits[seed].fit;
        sizes.push_back(std::log10(std::max(1.0, fit["nonzero_parameters"].get<double>())));
        for (const auto* prompts : {"train", "test"}) {
          const auto& m = fits[seed].eval[prompts];
          const auto& within = m["flip_rate_interval"]["both"];
          rows.push_back({set.sites, policies[p].second, std::to_string(seed + 1), prompts, m["prompts"].dump(),
                          m["flip_rate"]["both"].dump(), within[0].dump(), within[1].dump(),
                          m["flip_rate"]["+1"].dump(), m["flip_rate"]["-1"].dump(), m["kl_masked"].dump(),
                          m["kl_masked_error"].dump(), fit["parameters"].dump(), fit["nonzero_parameters"].dump(),
                          fit["nonzero_sites"].dump()});
        }
        const auto& test = fits[seed].eval["test"];
        fits_traded.push_back({{std::min(test["flip_rate"]["+1"].get<double>(), test["flip_rate"]["-1"].get<double>()),
                                test["kl_masked"].get<double>(), fit["nonzero_sites"].get<index_t>()},
                               p,
                               set.sites,
                               std::to_string(seed + 1)});
      }
      for (const auto* prompts : {"train", "test"}) {
        const auto follows = pooled(fits, prompts, follows_both), kl = pooled(fits, prompts, kl_of_each);
        add(effectiveness, s, line, mean(follows), wilson(mean(follows), std::ssize(follows)));
        add(faithfulness, s, line, mean(kl), around_mean(kl));
        ++line;
      }
      add(minimality, s, p, mean(sizes), around_mean(sizes));
    }
    judge(to, set, own, other);
  }

  std::vector<std::pair<std::string, report::line_chart>> charts{
      {"effectiveness", effectiveness}, {"faithfulness", faithfulness}, {"minimality", minimality}};
  std::vector<std::vector<std::string>> on_fronts;
  for (const auto& pair : traded_pairs) {
    const auto front = front_in(pair, fits_traded);
    charts.emplace_back(pair.file, traded(pair, fits_traded, front));
    for (const std::size_t k : front)
      on_fronts.push_back(
          {pair.file, fits_traded[k].sites, policies[fits_traded[k].policy].second, fits_traded[k].seed});
  }
  to.charts(charts);
  to.data("fronts", {"figures", "sites", "policy", "seed"}, on_fronts);
  to.table(
      "sites",
      {"sites", "policy", "seed", "prompts of", "prompts", "follow_both", "low", "high", "flip_rate_+1", "flip_rate_-1",
       "kl_masked", "kl_masked_error", "parameters", "kept", "places"},
      rows,
      "Rates with Wilson's 95 % interval. Of all three sites SteerVec leaves out those where it would repeat a later "
      "one.");
}

}  // namespace

const study_experiment against_steer_vec{"sites", site_parts, show_sites};

}  // namespace trimtab::cli
