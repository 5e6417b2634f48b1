// SPDX-License-Identifier: Apache-2.0

#include "sweep_points.hpp"

#include "figures.hpp"
#include "memory.hpp"
#include "plan.hpp"
#include "provenance.hpp"
#include "ranks.hpp"
#include "talk.hpp"

#include <trimtab/text/joined.hpp>
#include <trimtab/train/checkpoint.hpp>

#include <algorithm>
#include <span>
#include <utility>

namespace trimtab::cli {

namespace {

std::string start_text(double sigma) { return sigma == 0 ? "identity" : "normal:" + exact(sigma); }

}  // namespace

sweep_points::sweep_points(const sweep_command& command, const common_options& common)
    : command_(command), common_(common), model_(load_model(command.fit.model, common)) {
  compose();
  lay_out_points();
  open_folder();
}

void sweep_points::compose() {
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

void sweep_points::lay_out_points() {
  for (std::size_t c = 0; c < composed_.size(); ++c)
    for (const fit_settings& at : grid(command_.axes, composed_[c].base)) {
      sweep_point one{.composition = c, .at = at, .data = &data(composed_[c].asked, at.seed)};
      if (command_.path_values > 0) {
        one.chain = chains_++;
        for (const double lambda : path_weights(lambda_max_of(one), command_.path_values, command_.path_end)) {
          one.at.lambda_m = lambda;
          points_.push_back(one);
        }
      } else {
        if (composed_[c].in_shares) {
          one.share = one.at.lambda_m;
          one.at.lambda_m *= lambda_max_of(one);
        }
        points_.push_back(one);
      }
    }
  for (std::size_t k = 0; k < points_.size(); ++k)
    if (is_own(k)) own_steps_ += points_[k].at.steps, ++own_;
}

void sweep_points::open_folder() {
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

const prompts_of_seed& sweep_points::data(const std::vector<at_option>& asked, std::uint64_t seed) {
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

objective_options sweep_points::objective_at(const sweep_point& p) const {
  auto o = command_.fit.objective;
  o.lambda_f = p.at.lambda_f;
  o.lambda_m = p.at.lambda_m;
  o.margin = p.at.margin;
  return o;
}

adam sweep_points::optimizer_at(const sweep_point& p) const {
  return {.learning_rate = p.at.learning_rate, .subgradient = command_.fit.subgradient};
}

std::map<std::string, std::string> sweep_points::made_at(const sweep_point& p, index_t steps) const {
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

double sweep_points::lambda_max_of(const sweep_point& p) {
  const auto key = std::tuple(p.composition, p.at.seed, p.at.margin);
  auto found = lambda_max_.find(key);
  if (found == lambda_max_.end())
    found =
        lambda_max_.emplace(key, composition_of(p).lambda_max(p.data->fitted_on(), objective_at(p), p.at.seed)).first;
  return found->second;
}

ordered_json sweep_points::varied_of(const sweep_point& p) const {
  auto json = ordered_json::object();
  for (const auto& name : command_.varied) {
    auto key = name;
    std::ranges::replace(key, '-', '_');
    if (name == "policy") json[key] = composed_[p.composition].command.policy;
    if (name == "positions") json[key] = composed_[p.composition].command.positions;
    if (name == "lambda-f") json[key] = p.at.lambda_f;
    if (name == "lambda-m") json[key] = p.at.lambda_m;
    if (name == "lambda-m" and p.share) json["lambda_m_share"] = *p.share;
    if (name == "margin") json[key] = p.at.margin;
    if (name == "lr") json[key] = p.at.learning_rate;
    if (name == "steps") json[key] = p.at.steps;
    if (name == "seed") json[key] = p.at.seed;
    if (name == "start") json[key] = start_text(p.at.start);
  }
  if (command_.path_values > 0) json["lambda_m"] = p.at.lambda_m;
  return json;
}

std::size_t sweep_points::rank_of(std::size_t k) const {
  return (command_.path_values > 0 ? points_[k].chain : k) % static_cast<std::size_t>(all_ranks().size());
}

bool sweep_points::is_own(std::size_t k) const { return rank_of(k) == static_cast<std::size_t>(all_ranks().rank()); }

void sweep_points::recall(std::size_t k) {
  if (not folder_) return;
  const auto text = folder_->figures(k);
  if (not text) return;
  points_[k].figures = ordered_json::parse(*text);
  count(k);
}

std::size_t sweep_points::found_in_folder() const {
  std::size_t found = 0;
  for (std::size_t k = 0; folder_ and k < points_.size(); ++k) found += folder_->figures(k).has_value();
  return found;
}

const parameters& sweep_points::values_of(std::size_t k) {
  sweep_point& p = points_[k];
  if (not p.values) p.values = composition_of(p).fit_to(folder_->intervention(k), {.allow_other_weights = false});
  return *p.values;
}

void sweep_points::count(std::size_t k) {
  ++finished_;
  finished_steps_ += points_[k].at.steps;
}

void sweep_points::finish(std::size_t k, const parameters& values, index_t steps, const ordered_json& more) {
  sweep_point& p = points_[k];
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

void sweep_points::fail(std::size_t k, const std::string& why) {
  auto figures = varied_of(points_[k]);
  figures["failed"] = why;
  warn("point " + std::to_string(k) + " failed: " + why);
  points_[k].figures = std::move(figures);
  count(k);
}

}  // namespace trimtab::cli
