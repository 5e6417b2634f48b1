// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/checkpoint_file.hpp>

#include "support/faults.hpp"

#include <cstdlib>
#include <map>
#include <random>
#include <set>

namespace trimtab::test::crash_tests {

/// The whole program under failures: each call to the operating system fails in turn, each allocation fails in turn,
/// and the program is killed at random moments. For longer runs:
///
///     TRIMTAB_EVERY_FAULT=1 build/release/tests/cli/cli_tests "*allocation*"     every allocation, not only some
///     TRIMTAB_KILLS=200 build/release/tests/cli/cli_tests "*killed*"

namespace {

using arguments = std::vector<std::string>;

/// A fit of three steps that writes every kind of output, in a folder of its own.
class small_fit {
 public:
  small_fit() {
    for (const std::string steps : {"1", "2", "3"}) {
      run_trimtab(command(steps));
      for (const auto& name : names) good_[name].insert(content_of(path(name)));
      wanted_ = content_of(path("out"));
    }
  }

  /// What a run with a fault did. After a run that failed, each file holds its old content or complete new content.
  struct verdict {
    bool reached = false, succeeded = false, says_so = true;
  };
  verdict run_with(const fault& what, long n) {
    for (const auto& name : names) outputs_.file(name, "what stood there");
    const auto reached = model_.name("reached");
    std::filesystem::remove(reached);
    const auto run = run_trimtab(command("3"), "",
                                 {"LD_PRELOAD=" TRIMTAB_FAULTS, "ASAN_OPTIONS=verify_asan_link_order=0",
                                  "TRIMTAB_FAULT=" + text_of(what, n), "TRIMTAB_FAULT_REACHED=" + reached});
    CAPTURE(text_of(what, n), run.err);
    const bool succeeded = run.status == 0;
    const bool says_so = succeeded or (run.status == 1 and run.out.empty() and run.error_lines() == 1 and
                                       run.err.starts_with("trimtab: "));
    // Without memory, the C library or the unwinder may end the program in their own ways.
    if (std::string(what.call) != "allocate") CHECK(says_so);
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(outputs_.path()))
      found.insert(entry.path().filename());
    CHECK(found == std::set<std::string>(names.begin(), names.end()));
    for (const auto& name : names) {
      CAPTURE(name);
      const auto content = content_of(path(name));
      CHECK((good_[name].contains(content) or (not succeeded and content == "what stood there")));
    }
    if (succeeded) CHECK((content_of(path("out")) == wanted_));
    return {std::filesystem::exists(reached), succeeded, says_so};
  }

 private:
  std::string path(const std::string& name) const { return (outputs_.path() / name).string(); }
  arguments command(const std::string& steps) const {
    return {"fit",
            "--model",
            model_.path(),
            "--data",
            model_.data(),
            "--lambda-m",
            "0.00001",
            "--steps",
            steps,
            "--out",
            path("out"),
            "--trace",
            path("trace"),
            "--report",
            path("report"),
            "--checkpoint",
            path("c"),
            "--checkpoint-every",
            "1",
            "--threads",
            "1",
            "--json"};
  }

  const std::vector<std::string> names = {"c", "out", "report", "trace"};
  model_for_cli model_ = model_for_cli(false, false);
  temporary_folder outputs_ = {};
  std::map<std::string, std::set<std::string>> good_ = {};
  std::string wanted_ = {};
};

/// A number from the environment.
int setting(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace

TEST_CASE("If any call fails, a fit ends with an error or as usual, and no file is damaged") {
  small_fit fit;
  for (const auto& what : file_faults) {
    long refusals = 0, n = 1;
    for (;; ++n) {
      const auto verdict = fit.run_with(what, n);
      refusals += not verdict.succeeded;
      if (not verdict.reached) break;
    }
    CAPTURE(what.call, what.error, n);
    CHECK((n > 1 or std::string(what.call) == "stat"));
    const bool harmless = what.error == EINTR or what.error < 0;
    if (harmless) CHECK(refusals == 0);
    if (std::string(what.call) == "rename") CHECK(refusals == 6);  // three checkpoints and three other files
  }
}

TEST_CASE("Whatever allocation fails in a fit, it ends with a sentence, and no file is torn or lost") {
  if (not allocations_can_fail) {
    WARN("skipped: a sanitizer has its own allocator");
    return;
  }
  const bool every = setting("TRIMTAB_EVERY_FAULT", 0) != 0;
  const bool and_all_later = GENERATE(false, true);
  small_fit fit;
  long runs = 0, refusals = 0, without_sentence = 0, n = 1;
  for (;; n += every ? 1 : 1 + n / 8, ++runs) {
    const auto verdict = fit.run_with({"allocate", ENOMEM, and_all_later}, n);
    refusals += not verdict.succeeded;
    without_sentence += not verdict.says_so;
    if (not verdict.reached) break;
  }
  CHECK(refusals > runs / 2);
  CHECK(without_sentence <= runs / 10);
  if (every)
    WARN(runs << " allocations failed in turn, " << refusals << " of them ended the fit, " << without_sentence
              << " without the sentence");
}

TEST_CASE("Killed at any moment, a fit goes on from its checkpoint to the same end") {
  const model_for_cli model(false, false);
  const auto out = model.name("out"), checkpoint = model.name("c"), copy = model.name("copy");
  const auto fit = [&](const arguments& more) {
    arguments all = {"fit",     "--model", model.path(), "--data", model.data(), "--lambda-m", "0.00001",
                     "--steps", "150",     "--threads",  "1",      "--out",      out,          "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const arguments keep = {"--checkpoint", checkpoint, "--checkpoint-every", "1"};
  const auto before = std::chrono::steady_clock::now();
  const auto whole = run_trimtab(fit(keep));
  const auto length = std::chrono::steady_clock::now() - before;
  REQUIRE(whole.status == 0);
  const auto out_wanted = content_of(out), checkpoint_wanted = content_of(checkpoint), said = whole.out;
  std::filesystem::remove(checkpoint);
  model.file("out", "what stood there");

  const auto kills = setting("TRIMTAB_KILLS", 20);
  std::mt19937 random(std::random_device{}());
  std::uniform_real_distribution<double> share(0, 0.8);
  index_t steps = 0;
  std::set<index_t> killed_after;
  int before_any = 0;
  for (int kill = 0, tries = 0; kill < kills and tries < 10 * kills; ++tries) {
    auto more = keep;
    const bool goes_on = std::filesystem::exists(checkpoint);
    if (goes_on) more.insert(more.end(), {"--resume", checkpoint});
    running_trimtab program(fit(more));
    const auto moment = std::chrono::duration_cast<std::chrono::microseconds>(
        length * share(random) * (1 - 0.6 * static_cast<double>(steps) / 150));
    CAPTURE(kill, moment.count(), steps);
    std::this_thread::sleep_for(moment);
    program.signal(SIGKILL);
    kill += program.wait().status == 128 + SIGKILL;  // otherwise the program had ended before the signal
    const auto out_found = content_of(out);
    CHECK((out_found == out_wanted or out_found == "what stood there"));
    if (not std::filesystem::exists(checkpoint)) {
      CHECK_FALSE(goes_on);
      ++before_any;
      continue;
    }
    const auto state = io::read_checkpoint(checkpoint);
    CHECK(state.steps() >= steps);
    steps = state.steps();
    killed_after.insert(steps);

    // A copy of the checkpoint is resumed to the end here; the next round resumes the checkpoint itself.
    std::filesystem::copy_file(checkpoint, copy, std::filesystem::copy_options::overwrite_existing);
    const auto resumed = run_trimtab(fit({"--resume", copy, "--checkpoint", copy}));
    CHECK(resumed.status == 0);
    CHECK(resumed.out == said);
    CHECK((content_of(out) == out_wanted));
    CHECK((content_of(copy) == checkpoint_wanted));
    model.file("out", "what stood there");
    if (steps == 150) {
      std::filesystem::remove(checkpoint);
      steps = 0;
    }
  }
  CHECK(killed_after.size() > 1);
  if (kills > 20)
    WARN(kills << " kills, after " << killed_after.size() << " different numbers of steps; " << before_any
               << " before the first checkpoint");
}

}  // namespace trimtab::test::crash_tests
