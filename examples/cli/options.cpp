// SPDX-License-Identifier: Apache-2.0

#include "options.hpp"

#include "describe.hpp"
#include "like.hpp"
#include "option_rules.hpp"
#include "options_of.hpp"
#include "provenance.hpp"

#include <trimtab/core/version.hpp>

#include <algorithm>
#include <utility>

/// The command line, read with CLI11.

namespace trimtab::cli {

namespace {

/// The error for a command line that CLI11 refuses. An unknown option comes first: it is probably a typing error, and
/// the cause of whatever else is missing.
std::string complaint(const CLI::App& app, const CLI::ParseError& problem) {
  const auto chosen = app.get_subcommands();
  const auto& at = chosen.empty() ? app : *chosen.front();
  for (const auto& argument : app.remaining(true))
    if (argument.starts_with("--")) return "there is no option '" + argument + "'" + guess_for(at, argument);
  return problem.what();
}

/// The words of a command line, changed so that CLI11 reads them literally. Otherwise it takes the word after `--name=`
/// for the value, expands `[a,b]` and `{}` in a list of files, and takes a file called `fit` there for a command.
std::vector<std::string> spelt_out(const CLI::App& app, const std::vector<std::string>& given) {
  std::vector<std::string> words;
  const CLI::App* command = nullptr;
  bool value_follows = false, options_end = false;
  for (const auto& word : given) {
    words.push_back(word);
    if (std::exchange(value_follows, false)) continue;
    const bool is_option = not options_end and word.starts_with('-') and word != "-";
    if (not is_option and command == nullptr) {
      command = command_of(app, word);
    } else if (not is_option) {
      if (takes_list(*command)) words.back().insert(0, 1, is_listed);
    } else if (const auto equals = word.find('='); word == "--") {
      options_end = true;
    } else if (const auto* option = option_of(command ? *command : app, word.substr(0, equals)); option != nullptr) {
      const bool has_nothing = equals == word.size() - 1;
      if (has_nothing and not takes_value(option))
        throw usage_error(word.substr(0, equals) + " takes no value; leave out the '='");
      if (has_nothing) words.back().pop_back(), words.emplace_back();
      value_follows = takes_value(option) and equals == word.npos;
    }
  }
  return words;
}

/// The text of `trimtab help`. `overview` is made before parsing: after it has read a command, CLI11 gives the help of
/// that command instead.
std::string help_of(const description& d, const std::string& overview) {
  if (d.manual) return manual_page(d.app);
  if (d.topic.empty()) return overview;
  const auto* const command = command_of(d.app, d.topic);
  if (command == nullptr) throw usage_error("there is no command '" + d.topic + "'" + guess_for(d.app, d.topic));
  return command->help("trimtab");
}

}  // namespace

std::string named_command(int argc, const char* const* argv) {
  command_line line;
  description d;
  describe(d, line);
  const std::string first = argc > 1 ? argv[1] : "help";
  return first == "help" or command_of(d.app, first) == nullptr ? std::string() : " " + first;
}

command_line parse(int argc, const char* const* argv) {
  command_line line;
  description d;
  describe(d, line);
  CLI::App& app = d.app;
  const auto overview = app.help();

  const std::string first = argc > 1 ? argv[1] : "-";
  if (first == "__complete") {
    line.help = completions(d, {argv + 2, argv + argc});
    return line;
  }
  if (command_of(app, first) == nullptr and not first.starts_with('-'))
    throw usage_error("there is no command '" + first + "'" + guess_for(app, first));
  const auto words = spelt_out(app, with_like(d, {argv + std::min(argc, 1), argv + argc}, line.fit.changed));
  try {
    app.parse(std::vector(words.rbegin(), words.rend()));
  } catch (const CLI::CallForVersion&) {
    line.help = "trimtab " + std::string(version) + "\n";
    return line;
  } catch (const CLI::Success&) {
    line.help = app.help();
    return line;
  } catch (const CLI::ParseError& problem) {
    throw usage_error(complaint(app, problem));
  }

  const auto name = app.get_subcommands().front()->get_name();
  if (name == "help" or name == "completion") {
    line.help = name == "help" ? help_of(d, overview) : completion_script(d.shell);
    return line;
  }
  line.name = name;
  require_consistent(line, d);
  require_own_files(d.files);
  std::vector<std::string> typed{"trimtab"};
  typed.insert(typed.end(), argv + 1, argv + argc);
  line.common.typed = shell_line(typed);
  for (const auto& output : d.files.outputs)
    if (not output.file.empty()) line.outputs.push_back(output.file);
  if (const auto folder = d.folders.find(name); folder != d.folders.end() and not folder->second->empty())
    line.outputs.push_back(*folder->second);
  return line;
}

}  // namespace trimtab::cli
