// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "talk.hpp"

#include <trimtab/core/random.hpp>
#include <trimtab/text/joined.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/chunk.hpp>
#include <range/v3/view/enumerate.hpp>
#include <range/v3/view/filter.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

/// `trimtab logits` and `trimtab generate`: the next token of the untouched or the steered model.

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

  bool needs_one_length() const { return steered_ and absolute_of(steered_->file.keys()); }
  index_t length() const { return absolute_of(steered_->file.keys())->count(); }

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

/// softmax(logits / temperature)
std::vector<double> probabilities(std::span<const double> logits, double temperature = 1) {
  const double top = *std::ranges::max_element(logits);
  std::vector<double> p;
  for (double z : logits) p.push_back(std::exp((z - top) / temperature));
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

int sample(std::span<const double> logits, double temperature, random_generator& random) {
  if (temperature == 0) return best(logits, 1).front();
  const auto p = probabilities(logits, temperature);
  double left = random.uniform();
  for (std::size_t id = 0; id < p.size(); ++id)
    if ((left -= p[id]) < 0) return static_cast<int>(id);
  return best(logits, 1).front();  // rounding left a remainder
}

std::vector<int> encode(const any_model& model, const std::string& prompt) {
  try {
    auto ids = model.tokenizer().encode_prompt(prompt);
    if (ids.empty()) throw error(error_kind::bad_text, "the prompt is empty; it needs at least one token");
    return ids;
  } catch (const error& problem) {
    if (problem.kind() != error_kind::bad_text) throw;
    throw error(problem.kind(), std::string("--prompt: ") + problem.what());
  }
}

}  // namespace

output logits(const logits_command& command, const common_options& common) {
  const auto model = load_model(command.model, common);
  const auto ids = command.prompt ? encode(*model, *command.prompt) : command.ids;
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

output generate(const generate_command& command, const common_options& common) {
  const auto model = load_model(command.model, common);
  const auto speak = speaker(*model, command.steer, common);
  const auto& [end, stated_by, not_used] = model->end_tokens();
  if (not not_used.empty())
    warn("what the model's folder says of generation is not used: " + text::joined(not_used, ", ") +
         "; the options of this command say how to sample");
  auto ids = command.prompt ? encode(*model, *command.prompt) : command.ids;
  const auto prompt_length = ids.size();
  check_prompt(model->config(), ids);
  if (speak.needs_one_length() and (command.max_new_tokens > 1 or std::ssize(ids) != speak.length()))
    throw error(error_kind::bad_argument,
                "'" + command.steer.intervention.string() + "' has absolute positions for prompts of " +
                    std::to_string(speak.length()) +
                    " tokens, but generated text has no fixed length; fit with from_end or shared "
                    "positions to generate");

  random_generator random(command.seed);
  std::string stopped = "length";
  for (int count = 0; count < command.max_new_tokens; ++count) {
    if (std::ssize(ids) >= model->config().context) {
      stopped = "context";
      break;
    }
    const int next = sample(speak(ids, scored::last).values, command.temperature, random);
    if (std::ranges::find(end, next) != end.end()) {
      stopped = "end_of_text";
      break;
    }
    ids.push_back(next);
  }

  const auto all = std::span<const int>(ids);
  const auto added = all.subspan(prompt_length);
  output found;
  found.json = {{"prompt_ids", all.first(prompt_length)}, {"ids", added}, {"text", nullptr}, {"stopped", stopped}};
  if (not model->has_tokenizer()) {
    found.text = text::joined(ids, ",", [](int id) { return std::to_string(id); }) + "\n";
    return found;
  }
  // A padded vocabulary has ids without a token; they stand for no text.
  const auto text_of = [&](std::span<const int> part) {
    const auto is_known = [&](int id) { return model->tokenizer().contains(id); };
    return model->tokenizer().decode(part | ranges::views::filter(is_known) | ranges::to<std::vector>());
  };
  found.json["text"] = text_of(added);
  // What stands before every prompt is no text that somebody wrote.
  found.text = text_of(all.subspan(command.prompt ? model->tokenizer().before().size() : 0)) + "\n";
  return found;
}

}  // namespace trimtab::cli
