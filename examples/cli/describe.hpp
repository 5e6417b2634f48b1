// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"
#include "own_files.hpp"

#include <CLI/CLI.hpp>

#include <map>
#include <set>
#include <string>
#include <vector>

/// The command line as CLI11 describes it. The help, the completions and the manual page are made from this one
/// description.

namespace trimtab::cli {

/// The values that an option may have, for completions.
struct option_words {
  std::vector<std::string> words = {};  ///< empty: a file or free text
  bool list = false;                    ///< the value is a list of words, separated by commas
};

struct description {
  CLI::App app{"Learns small interventions on the activations of GPT-2 and Pythia that flip an answer.", "trimtab"};
  std::map<const CLI::Option*, option_words> words = {};
  files_in_use files = {};
  std::map<std::string, const path*> folders = {};  ///< of a command, the one that it fills
  std::set<std::string> writing = {};               ///< the options that name a file to write
  bool manual = false;                              ///< `help --man`
  std::string topic = {};                           ///< `help TOPIC`
  std::string shell = {};                           ///< `completion SHELL`
};

/// Declares every command and option; parsing stores their values in `to`, which must outlive `d`.
void describe(description& d, command_line& to);

/// All commands; and the command of that name, or null.
std::vector<const CLI::App*> commands_of(const CLI::App& app);
const CLI::App* command_of(const CLI::App& app, const std::string& name);

/// The option of a command that is spelt `word`, or null; whether a value follows an option; whether a command takes
/// any number of words that are not options.
const CLI::Option* option_of(const CLI::App& command, const std::string& word);
bool takes_value(const CLI::Option* option);
bool takes_list(const CLI::App& command);

/// "; did you mean '--model'?" for an argument that is not the name of a command or option.
std::string guess_for(const CLI::App& app, const std::string& argument);

/// The completions of the last of `words`, a line each: "WORD<tab>MEANING". Nothing where a file name is expected.
std::string completions(const description& d, const std::vector<std::string>& words);

/// The script with which a shell asks for them.
std::string completion_script(const std::string& shell);

/// The manual page, for `man`.
std::string manual_page(const CLI::App& app);

}  // namespace trimtab::cli
