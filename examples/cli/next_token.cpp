// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/chunk.hpp>
#include <range/v3/view/enumerate.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

/// `trimtab logits`: the next token of the untouched or the steered model.

namespace trimtab::cli {

namespace {

/// A model with or without an intervention.
class speaker {
 public:
  speaker(const any_model& model, const strength_options& steer, const common_options& common)
      : model_(model), strength_(steer.strength.value_or(1)) {
    if (steer.intervention.empty()) return;
    steered_ = read_steering(model, steer.intervention, common);
    if (has_roles(steered_->file.keys()))
      throw error(error_kind::bad_argument,
                  "'" + steer.intervention.string() +
                      "' finds its positions by role, and a prompt on the command line has none; use eval "
                      "or loss with prompts that have roles");
  }

  /// [scored positions, V]
  host_matrix<double> operator()(const std::vector<int>& ids, scored where) const {
    auto rows = steered_ ? steered_->composition->logits(steered_->values, {.ids = ids}, strength_, where)
                         : model_.logits(ids, where);
    if (not std::ranges::all_of(rows.values, [](double x) { return std::isfinite(x); }))
      throw error(error_kind::bad_argument,
                  "a logit is not a finite number: the strength or the parameters are too large, or the weights are "
                  "not finite");
    return rows;
  }

 private:
  const any_model& model_;
  double strength_;
  std::optional<steered_model> steered_ = {};
};

/// softmax(logits)
std::vector<double> probabilities(std::span<const double> logits) {
  const double top = *std::ranges::max_element(logits);
  std::vector<double> p;
  for (double z : logits) p.push_back(std::exp(z - top));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

/// The ids with the largest logits, the largest first; of equal logits the smaller id first.
std::vector<int> best(std::span<const double> logits, int count) {
  std::vector<int> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto last = ids.begin() + std::min<std::ptrdiff_t>(count, std::ssize(ids));
  const auto logit = [&](int id) { return logits[static_cast<std::size_t>(id)]; };
  std::partial_sort(ids.begin(), last, ids.end(),
                    [&](int a, int b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  ids.erase(last, ids.end());
  return ids;
}

/// The token of an id in quotes, or an empty string if the model has no tokenizer or the tokenizer no such id.
std::string quoted(const any_model& model, int id) {
  if (not model.has_tokenizer() or not model.tokenizer().contains(id)) return "";
  return ordered_json(model.tokenizer().decode(std::span(&id, 1)))
      .dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/// Adds the most probable tokens of one row of logits.
void add_top(const any_model& model, std::span<const double> logits, int count, output& to) {
  const auto p = probabilities(logits);
  auto list = ordered_json::array();
  for (const int id : best(logits, count)) {
    const auto i = static_cast<std::size_t>(id);
    ordered_json entry = {{"id", id}, {"logit", logits[i]}, {"probability", p[i]}};
    const auto token = quoted(model, id);
    if (not token.empty()) entry["token"] = ordered_json::parse(token);
    list.push_back(entry);
    to.text += columns({std::to_string(id), token, rounded(logits[i]), rounded(p[i])});
  }
  to.json["top"].push_back(list);
}

}  // namespace

output logits(const logits_command& command, const common_options& common) {
  const auto model = load_model(command.model, common);
  const auto ids = command.prompt ? prompt_ids(*model, *command.prompt) : command.ids;
  const auto rows = speaker(*model, command.steer, common)(ids, command.all ? scored::all : scored::last);
  const auto by_position = rows.values | ranges::views::chunk(rows.cols);

  output found;
  found.json["ids"] = ids;
  auto& numbers = found.json["logits"] = ordered_json::array();
  if (command.all)
    for (const auto row : by_position) numbers.push_back(row | ranges::to<std::vector>());
  else
    numbers = rows.values;

  output top;
  top.json["top"] = ordered_json::array();
  found.text = columns({"id", "token", "logit", "probability"});
  for (const auto& [position, row] : by_position | ranges::views::enumerate) {
    if (command.all) top.text += "after position " + std::to_string(position) + ":\n";
    add_top(*model, row, command.top > 0 ? command.top : 10, top);
  }
  found.text += top.text;
  if (command.top > 0) found.json["top"] = command.all ? top.json["top"] : top.json["top"].front();
  return found;
}

}  // namespace trimtab::cli
