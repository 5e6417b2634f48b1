// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/core/version.hpp>

namespace trimtab::test::help_tests {

using Catch::Matchers::ContainsSubstring;

/// The help, the completions and the manual page, which are made from one description of the command line.

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// The completions of the last of `words`, without their descriptions.
std::vector<std::string> offered(std::vector<std::string> words) {
  words.insert(words.begin(), "__complete");
  auto lines = lines_of(run_trimtab(words).out);
  for (auto& line : lines) line.erase(std::min(line.find('\t'), line.size()));
  return lines;
}

/// Splits a line into words as a shell does; quotes keep spaces.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words(1);
  bool quoted = false;
  for (char c : line) {
    if (c == '"')
      quoted = not quoted;
    else if (c == ' ' and not quoted)
      words.emplace_back();
    else
      words.back() += c;
  }
  std::erase(words, "");
  return words;
}

outcome run_shell(const std::string& command) {
  const temporary_folder folder;
  const auto out = folder.path() / "out";
  const int status = std::system(("{ " + command + "; } > '" + out.string() + "' 2>&1").c_str());
  return {WEXITSTATUS(status), content_of(out), ""};
}

bool has_program(const std::string& name) { return run_shell("command -v " + name).status == 0; }

}  // namespace

TEST_CASE("Help is the same by name and by option, for every command, and its examples are right") {
  const auto commands = offered({""});
  CHECK(commands.size() >= 9);
  CHECK(run_trimtab({"help"}).out == run_trimtab({"--help"}).out);
  for (const auto& command : commands) {
    CAPTURE(command);
    const auto help = run_trimtab({"help", command});
    CHECK(help.status == 0);
    CHECK(help.out == run_trimtab({command, "--help"}).out);
    const auto lines = lines_of(help.out.substr(help.out.find("Examples:")));
    CHECK(lines.size() > 1);
    for (const auto& line : lines) {
      // The files of the examples do not exist, so status 1 (and not 2) shows that the command line was valid.
      if (not line.starts_with("  trimtab " + command) or line.find('|') != line.npos) continue;
      auto words = words_of(line);
      words.erase(words.begin());
      CAPTURE(line);
      const auto run = run_trimtab(words);
      CAPTURE(run.err);
      CHECK(run.status == (command == "help" ? 0 : 1));
    }
  }
}

TEST_CASE("The program says its version") {
  CHECK(run_trimtab({"--version"}).out == "trimtab " + std::string(version) + "\n");
}

TEST_CASE("Completions offer commands, options and the values that an option takes") {
  using words = std::vector<std::string>;
  CHECK(offered({"f"}) == words{"fit"});
  CHECK(offered({"fit", "--polic"}) == words{"--policy"});
  CHECK(offered({"fit", "--policy", "d"}) == words{"dyn-scalar"});
  CHECK(offered({"fit", "--policy=d"}) == words{"--policy=dyn-scalar"});
  CHECK(offered({"fit", "--policy", "=", "d"}) == words{"dyn-scalar"});  // bash splits at =
  CHECK(offered({"fit", "--sites", "attn_out,ml"}) == words{"attn_out,mlp_post", "attn_out,mlp_out"});
  CHECK(offered({"fit", "--sites", "at"}) == words{"attn_z", "attn_out"});
  CHECK(offered({"fit", "--json", "--js"}).empty());  // was already given
  CHECK(offered({"help", "ev"}) == words{"eval"});
  CHECK(offered({"completion", ""}) == words{"bash", "fish", "zsh"});
  CHECK(offered({"fit", "--model", ""}).empty());  // the shell completes files
  CHECK(offered({"inspect", ""}).empty());
  CHECK(offered({"nothing", "--"}).empty());
  CHECK(offered({}).size() == offered({""}).size());
}

TEST_CASE("Every option of every command is offered and stands in the manual page") {
  auto page = run_trimtab({"help", "--man"}).out;
  for (auto at = page.find("\\-"); at != page.npos; at = page.find("\\-")) page.erase(at, 1);
  for (const auto& command : offered({""})) {
    CHECK_THAT(page, ContainsSubstring(".SS trimtab " + command + "\n"));
    const auto options = offered({command, "--"});
    CHECK(not options.empty());
    const auto help = run_trimtab({command, "--help"}).out;
    for (const auto& option : options) {
      CHECK_THAT(help, ContainsSubstring(option));
      if (option != "--help") CHECK_THAT(page, ContainsSubstring(option));
    }
  }
}

TEST_CASE("mandoc accepts the manual page") {
  if (not has_program("mandoc")) {
    WARN("skipped: mandoc is not installed");
    return;
  }
  const auto lint = run_shell(TRIMTAB_PROGRAM " help --man | mandoc -T lint -W warning");
  CHECK(lint.out.empty());
  CHECK(lint.status == 0);
  CHECK_THAT(run_shell(TRIMTAB_PROGRAM " help --man | mandoc -T ascii | col -b").out, ContainsSubstring("EXIT STATUS"));
}

TEST_CASE("The script of each shell gives completions") {
  const std::string path = "PATH=$(dirname '" TRIMTAB_PROGRAM "'):$PATH; export PATH; ";
  const auto check = [&](const std::string& shell, const std::string& command, const std::string& expected) {
    if (not has_program(shell)) {
      WARN("not checked: " + shell + " is not installed");
      return;
    }
    const auto run = run_shell(path + command);
    CAPTURE(shell);
    CHECK(run.out == expected);
  };
  check("bash",
        "bash -c 'eval \"$(trimtab completion bash)\"; COMP_WORDS=(trimtab fit --policy s); COMP_CWORD=3; _trimtab; "
        "echo \"${COMPREPLY[@]}\"; complete -p trimtab'",
        "steer-vec\ncomplete -o default -F _trimtab trimtab\n");
  check("fish", "fish --no-config -c 'trimtab completion fish | source; complete -C \"trimtab fit --policy s\"'",
        "steer-vec\n");
  check("zsh", "trimtab completion zsh | zsh -n", "");
}

}  // namespace trimtab::test::help_tests
