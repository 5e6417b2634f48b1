// SPDX-License-Identifier: Apache-2.0

#include <trimtab/io/checkpoint_file.hpp>
#include <trimtab/io/input_file.hpp>
#include <trimtab/io/intervention_file.hpp>

#include "support/catch.hpp"
#include "support/faults.hpp"
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

using namespace trimtab;
using namespace trimtab::test;

namespace {

std::string content_of(std::filesystem::path const& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
std::set<std::string> names_in(std::filesystem::path const& folder) {
  std::set<std::string> names;
  for (auto const& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

/// What a call ended with: nothing, a sentence, or the lack of memory.
std::string said_by(std::function<void()> const& call) {
  try {
    call();
  } catch (error const& problem) {
    return problem.what();
  } catch (std::bad_alloc const&) {
    return "no memory";
  }
  return {};
}

/// Where an allocation in a destructor fails, as nlohmann's may, the process ends. So it is one of its own; `arm` and
/// `call` happen there.
struct child_outcome {
  bool reached = false, done = false, refused = false, terminated = false;
};

child_outcome in_child(fault const& what, long n, std::function<void()> const& call) {
  enum { succeeded, refused, terminated, was_reached = 16 };
  pid_t const child = ::fork();
  if (child == 0) {
    std::set_terminate([] { ::_exit(terminated | was_reached); });
    arm(what, n);
    int outcome = succeeded;
    try {
      call();
    } catch (error const&) {
      outcome = refused;
    } catch (std::bad_alloc const&) {
      outcome = refused;
    }
    ::_exit(outcome | (disarm() ? was_reached : 0));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  int const code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  int const how = code & ~was_reached;
  return {code >= was_reached, how == succeeded, how == refused, how == terminated};
}

struct walk_figures {
  long calls = 0, refusals = 0;
};

/// Every call of one kind fails in turn while `write(path)` replaces a file.
template <typename Write>
walk_figures walk(fault const& what, Write write) {
  temporary_folder const folder;
  auto const path = folder.path() / "target", other = folder.path() / "other";
  write(other);
  auto const wanted = content_of(other);
  walk_figures figures;
  for (long n = 1;; ++n) {
    CAPTURE(text_of(what, n));
    folder.file("target", "what stood there");
    std::function<void()> const call = [&] { write(path); };
    arm(what, n);
    auto const said = said_by(call);
    if (not disarm()) {
      CHECK(said.empty());
      CHECK((content_of(path) == wanted));
      return figures;
    }
    ++figures.calls;
    bool const renamed = said.find("is written, but its folder could not be flushed") != said.npos;
    CHECK((content_of(path) == (said.empty() or renamed ? wanted : "what stood there")));
    CHECK(names_in(folder.path()) == std::set<std::string>{"other", "target"});
    if (said.empty()) continue;
    ++figures.refusals;
    if (said != "no memory") CHECK(said.find(path.string()) != said.npos);
    if (what.error > 0) CHECK(said.find(std::generic_category().message(what.error)) != said.npos);
  }
}

fit_state some_state() {
  loss_values const loss{{{"effectiveness", 1, 0.3, {}}, {"faithfulness", 0.5, 0.1, {}}}};
  return {.facts = {{"model", "m"}},
          .theta = std::vector<double>(300, 0.1),
          .first_moment = std::vector<double>(300, 0.2),
          .second_moment = std::vector<double>(300, 0.3),
          .history = {{loss, loss, loss}}};
}

intervention_file some_intervention() {
  return {.policy = "activ-scalar",
          .positions = positions::absolute(3),
          .tensors = {{"attn_out.alpha", {{2, 3}, {0, 0, 0, 0.25, -1, 3}}}},
          .made = {{"task", "ioi"}}};
}

void write_checkpoint(std::filesystem::path const& path) { io::write_checkpoint(path, some_state()); }
void write_intervention(std::filesystem::path const& path) { io::write_intervention(path, some_intervention()); }

}  // namespace

TEST_CASE("Whatever call fails while a file is written, the old one stays whole and nothing is left beside it") {
  for (auto const& what : file_faults) {
    CAPTURE(what.call, what.error);
    for (auto const& write : {write_checkpoint, write_intervention}) {
      auto const figures = walk(what, write);
      bool const reading = std::string(what.call) == "read";
      bool const harmless = what.error == EINTR or what.error < 0 or reading;
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
  for (bool const and_all_later : {false, true})
    for (auto const& write : {write_checkpoint, write_intervention}) {
      temporary_folder const folder;
      auto const path = folder.path() / "target";
      write(path);
      auto const wanted = content_of(path);
      long n = 1, refusals = 0;
      for (;; ++n) {
        CAPTURE(n, and_all_later);
        folder.file("target", "what stood there");
        auto const outcome = in_child({"allocate", ENOMEM, and_all_later}, n, [&] { write(path); });
        CHECK((outcome.done or outcome.refused or outcome.terminated));
        auto const found = content_of(path);
        CHECK(
            (outcome.done ? found == wanted : found == "what stood there" or (outcome.terminated and found == wanted)));
        CHECK(names_in(folder.path()) == std::set<std::string>{"target"});
        refusals += not outcome.done;
        if (not outcome.reached) break;
      }
      CHECK(refusals > 30);
    }
}

TEST_CASE("Whatever call fails while a file is read, there is a sentence with its name or the right content") {
  temporary_folder const folder;
  auto const checkpoint = folder.path() / "c", intervention = folder.path() / "i";
  write_checkpoint(checkpoint);
  write_intervention(intervention);
  auto const read_both = [&] {
    bool const right = io::read_checkpoint(checkpoint).history == some_state().history and
                       io::read_intervention(intervention).tensors == some_intervention().tensors;
    if (not right) throw error(error_kind::bad_file, "read wrong");
  };
  for (auto const& what : std::vector<fault>{{"open", EMFILE},
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
      std::function<void()> const call = read_both;
      arm(what, n);
      auto const said = said_by(call);
      if (not disarm()) {
        CHECK(said.empty());
        break;
      }
      CHECK(said != "read wrong");
      bool const lost = std::string(what.call) != "close" and what.error != EINTR and what.error > 0;  // nothing was written
      if (lost) CHECK((said.find(checkpoint.string()) != said.npos or said.find(intervention.string()) != said.npos));
      if (not lost) CHECK(said.empty());
    }
    CHECK(n > 2);
  }
  if (not allocations_can_fail) return;
  for (bool const and_all_later : {false, true}) {
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
  temporary_folder const folder;
  auto const file = io::input_file(folder.file("large", std::string(1000, 'x')));
  std::function<void()> const call = [&] { file.text(); };
  arm({"allocate", ENOMEM}, 1);
  auto const said = said_by(call);
  CHECK(disarm());
  CHECK_THAT(said, Catch::Matchers::ContainsSubstring("large' has 1000 bytes, and there is not enough memory for them"));
}
