// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"
#include "own_files.hpp"

#include <CLI/CLI.hpp>

#include <map>
#include <string>
#include <vector>

/// The command line as CLI11 describes it. All that a user is told about it is made from this one description: the
/// help, the completions and the manual page.

namespace trimtab::cli {

/// What an option's value may be, for completions.
struct option_words {
  std::vector<std::string> words = {};  ///< none: a file or free text
  bool list = false;                    ///< several, with commas between
};

struct description {
  CLI::App app{"Learns small interventions on the activations of GPT-2 and Pythia that flip an answer.", "trimtab"};
  std::map<const CLI::Option*, option_words> words = {};
  files_in_use files = {};
  bool manual = false;     ///< `help --man`
  std::string topic = {};  ///< `help TOPIC`
  std::string shell = {};  ///< `completion SHELL`
};

/// Declares every command and option; a parse stores into `to`, which must outlive it.
void describe(description& d, command_line& to);

/// The commands with those that nobody needs listed left out, the command of that name or null.
std::vector<const CLI::App*> commands_of(const CLI::App& app);
const CLI::App* command_of(const CLI::App& app, const std::string& name);

/// The option of a command that is written so, or null; whether a word follows it, and whether a command takes any
/// number of words that are no options.
const CLI::Option* option_of(const CLI::App& command, const std::string& word);
bool takes_value(const CLI::Option* option);
bool takes_list(const CLI::App& command);

/// "; did you mean '--model'?" for an argument that no command or option is called.
std::string guess_for(const CLI::App& app, const std::string& argument);

/// What may follow: the last word is being written. A line each, "WORD<tab>MEANING"; nothing where files are meant.
std::string completions(const description& d, const std::vector<std::string>& words);

/// The script that teaches a shell to ask for them.
std::string completion_script(const std::string& shell);

/// The manual page, for `man`.
std::string manual_page(const CLI::App& app);

}  // namespace trimtab::cli
