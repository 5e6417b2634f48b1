// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/checkpoint_file.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/intervention_file.hpp>

#include "support/catch.hpp"
#include "support/faults.hpp"
#include "support/refusal.hpp"
#include "support/small_intervention.hpp"
#include "support/temporary_folder.hpp"

#include <exception>
#include <fstream>
#include <functional>
#include <new>
#include <set>
#include <sstream>
#include <system_error>

#include <sys/wait.h>
#include <unistd.h>

namespace trimtab::test::faults_tests {

namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

/// The sentence of the error with which a call ended, "no memory", or an empty string if it succeeded.
std::string said_by(const std::function<void()>& call) {
  try {
    call();
  } catch (const error& problem) {
    return problem.what();
  } catch (const std::bad_alloc&) {
    return "no memory";
  }
  return {};
}

/// The outcome of a call in a child process. If an allocation fails in a destructor, as in one of nlohmann's library,
/// the process ends; so the child calls `arm` and `call`.
struct child_outcome {
  bool reached = false, done = false, refused = false, terminated = false;
};

child_outcome in_child(const fault& what, long n, const std::function<void()>& call) {
  enum { succeeded, refused, terminated, was_reached = 16 };
  const pid_t child = ::fork();
  if (child == 0) {
    std::set_terminate([] { ::_exit(terminated | was_reached); });
    arm(what, n);
    int outcome = succeeded;
    try {
      call();
    } catch (const error&) {
      outcome = refused;
    } catch (const std::bad_alloc&) {
      outcome = refused;
    }
    ::_exit(outcome | (disarm() ? was_reached : 0));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  const int how = code & ~was_reached;
  return {code >= was_reached, how == succeeded, how == refused, how == terminated};
}

struct walk_figures {
  long calls = 0, refusals = 0;
};

/// Makes every call of one kind fail in turn while `write(path)` replaces a file.
template <typename Write>
walk_figures walk(const fault& what, Write write) {
  const temporary_folder folder;
  const auto path = folder.path() / "target", other = folder.path() / "other";
  write(other);
  const auto wanted = content_of(other);
  walk_figures figures;
  for (long n = 1;; ++n) {
    CAPTURE(text_of(what, n));
    folder.file("target", "what stood there");
    const std::function<void()> call = [&] { write(path); };
    arm(what, n);
    const auto said = said_by(call);
    if (not disarm()) {
      CHECK(said.empty());
      CHECK((content_of(path) == wanted));
      return figures;
    }
    ++figures.calls;
    const bool renamed = said.find("is written, but its folder could not be flushed") != said.npos;
    CHECK((content_of(path) == (said.empty() or renamed ? wanted : "what stood there")));
    CHECK(names_in(folder.path()) == std::set<std::string>{"other", "target"});
    if (said.empty()) continue;
    ++figures.refusals;
    if (said != "no memory") CHECK(said.find(path.string()) != said.npos);
    if (what.error > 0) CHECK(said.find(std::generic_category().message(what.error)) != said.npos);
  }
}

fit_state some_state() {
  const loss_values loss{{{"effectiveness", 1, 0.3, {}}, {"faithfulness", 0.5, 0.1, {}}}};
  return {.facts = {{"model", "m"}},
          .theta = std::vector<double>(300, 0.1),
          .first_moment = std::vector<double>(300, 0.2),
          .second_moment = std::vector<double>(300, 0.3),
          .history = {{loss, loss, loss}}};
}

intervention_file some_intervention() {
  return small_intervention("activ-scalar", positions::absolute(3),
                            {{"attn_out.alpha", {{2, 3}, {0, 0, 0, 0.25, -1, 3}}}}, {{"task", "ioi"}});
}

void write_checkpoint(const std::filesystem::path& path) { io::write_checkpoint(path, some_state()); }
void write_intervention(const std::filesystem::path& path) { io::write_intervention(path, some_intervention()); }

}  // namespace

TEST_CASE("Whatever call fails while a file is written, the old one stays whole and nothing is left beside it") {
  for (const auto& what : file_faults) {
    CAPTURE(what.call, what.error);
    for (const auto& write : {write_checkpoint, write_intervention}) {
      const auto figures = walk(what, write);
      const bool reading = std::string(what.call) == "read";
      const bool harmless = what.error == EINTR or what.error < 0 or reading;
      CHECK(figures.calls >= (reading ? 0 : 1));
      if (std::string(what.call) == "fsync") CHECK(figures.calls == 2);  // the file, and its folder
      CHECK((figures.refusals > 0) == not harmless);
    }
  }
}

TEST_CASE("Whatever allocation fails while a file is written, the old one stays whole") {
  if (not allocations_can_fail) {
    WARN("skipped: a sanitizer has its own allocator");
    return;
  }
  for (const bool and_all_later : {false, true})
    for (const auto& write : {write_checkpoint, write_intervention}) {
      const temporary_folder folder;
      const auto path = folder.path() / "target";
      write(path);
      const auto wanted = content_of(path);
      long n = 1, refusals = 0;
      for (;; ++n) {
        CAPTURE(n, and_all_later);
        folder.file("target", "what stood there");
        const auto outcome = in_child({"allocate", ENOMEM, and_all_later}, n, [&] { write(path); });
        CHECK((outcome.done or outcome.refused or outcome.terminated));
        const auto found = content_of(path);
        CHECK(
            (outcome.done ? found == wanted : found == "what stood there" or (outcome.terminated and found == wanted)));
        CHECK(names_in(folder.path()) == std::set<std::string>{"target"});
        refusals += not outcome.done;
        if (not outcome.reached) break;
      }
      CHECK(refusals > 30);
    }
}

TEST_CASE("If any call fails while a file is read, the result is an error naming the file, or the right content") {
  const temporary_folder folder;
  const auto checkpoint = folder.path() / "c", intervention = folder.path() / "i";
  write_checkpoint(checkpoint);
  write_intervention(intervention);
  const auto read_both = [&] {
    const bool right = io::read_checkpoint(checkpoint).history == some_state().history and
                       io::read_intervention(intervention).interventions == some_intervention().interventions;
    if (not right) throw error(error_kind::bad_file, "read wrong");
  };
  for (const auto& what : std::vector<fault>{{"open", EMFILE},
                                             {"open", EINTR},
                                             {"stat", EIO},
                                             {"read", EIO},
                                             {"read", EINTR},
                                             {"read", -1},
                                             {"close", EIO}}) {
    CAPTURE(what.call, what.error);
    long n = 1;
    for (;; ++n) {
      CAPTURE(n);
      const std::function<void()> call = read_both;
      arm(what, n);
      const auto said = said_by(call);
      if (not disarm()) {
        CHECK(said.empty());
        break;
      }
      CHECK(said != "read wrong");
      const bool lost =
          std::string(what.call) != "close" and what.error != EINTR and what.error > 0;  // nothing to write
      if (lost) CHECK((said.find(checkpoint.string()) != said.npos or said.find(intervention.string()) != said.npos));
      if (not lost) CHECK(said.empty());
    }
    CHECK(n > 2);
  }
  if (not allocations_can_fail) return;
  for (const bool and_all_later : {false, true}) {
    long n = 1;
    for (child_outcome outcome{true}; outcome.reached; ++n) {
      CAPTURE(n, and_all_later);
      outcome = in_child({"allocate", ENOMEM, and_all_later}, n, read_both);
      CHECK((outcome.done or (outcome.reached and (outcome.refused or outcome.terminated))));
    }
    CHECK(n > 100);
  }
}

TEST_CASE("A file that memory has no room for is refused by its name") {
  if (not allocations_can_fail) {
    WARN("skipped: a sanitizer has its own allocator");
    return;
  }
  const temporary_folder folder;
  const auto file = io::input_file(folder.file("large", std::string(1000, 'x')));
  const std::function<void()> call = [&] { file.text(); };
  arm({"allocate", ENOMEM}, 1);
  const auto said = refusal(error_kind::memory, call);
  CHECK(disarm());
  CHECK_THAT(said,
             Catch::Matchers::ContainsSubstring("large' has 1000 bytes, and there is not enough memory for them"));
}

}  // namespace trimtab::test::faults_tests
