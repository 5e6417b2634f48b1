// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/io/json/json.hpp>

#include "support/catch.hpp"
#include "support/random_weights.hpp"
#include "support/small_tokenizer_json.hpp"
#include "support/stored_model.hpp"
#include "support/temporary_folder.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/// Runs the program as a shell would, and a small model for it to run on.

namespace trimtab::test {

/// Arguments, and more of them.
inline std::vector<std::string> with(std::vector<std::string> arguments, const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// What a run left behind.
struct outcome {
  int status = -1;  ///< the exit status; 128 + n if signal n ended the program, as in a shell
  std::string out = {};
  std::string err = {};
  long peak = 0;  ///< the largest resident set, in bytes

  io::json json() const {
    CAPTURE(err);
    CHECK(status == 0);
    return io::parse_json(out, "standard output");
  }
  int error_lines() const { return static_cast<int>(std::count(err.begin(), err.end(), '\n')); }
};

inline std::string content_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

/// The contents of all files below a folder, by their names from there.
inline std::map<std::string, std::string> files_in(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  if (not std::filesystem::exists(folder)) return files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[entry.path().lexically_relative(folder).string()] = content_of(entry.path());
  return files;
}

/// Whether a process has a handler for Ctrl-C, as Linux's /proc says.
inline bool catches_interrupt(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("SigCgt:")) return (std::stoull(line.substr(7), nullptr, 16) >> (SIGINT - 1) & 1) != 0;
  return false;
}

/// A running `trimtab arguments...`.
class running_trimtab {
 public:
  /// `environment`, as "NAME=value", is added to the environment of this process.
  explicit running_trimtab(std::vector<std::string> arguments, const std::string& input = "",
                           std::vector<std::string> environment = {}) {
    const auto in = folder_.file("in", input);
    arguments.insert(arguments.begin(), TRIMTAB_PROGRAM);
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);

    // The pipe is closed when the child calls exec. Waiting for that makes sure that the child no longer has the signal
    // handlers of this process.
    int started[2];
    if (::pipe2(started, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
    child_ = ::fork();
    if (child_ < 0) throw std::runtime_error("cannot fork");
    if (child_ == 0) {
      ::dup2(::open(in.c_str(), O_RDONLY), 0);
      ::dup2(::open(file("out").c_str(), O_WRONLY | O_CREAT, 0600), 1);
      ::dup2(::open(file("err").c_str(), O_WRONLY | O_CREAT, 0600), 2);
      for (auto& setting : environment) ::putenv(setting.data());
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(started[1]);
    char nothing = 0;
    while (::read(started[0], &nothing, 1) < 0) {
    }
    ::close(started[0]);
  }
  running_trimtab(const running_trimtab&) = delete;
  running_trimtab& operator=(const running_trimtab&) = delete;
  ~running_trimtab() {
    if (child_ < 0) return;
    signal(SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  void signal(int which) const { ::kill(child_, which); }
  void wait_until(bool catches) const {
    for (int i = 0; i < 3000 and catches_interrupt(child_) != catches; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  outcome wait() {
    int status = 0;
    rusage used = {};
    ::wait4(std::exchange(child_, -1), &status, 0, &used);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), content_of(file("out")),
            content_of(file("err")), used.ru_maxrss * 1024};
  }

 private:
  std::filesystem::path file(const std::string& name) const { return folder_.path() / name; }

  temporary_folder folder_ = {};
  pid_t child_ = -1;
};

/// Runs `trimtab arguments...` until it ends.
inline outcome run_trimtab(std::vector<std::string> arguments, const std::string& input = "",
                           std::vector<std::string> environment = {}) {
  return running_trimtab(std::move(arguments), input, std::move(environment)).wait();
}

/// Runs it until it handles Ctrl-C, and then sends it a signal.
inline outcome interrupt_trimtab(std::vector<std::string> arguments, int signal = SIGINT) {
  running_trimtab program(std::move(arguments));
  program.wait_until(true);
  program.signal(signal);
  return program.wait();
}

/// What `trimtab arguments...` shows, on standard output and standard error together, on a terminal of 80 columns.
/// `variables` of the environment are given as NAME=VALUE.
inline std::string run_on_terminal(std::vector<std::string> arguments, std::vector<std::string> variables = {}) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 or ::grantpt(terminal) != 0 or ::unlockpt(terminal) != 0)
    throw std::runtime_error("cannot make a terminal");
  const int screen = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY);
  const winsize window = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
  ::ioctl(screen, TIOCSWINSZ, &window);
  arguments.insert(arguments.begin(), TRIMTAB_PROGRAM);
  variables.insert(variables.begin(), "TERM=xterm");
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (auto& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
  };
  const auto argv = pointers(arguments), envp = pointers(variables);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    ::dup2(screen, 1);
    ::dup2(screen, 2);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(screen);
  std::string shown;
  char part[4096];
  for (ssize_t n = 0; (n = ::read(terminal, part, sizeof part)) > 0;) shown.append(part, static_cast<std::size_t>(n));
  ::close(terminal);
  ::waitpid(child, nullptr, 0);
  return shown;
}

/// A folder with a small random model, a tokenizer and prompts of equal length.
class model_for_cli {
 public:
  explicit model_for_cli(bool parallel = false, bool tokenizer = true) {
    model_config config = {
        .architecture = "gpt2", .layers = 2, .width = 16, .heads = 2, .hidden = 24, .context = 12, .vocabulary = 300};
    if (parallel) {
      config.architecture = "gpt_neox";
      config.rotary_channels = 4;
      config.nonlinearity = activation::gelu_erf;
      config.parallel_residual = true;
    }
    write_model_folder(folder_.path(), random_weights(config));
    if (tokenizer) folder_.file("tokenizer.json", small_tokenizer_json().dump());
    data_ = folder_.file("data.jsonl",
                         "{\"ids\": [1, 2, 3, 4], \"correct_id\": 5, \"wrong_id\": 6}\n"
                         "{\"ids\": [7, 2, 8, 4], \"correct_id\": 9, \"wrong_id\": 5}\n"
                         "{\"ids\": [4, 4, 1, 0], \"correct_id\": 2, \"wrong_id\": 1}\n");
  }

  std::string path() const { return folder_.path().string(); }
  std::string data() const { return data_.string(); }
  std::string file(const std::string& name, const std::string& content) const {
    return folder_.file(name, content).string();
  }
  std::string name(const std::string& name) const { return (folder_.path() / name).string(); }

 private:
  temporary_folder folder_ = {};
  std::filesystem::path data_ = {};
};

}  // namespace trimtab::test
