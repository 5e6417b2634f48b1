// SPDX-License-Identifier: Apache-2.0

#include "describe.hpp"

#include <trimtab/text/nearest_name.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/filter.hpp>

#include <algorithm>

/// Completions. The script of a shell passes the words of the command line to the program and shows what it prints, so
/// the script never changes and always offers what this version of the program accepts.

namespace trimtab::cli {

namespace {

const std::string& name_of(const CLI::Option* option) {
  return option->get_lnames().empty() ? option->get_single_name() : option->get_lnames().front();
}

std::string dashed(const CLI::Option* option) { return "--" + name_of(option); }

class candidates {
 public:
  candidates(const description& d, std::string written) : d_(d), written_(std::move(written)) {}

  void add(const std::string& word, const std::string& meaning = {}) {
    if (word.starts_with(written_)) text_ += word + (meaning.empty() ? "" : "\t" + meaning) + "\n";
  }
  void add_options(const CLI::App& app, const std::vector<std::string>& given) {
    for (const auto* option : app.get_options())
      if (not option->get_positional() and std::ranges::find(given, dashed(option)) == given.end())
        add(dashed(option), option->get_description());
  }
  /// The values of an option. `before` is what the word holds before the value, such as `--policy=`.
  void add_values(const CLI::Option* option, std::string before = {}) {
    const auto found = d_.words.find(option);
    if (found == d_.words.end()) return;
    const auto& [words, list] = found->second;
    const auto comma = written_.rfind(',');
    if (list and comma != written_.npos) before = written_.substr(0, comma + 1);
    for (const auto& word : words) add(before + word);
  }

  const std::string& text() const { return text_; }

 private:
  const description& d_;
  std::string written_;
  std::string text_ = {};
};

constexpr const char* bash_script = R"script(# bash completion for trimtab: eval "$(trimtab completion bash)"
_trimtab() {
  local candidate
  COMPREPLY=()
  while IFS=$'\t' read -r candidate _; do
    COMPREPLY+=("$candidate")
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _trimtab trimtab
)script";

constexpr const char* zsh_script = R"script(#compdef trimtab
# zsh completion for trimtab: source <(trimtab completion zsh), or a file _trimtab on $fpath
_trimtab() {
  local -a described
  local line
  for line in ${(f)"$(${words[1]} __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
    described+=("${${line//:/\\:}/$'\t'/:}")
  done
  if (( $#described )); then
    _describe -V trimtab described
  else
    _files
  fi
}
if [[ $funcstack[1] == _trimtab ]]; then
  _trimtab "$@"
else
  compdef _trimtab trimtab
fi
)script";

constexpr const char* fish_script = R"script(# fish completion for trimtab: trimtab completion fish | source
function __trimtab_candidates
    set -l written (commandline -ct)
    set -l words (commandline -opc) "$written"
    set -l found ($words[1] __complete $words[2..-1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path "$written"
    end
end
complete -c trimtab -f -k -a '(__trimtab_candidates)'
)script";

}  // namespace

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

const CLI::App* command_of(const CLI::App& app, const std::string& name) {
  for (const auto* command : commands_of(app))
    if (command->get_name() == name) return command;
  return nullptr;
}

const CLI::Option* option_of(const CLI::App& command, const std::string& word) {
  for (const auto* option : command.get_options())
    if (not option->get_positional() and option->check_name(word)) return option;
  return nullptr;
}

bool takes_value(const CLI::Option* option) { return option->get_items_expected_max() > 0; }

bool takes_list(const CLI::App& command) {
  return std::ranges::any_of(command.get_options(), [](const auto* option) {
    return option->get_positional() and option->get_allow_extra_args();
  });
}

std::string guess_for(const CLI::App& app, const std::string& argument) {
  std::vector<std::string> names;
  if (argument.starts_with('-')) {
    for (const auto* option : app.get_options())
      if (not option->get_positional()) names.push_back(dashed(option));
  } else {
    for (const auto* command : commands_of(app)) names.push_back(command->get_name());
  }
  return did_you_mean(argument.substr(0, argument.find('=')), names);
}

std::string completions(const description& d, const std::vector<std::string>& words) {
  // bash splits `--policy=act` into three words; fish and zsh keep it as one.
  const auto is_word = [](const std::string& word) { return word != "="; };
  auto all = words | ranges::views::filter(is_word) | ranges::to<std::vector>();
  if (words.empty() or words.back() == "=") all.emplace_back();
  const auto written = all.back();
  all.pop_back();
  candidates found(d, written);

  const auto chosen = std::ranges::find_if(all, [](const auto& word) { return not word.starts_with('-'); });
  if (chosen == all.end()) {
    for (const auto* command : commands_of(d.app)) found.add(command->get_name(), command->get_description());
    if (written.starts_with('-')) found.add_options(d.app, all);
    return found.text();
  }
  const auto* const command = command_of(d.app, *chosen);
  if (command == nullptr) return "";

  if (const auto* option = option_of(*command, all.back()); option and takes_value(option)) {
    found.add_values(option);
  } else if (const auto equals = written.find('='); written.starts_with("--") and equals != written.npos) {
    if (const auto* with = option_of(*command, written.substr(0, equals)))
      found.add_values(with, written.substr(0, equals + 1));
  } else if (written.starts_with('-')) {
    found.add_options(*command, all);
  } else {
    bool has_positional = false;
    for (const auto* positional : command->get_options())
      if (positional->get_positional()) {
        has_positional = true;
        found.add_values(positional);
      }
    if (not has_positional) found.add_options(*command, all);
  }
  return found.text();
}

std::string completion_script(const std::string& shell) {
  return shell == "bash" ? bash_script : shell == "zsh" ? zsh_script : fish_script;
}

}  // namespace trimtab::cli
