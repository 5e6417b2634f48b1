// SPDX-License-Identifier: Apache-2.0

#include "like.hpp"

#include "provenance.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <optional>
#include <set>

namespace trimtab::cli {

namespace {

/// Whether an option changes nothing in what is learned.
bool says_nothing(const description& d, const std::string& option) {
  static const std::set<std::string> names = {
      "--checkpoint-every", "--resume", "--like", "--measure-anyway", "--help", "--json", "--quiet", "--verbose",
      "--threads",          "--memory", "--plan"};
  return names.contains(option) or d.writing.contains(option);
}

/// Whether an option says what is fitted and how, so that a repeated fit needs it.
bool is_repeated(const description& d, const std::string& option) {
  return not says_nothing(d, option) and option_of(*command_of(d.app, "fit"), option) != nullptr;
}

/// Options one of which replaces the others.
const std::vector<std::set<std::string>> alternatives = [] {
  std::vector<std::set<std::string>> pairs = {{"--task", "--data"}, {"--bos", "--no-bos"}};
  for (const char* of_tasks : {"--train", "--templates", "--lengths"}) pairs.push_back({"--data", of_tasks});
  for (const char* of_all :
       {"--policy", "--sites", "--layers", "--roles", "--positions", "--no-bias", "--gate", "--inner", "--rank"})
    pairs.push_back({"--at", of_all});
  return pairs;
}();

/// Whether an option of the file has no meaning beside those that are given.
bool is_replaced(const std::string& option, const std::set<std::string>& given) {
  static const std::set<std::string> of_policy = {"--no-bias", "--gate", "--inner", "--rank"};
  if (given.contains(option) or (option == "--roles" and given.contains("--positions")) or
      (of_policy.contains(option) and given.contains("--policy")))
    return true;
  // Of a task it is a number, of files a file.
  if (option == "--test" and (given.contains("--task") or given.contains("--data"))) return true;
  return std::ranges::any_of(alternatives, [&](const auto& pair) {
    return pair.contains(option) and
           std::ranges::any_of(pair, [&](const auto& other) { return other != option and given.contains(other); });
  });
}

std::string name_in(const std::string& word) { return word.substr(0, word.find('=')); }

}  // namespace

std::vector<std::string> with_like(const description& d, const std::vector<std::string>& words,
                                   std::vector<std::string>& changed) {
  if (words.empty() or words.front() != "fit") return words;
  std::optional<std::string> file;
  std::set<std::string> given;
  for (std::size_t k = 1; k < words.size(); ++k) {
    const auto name = name_in(words[k]);
    const bool has_value = name.size() < words[k].size();
    if (name == "--like" and (has_value or k + 1 < words.size()))
      file = has_value ? words[k].substr(name.size() + 1) : words[k + 1];
    else if (is_repeated(d, name))
      given.insert(name);
    const auto* const option = option_of(*command_of(d.app, "fit"), name);
    if (option != nullptr and takes_value(option) and not has_value) ++k;
  }
  if (not file or file->empty()) return words;
  std::vector<std::string> all = {"fit"};
  for (const auto& word : arguments_in(io::read_intervention(*file).made, *file)) {
    const auto name = name_in(word);
    if (not is_repeated(d, name))
      throw error(error_kind::bad_file, "'" + *file + "' has " + text::in_quotes(word, '\'') +
                                            " among the arguments of its fit, which is no option that says what is "
                                            "fitted; give the options instead of --like");
    if (not is_replaced(name, given)) all.push_back(word);
  }
  all.insert(all.end(), words.begin() + 1, words.end());
  changed.assign(given.begin(), given.end());
  return all;
}

std::vector<given_option> given_in(const description& d, const CLI::App& command) {
  std::vector<given_option> given;
  for (const auto* option : command.get_options()) {
    const auto name = "--" + (option->get_lnames().empty() ? std::string() : option->get_lnames().front());
    if (option->count() == 0 or says_nothing(d, name)) continue;
    if (not takes_value(option))
      given.push_back({name, ""});
    else
      for (const auto& value : option->reduced_results()) given.push_back({name, value});
  }
  return given;
}

}  // namespace trimtab::cli
