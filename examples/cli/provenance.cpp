// SPDX-License-Identifier: Apache-2.0

#include "provenance.hpp"

#include "asked.hpp"
#include "talk.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/core/version.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/task/ioi.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/utf8.hpp>
#include <trimtab/train/checkpoint.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace trimtab::cli {

namespace {

/// What a file calls a setting, and the option that sets it.
constexpr std::pair<const char*, const char*> settings[] = {{"model", "--model"},
                                                            {"task", "--task"},
                                                            {"data", "--data"},
                                                            {"test", "--test"},
                                                            {"train", "--train"},
                                                            {"init", "--init"},
                                                            {"init_seed", "--init-seed"},
                                                            {"seed", "--seed"},
                                                            {"policy", "--policy"},
                                                            {"sites", "--sites"},
                                                            {"chosen_layers", "--layers"},
                                                            {"positions", "--positions"},
                                                            {"roles", "--roles"},
                                                            {"lambda_f", "--lambda-f"},
                                                            {"lambda_r", "--lambda-r"},
                                                            {"lambda_m", "--lambda-m"},
                                                            {"lambda_n", "--lambda-n"},
                                                            {"margin", "--margin"},
                                                            {"psi", "--psi"},
                                                            {"kl", "--kl"},
                                                            {"kl_direction", "--kl-direction"},
                                                            {"minimality", "--minimality"},
                                                            {"strengths", "--strengths"},
                                                            {"learning_rate", "--lr"},
                                                            {"steps", "--steps"},
                                                            {"precision", "--precision"},
                                                            {"weights", "--weights"}};

/// The options that lay out many fits, and one that the number of steps replaces.
constexpr const char* elsewhere[] = {"--epochs", "--vary", "--path", "--path-end", "--bootstrap", "--holdout"};

/// What may change the last bits of a fit besides its options.
constexpr const char* machinery[] = {"trimtab", "compiler", "eigen", "instructions", "backend"};

std::string prompts_of(const std::vector<prompt_pair>& pairs) {
  return trimtab::detail::text_of(std::span<const prompt_pair>(pairs));
}

std::string text_of(const std::map<std::string, std::string>& made, const std::string& key) {
  const auto found = made.find(key);
  return found == made.end() ? "" : found->second;
}

bool is_setting(const std::string& option) {
  return std::ranges::find(settings, option, &std::pair<const char*, const char*>::second) != std::end(settings);
}
bool is_elsewhere(const std::string& option) { return std::ranges::find(elsewhere, option) != std::end(elsewhere); }

std::string word_of(const given_option& one) { return one.name + (one.value.empty() ? "" : "=" + one.value); }

/// The options of a fit, resolved where the file has a setting for them, else as they were given.
std::vector<std::string> arguments_of(const fit_command& command, const std::map<std::string, std::string>& made) {
  std::vector<std::string> words;
  const auto takes = [&](const std::string& option) {
    // Statistics make no steps.
    return command.method == "gradient" or (option != "--lr" and option != "--steps" and option != "--init");
  };
  for (const auto& [key, option] : settings)
    if (const auto value = made.find(key); value != made.end() and takes(option))
      words.push_back(option + ("=" + value->second));
  for (const auto& one : command.given)
    if (not is_setting(one.name) and not is_elsewhere(one.name)) words.push_back(word_of(one));
  return words;
}

std::string quoted(const std::string& word) {
  const bool is_plain = not word.empty() and std::ranges::all_of(word, [](char c) {
    return (c >= 'a' and c <= 'z') or (c >= 'A' and c <= 'Z') or (c >= '0' and c <= '9') or
           std::string_view("-_=+,.:/@%").find(c) != std::string_view::npos;
  });
  if (is_plain) return word;
  if (text::one_line(word) != word) {  // what a terminal would obey, in the form of bash and zsh
    std::string out = "$'";
    for (const char c : word) {
      const auto byte = static_cast<unsigned char>(c);
      constexpr char digits[] = "0123456789abcdef";
      if (byte < 0x20 or byte > 0x7E)
        out += {'\\', 'x', digits[byte / 16], digits[byte % 16]};
      else
        out += c == '\'' or c == '\\' ? std::string{'\\', c} : std::string(1, c);
    }
    return out + "'";
  }
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

bool is_of_other_prompts(const std::map<std::string, std::string>& made, const std::vector<prompt_pair>& prompts) {
  const auto hash = text_of(made, "train_prompts");
  return not hash.empty() and hash != prompts_of(prompts);
}

void warn_of_other_train(const std::map<std::string, std::string>& made, const path& name, const data_options& data,
                         const std::vector<prompt_pair>& train) {
  if (data.task.empty() or not is_of_other_prompts(made, train)) return;
  const auto of_task = text_of(made, "task"), of_file = text_of(made, "data");
  const std::string options =
      not of_file.empty()
          ? "--data " + of_file
          : (of_task.empty() or of_task == data.task ? std::string("the ") : "--task " + of_task + " and the ") +
                "--train, --seed, --templates, --lengths and --only of its fit";
  warn("'" + name.string() + "' was fitted on another set of prompts than the one named 'train' here; " + options +
       (of_file.empty() ? " give" : " gives") + " that one");
}

void add_provenance(const fit_command& command, const std::vector<named_prompts>& sets, const common_options& common,
                    std::map<std::string, std::string>& made) {
  made["model"] = command.model.string();
  made["subgradient"] = command.subgradient ? "on" : "off";
  if (not command.data.test.empty()) made["test"] = command.data.test.string();
  if (not command.data.task.empty()) {
    const auto plain = task::ioi_options{};
    made["train"] = std::to_string(command.data.train_count.value_or(plain.train));
    made["test"] = std::to_string(command.data.test_count.value_or(plain.test));
  }
  made["init"] = command.init == 0 ? "identity" : "normal:" + exact(command.init);
  made["init_seed"] = std::to_string(command.init_seed.value_or(command.data.seed.value_or(1)));
  for (const auto& set : sets)
    if (not set.pairs.empty()) made[set.name + "_prompts"] = prompts_of(set.pairs);
  if (command.at.empty()) {
    made["policy"] = command.policy;
    made["positions"] = asked_by(command).front().positions;
    if (not command.roles.empty()) made["roles"] = text::joined(command.roles, ",");
  }
  made["backend"] = common.backend == machine::cuda ? "cuda" : "eigen";
  made["trimtab"] = version;
  made["compiler"] = __VERSION__;
  made["eigen"] = text::joined(std::vector{EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION}, ".",
                               [](int number) { return std::to_string(number); });
  made["instructions"] = Eigen::SimdInstructionSetsInUse();
  std::vector<std::string> line = {"trimtab", command.command};
  for (auto one : command.given) {
    if (command.command == "fit" and one.name == "--steps") one.value = text_of(made, "steps");
    line.push_back(word_of(one));
  }
  made["command"] = shell_line(line);
  made["arguments"] = io::json(arguments_of(command, made)).dump();
}

std::string shell_line(const std::vector<std::string>& words) { return text::joined(words, " ", quoted); }

std::vector<std::string> arguments_in(const std::map<std::string, std::string>& made, const std::string& name) {
  const auto text = text_of(made, "arguments");
  if (text.empty())
    throw error(error_kind::bad_file, "'" + name +
                                          "' does not say all options of its fit: an older trimtab wrote it, or the "
                                          "fit went on from another; give the options instead of --like");
  const auto list = io::parse_json(text, name + ", metadata made.arguments");
  std::vector<std::string> words;
  if (list.is_array())
    for (const auto& word : list)
      if (word.is_string()) words.push_back(word.get<std::string>());
  if (not list.is_array() or words.size() != list.size())
    throw error(error_kind::bad_file, "'" + name + "' has the arguments " + io::abbreviated(list) +
                                          " in its metadata; expected an array of strings");
  return words;
}

std::string line_that_repeats(const std::map<std::string, std::string>& made, const std::string& name) {
  if (not made.contains("arguments")) return "";
  return "trimtab fit " + shell_line(arguments_in(made, name));
}

std::string weights_hash_of(const any_composition& composition, const std::vector<prompt_pair>& prompts) {
  const auto layout = composition.layout(prompts);
  return composition.make_file({layout, std::vector<double>(static_cast<std::size_t>(layout.size()))}, {}).model->hash;
}

void require_like(const fit_command& command, const std::vector<named_prompts>& sets, const std::string& model_hash) {
  const auto file = io::read_intervention(command.like);
  const auto is_changed = [&](std::initializer_list<const char*> options) {
    return std::ranges::any_of(options,
                               [&](const char* option) { return std::ranges::count(command.changed, option) > 0; });
  };
  const auto name = "'" + command.like.string() + "'";
  if (file.model and file.model->hash != model_hash and not is_changed({"--model"}))
    throw error(error_kind::mismatch, "the weights of '" + command.model.string() + "' have the hash " + model_hash +
                                          ", but those that " + name + " was fitted on have the hash " +
                                          file.model->hash + "; give the right folder with --model");
  const bool may_differ = is_changed({"--task", "--data", "--test", "--seed", "--bos", "--no-bos", "--plain-text",
                                      "--model", "--train", "--templates", "--lengths", "--only"});
  for (const auto& set : sets) {
    const auto was = text_of(file.made, set.name + "_prompts"), is = prompts_of(set.pairs);
    const bool is_named = set.name == "retained" and is_changed({"--retain"});
    if (set.pairs.empty() or was.empty() or was == is or may_differ or is_named) continue;
    throw error(error_kind::mismatch, "the " + set.name + " prompts are " + is + ", but those of " + name + " were " +
                                          was + "; give the right ones with " +
                                          (set.name == "retained" ? "--retain" : "--data or --test"));
  }
}

void tell_what_is_kept(const fit_command& command) {
  const auto is_changed = [&](const char* option) { return std::ranges::count(command.changed, option) > 0; };
  const bool has_others = std::ranges::any_of(
      std::initializer_list<const char*>{"--policy", "--at", "--data", "--task", "--model"}, is_changed);
  std::vector<std::string> kept;
  for (const char* option : {"--lr", "--lambda-m"})
    if (const auto one = std::ranges::find(command.given, option, &given_option::name);
        has_others and not is_changed(option) and one != command.given.end())
      kept.push_back(option + (" " + one->value));
  if (not kept.empty())
    tell(text::joined(kept, " and ") + (kept.size() == 1 ? " is" : " are") + " taken from the fit of '" +
         command.like.string() + "' and may not suit what was changed");
}

comparison compare_with(const path& like, const intervention_file& made_now) {
  const auto before = io::read_intervention(like);
  const auto name = "'" + like.string() + "'";
  const auto numbers_of = [](const intervention_file& f) {
    std::map<std::string, named_tensor> tensors;
    for (const auto& i : f.interventions)
      for (const auto& p : i.parameters) tensors[p.tensor] = p.numbers;
    return tensors;
  };
  const auto was = numbers_of(before), is = numbers_of(made_now);
  index_t count = 0, different = 0;
  double furthest = 0;
  bool same_shape =
      was.size() == is.size() and std::ranges::equal(before.interventions, made_now.interventions, {},
                                                     &saved_intervention::positions, &saved_intervention::positions);
  for (const auto& [tensor, now] : is) {
    const auto then = was.find(tensor);
    same_shape = same_shape and then != was.end() and then->second.shape == now.shape;
    if (not same_shape) break;
    count += std::ssize(now.values);
    for (std::size_t j = 0; j < now.values.size(); ++j) {
      const double a = then->second.values[j], b = now.values[j];
      if (std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b)) continue;
      ++different;
      furthest = std::max(furthest, std::abs(a - b));
    }
  }
  if (not same_shape)
    return {false, "not the parameters of " + name + ": those have other sites, policies or positions"};
  if (different == 0) return {true, "the same bits as " + name};
  fit_facts then, now;
  for (const auto* key : machinery) {
    then[key] = text_of(before.made, key);
    now[key] = text_of(made_now.made, key);
  }
  const auto differences = differences_of(then, now);
  char apart[32];
  std::snprintf(apart, sizeof apart, "%.3g", furthest);
  return {false, "not the same bits as " + name + ": " + std::to_string(different) + " of " + std::to_string(count) +
                     " numbers differ, by at most " + apart + (differences.empty() ? "" : "; " + differences)};
}

}  // namespace trimtab::cli
