// SPDX-License-Identifier: Apache-2.0

#include "data.hpp"

#include "answers.hpp"
#include "talk.hpp"

#include <trimtab/io/declared_parameters.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/intervention_tensors.hpp>
#include <trimtab/io/prompt_file.hpp>
#include <trimtab/task/ccc.hpp>
#include <trimtab/task/ioi.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

#ifdef TRIMTAB_INSTANCES
#  include <trimtab/instances/tasks.hpp>
#endif

namespace trimtab::cli {

namespace {

/// The prompts that the untouched model gets right, or wrong.
void keep_only(kept_prompts which, const any_folder& folder, std::vector<named_prompts>& sets) {
  if (which == kept_prompts::all) return;
  const auto* const model = dynamic_cast<const any_model*>(&folder);
  if (model == nullptr)
    throw error(error_kind::bad_argument,
                "--only asks the model, and --plan reads no weights; leave out one of the two");
  const std::string word = which == kept_prompts::right ? "right" : "wrong";
  for (auto& set : sets) {
    const bool had_any = not set.pairs.empty();
    std::erase_if(set.pairs, [&](const prompt_pair& pair) { return not is_kept(which, *model, pair); });
    if (had_any and set.pairs.empty())
      throw error(error_kind::bad_data, "--only " + word + " leaves no prompt of " + set.name +
                                            ": the untouched model gets none of them " + word +
                                            "; leave out --only, or give other prompts");
  }
}

}  // namespace

untouched_answer answer_of(const any_model& model, const prompt_pair& pair) {
  const auto logits = model.logits(pair.ids, scored::last);
  const auto mass_of = [&](std::span<const int> answers) {
    double sum = 0;
    for (const int id : answers) sum += std::exp(logits.values[static_cast<std::size_t>(id)]);
    return sum;
  };
  const auto likeliest = std::ranges::max_element(logits.values) - logits.values.begin();
  const auto correct = pair.correct_ids();
  return {.is_right = mass_of(correct) > mass_of(pair.wrong_ids()),
          .is_said = std::ranges::find(correct, likeliest) != correct.end()};
}

bool is_kept(kept_prompts which, const any_model& model, const prompt_pair& pair) {
  return which == kept_prompts::all or answer_of(model, pair).is_right == (which == kept_prompts::right);
}

task::prompt_sets make_task(const any_folder& model, const data_options& data, std::uint64_t seed, int other_lengths) {
  const auto plain = task::ioi_options{};
  const int train = data.train_count.value_or(plain.train), test = data.test_count.value_or(plain.test);
  const text::tokenizer& tokenizer = model.tokenizer();
  if (data.task == "ioi")
    return task::ioi(
        tokenizer,
        {.train = train, .test = test, .test_other_lengths = other_lengths, .seed = seed, .shape = data.shape});
  return task::ccc(
      tokenizer,
      {.train = train, .test = test, .test_other_lengths = other_lengths, .seed = seed, .shape = data.shape});
}

std::optional<position_key> absolute_of(const std::vector<position_key>& keys) {
  const auto found = std::ranges::find(keys, position_key::kind::absolute, &position_key::by);
  return found == keys.end() ? std::nullopt : std::optional(*found);
}

bool has_roles(const std::vector<position_key>& keys) {
  return std::ranges::find(keys, position_key::kind::role, &position_key::by) != keys.end();
}

std::vector<named_prompts> read_data(const any_folder& model, const data_options& data, std::uint64_t seed,
                                     const std::vector<position_key>& keys, const std::string& only) {
  const bool any_length = not absolute_of(keys);
  std::vector<named_prompts> sets;
  if (data.task.empty()) {
    sets.push_back({data.test.empty() ? only : "train", read_pairs(model, data.train, keys)});
    if (not data.test.empty()) {
      std::vector<position_key> resolved;
      for (const auto& key : keys)
        resolved.push_back(key.by() == position_key::kind::absolute ? key.resolved(sets.front().pairs) : key);
      sets.push_back({"test", read_pairs(model, data.test, resolved)});
    }
    keep_only(data.only, model, sets);
    return sets;
  }
  const auto plain = task::ioi_options{};
  auto task = make_task(model, data, seed, any_length ? plain.test_other_lengths : 0);
  sets.push_back({"train", std::move(task.train)});
  sets.push_back({"test", std::move(task.test)});
  if (any_length) sets.push_back({"test_other_lengths", std::move(task.test_other_lengths)});
  keep_only(data.only, model, sets);
  return sets;
}

std::vector<int> prompt_ids(const any_folder& model, const std::string& prompt) {
  try {
    auto ids = model.tokenizer().encode_prompt(prompt);
    if (ids.empty()) throw error(error_kind::bad_text, "the prompt is empty; it needs at least one token");
    return ids;
  } catch (const error& problem) {
    if (problem.kind() != error_kind::bad_text) throw;
    throw error(problem.kind(), std::string("--prompt: ") + problem.what());
  }
}

std::vector<prompt_pair> read_pairs(const any_folder& model, const path& file, const std::vector<position_key>& keys) {
  const auto& config = model.config();
  const auto absolute = absolute_of(keys);
  auto pairs = io::read_prompts(file, model_encoder{model},
                                {.vocabulary = config.vocabulary,
                                 .context = config.context,
                                 .length = absolute ? absolute->count() : 0,
                                 .one_length = absolute.has_value()});
  try {
    for (const auto& key : keys)
      (void)key.resolved(pairs);  // throws for a role that no prompt has: it would leave all of them untouched
  } catch (const error& problem) {
    throw error(problem.kind(), "'" + file.string() + "': " + problem.what());
  }
  return pairs;
}

std::vector<prompt_pair> read_retained(const any_folder& model, const path& file, const std::vector<position_key>& keys,
                                       const std::vector<prompt_pair>& prompts) {
  if (file.empty()) return {};
  const auto absolute = absolute_of(keys);
  auto retained = io::read_texts(file, model_encoder{model},
                                 {.vocabulary = model.config().vocabulary,
                                  .context = model.config().context,
                                  .length = absolute ? absolute->resolved(prompts).count() : 0});
  for (auto& one : retained) one.retained = true;
  return retained;
}

std::vector<prompt_pair> with_retained(std::vector<prompt_pair> pairs, const std::vector<prompt_pair>& retained) {
  pairs.insert(pairs.end(), retained.begin(), retained.end());
  return pairs;
}

std::optional<std::string> empty_masked_kl(const any_model& model, const objective_options& objective,
                                           const std::vector<named_prompts>& sets) {
  if (objective.kl != objective::vocabulary::masked) return std::nullopt;
  for (const auto& set : sets)
    for (const auto& pair : set.pairs)
      if (std::ssize(pair.correct_ids()) + std::ssize(pair.wrong_ids()) + 1 >= model.config().vocabulary)
        return "the answers of a prompt of '" + set.name +
               "' leave at most one other token of the vocabulary, so the KL without the answers is always 0; give "
               "--kl full to count all tokens";
  return std::nullopt;
}

std::vector<prompt_pair> read_explained(const any_folder& model, const data_options& data, bool corrupt) {
  std::vector<named_prompts> sets;
  if (not data.task.empty())
    sets = {{"test", make_task(model, data, data.seed.value_or(1), 0).test}};
  else
    sets = {{"data",
             io::read_prompts(
                 data.train, model_encoder{model},
                 {.vocabulary = model.config().vocabulary, .context = model.config().context, .corrupt = corrupt})}};
  keep_only(data.only, model, sets);
  return std::move(sets.front().pairs);
}

std::string before_prompts(const any_folder& model) {
  return model.has_tokenizer() ? model.tokenizer().decode(model.tokenizer().before()) : "";
}

std::vector<chosen_at> chosen_in(const intervention_file& file) {
  std::vector<chosen_at> chosen;
  for (const auto& i : file.interventions) {
    chosen_at one{.site = i.site, .policy = i.policy, .layers = layers::list(i.layers), .positions = i.positions};
    one.parameters = declared_parameters(i);
    chosen.push_back(std::move(one));
  }
  return chosen;
}

steered_model read_steering(const any_model& model, const path& file, const common_options& common) {
  steered_model result{io::read_intervention(file), nullptr, {}};
  const auto& read = result.file;
  require_fits(read, model.config(), {}, "'" + file.string() + "'");
  const auto made_before = read.made.find("prompts_begin_with");
  const auto then = made_before == read.made.end() ? "" : made_before->second;
  const auto shown = [](const std::string& tokens) { return tokens.empty() ? "no token" : text::in_quotes(tokens); };
  if (const auto now = before_prompts(model); model.has_tokenizer() and now != then)
    warn("'" + file.string() + "' was fitted on prompts with " + shown(then) + " before their text, and now " +
         "they have " + shown(now) + "; --bos and --no-bos choose");
  try {
    result.composition = model.compose(chosen_in(read));
    result.values = result.composition->fit_to(read, {.allow_other_weights = common.allow_other_weights});
  } catch (const error& problem) {
    throw error(problem.kind(), "'" + file.string() + "': " + problem.what());
  }
  return result;
}

std::uint64_t seed_of(const data_options& data, const intervention_file& file, const path& name) {
  std::uint64_t seed = 1;
  if (data.seed) return *data.seed;
  if (const auto made = file.made.find("seed"); made != file.made.end())
    if (const auto end = made->second.data() + made->second.size();
        std::from_chars(made->second.data(), end, seed) != std::from_chars_result{end, std::errc()})
      throw error(error_kind::bad_file, "'" + name.string() + "' has the seed " + text::in_quotes(made->second) +
                                            " in its metadata, which is not a whole number below 2^64; give --seed");
  return seed;
}

double number_made(const std::string& digits, const std::string& key, const path& name, const std::string& option) {
  double value = 0;
  const auto* const begin = digits.data() + (digits.starts_with('+') ? 1 : 0);
  const auto* const end = digits.data() + digits.size();
  if (std::from_chars(begin, end, value) != std::from_chars_result{end, std::errc()} or not std::isfinite(value))
    throw error(error_kind::bad_file, "'" + name.string() + "' has the " + key + " " + text::in_quotes(digits) +
                                          " in its metadata, which is no number; give " + option);
  return value;
}

error unknown_word(const std::string& word, const std::string& key, const path& name, const std::string& option) {
  return error(error_kind::bad_file, "'" + name.string() + "' has the " + key + " " + text::in_quotes(word) +
                                         " in its metadata, which is unknown; give " + option);
}

void require_writable(const path& file) {
  if (not file.empty()) io::require_writable(file);
}

std::string strength_text(double strength) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, strength == 0 ? 0.0 : strength).ptr;
  return std::string(strength > 0 ? "+" : "").append(digits, end);
}

}  // namespace trimtab::cli
