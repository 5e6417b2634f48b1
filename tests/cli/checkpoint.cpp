// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/checkpoint_file.hpp>

#include <csignal>

namespace trimtab::test::checkpoint_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using arguments = std::vector<std::string>;

arguments operator+(arguments one, const arguments& more) {
  one.insert(one.end(), more.begin(), more.end());
  return one;
}

/// A fit in which every parameter changes.
arguments fit_of(const model_for_cli& model, const std::string& steps, const arguments& more = {}) {
  return arguments{"fit",        "--model", model.path(), "--data", model.data(),
                   "--lambda-m", "0.00001", "--steps",    steps,    "--json"} +
         more;
}

}  // namespace

TEST_CASE("A resumed fit gives the file, the trace and the figures of one without a break") {
  const model_for_cli model(GENERATE(false, true));
  const arguments choice =
      GENERATE(arguments{}, arguments{"--policy", "dyn-scalar", "--precision", "double", "--subgradient"});
  const auto out = model.name("out"), trace = model.name("trace"), checkpoint = model.name("c");
  const auto outputs = choice + arguments{"--out", out, "--trace", trace, "--checkpoint", checkpoint};

  const auto whole = run_trimtab(fit_of(model, "20", outputs));
  CHECK(whole.json()["nonzero_parameters"] > 0);
  const auto out_wanted = content_of(out), trace_wanted = content_of(trace), checkpoint_wanted = content_of(checkpoint);

  for (const std::string broken_off : {"1", "7", "19", "20"}) {
    CAPTURE(broken_off);
    run_trimtab(fit_of(model, broken_off, choice + arguments{"--checkpoint", checkpoint}));
    CHECK(io::read_checkpoint(checkpoint).steps() == std::stoi(broken_off));
    const auto resumed = run_trimtab(fit_of(model, "20", outputs + arguments{"--resume", checkpoint}));
    CHECK(resumed.json() == whole.json());
    CHECK((content_of(out) == out_wanted));
    CHECK(content_of(trace) == trace_wanted);
    CHECK((content_of(checkpoint) == checkpoint_wanted));
    const bool finished = broken_off == "20";
    CHECK((resumed.err.find("had made all 20 steps already") != resumed.err.npos) == finished);
  }
}

TEST_CASE("Checkpoints are written every N steps, and resumed with moved files") {
  const model_for_cli model;
  const auto checkpoint = model.name("c");
  const auto every = [&](const std::string& n, const arguments& more = {}) {
    return run_trimtab(fit_of(model, "9", arguments{"--checkpoint", checkpoint, "--checkpoint-every", n} + more), "",
                       {"LD_PRELOAD=" TRIMTAB_FAULTS, "ASAN_OPTIONS=verify_asan_link_order=0",
                        "TRIMTAB_FAULT=rename 3 5"});  // the third checkpoint cannot be written
  };
  CHECK(every("4").status == 1);  // after 4, 8 and 9 steps
  CHECK(io::read_checkpoint(checkpoint).steps() == 8);
  CHECK(every("5").status == 0);  // after 5 and 9
  CHECK(io::read_checkpoint(checkpoint).steps() == 9);

  const auto moved = model.file("elsewhere.jsonl", content_of(model.data()));
  CHECK(run_trimtab({"fit", "--model", model.path() + "/.", "--data", moved, "--lambda-m", "0.00001", "--steps", "12",
                     "--threads", "1", "--resume", checkpoint})
            .status == 0);
}

TEST_CASE("A checkpoint that does not fit what is asked is refused with what differs") {
  const model_for_cli model, other(true);
  const auto checkpoint = model.name("c"), out = model.name("out");
  REQUIRE(run_trimtab(fit_of(model, "4", {"--checkpoint", checkpoint, "--out", out})).status == 0);
  const auto refused = [&](const arguments& with, const std::string& sentence) {
    const auto run = run_trimtab(with);
    CAPTURE(with, run.err);
    CHECK(run.status == 1);
    CHECK(run.out.empty());
    CHECK(run.error_lines() == 1);
    CHECK_THAT(run.err, ContainsSubstring(sentence));
  };
  const auto with = [&](const arguments& more) { return fit_of(model, "9", arguments{"--resume", checkpoint} + more); };
  const auto belongs = "the checkpoint '" + checkpoint + "' belongs to another fit: ";
  refused(with({"--lr", "0.5"}), belongs + "learning rate was 0.03 and is now 0.5");
  refused(with({"--lambda-f", "2"}), belongs + "weight of faithfulness was 1 and is now 2");
  refused(with({"--psi", "softplus"}), belongs + "psi of effectiveness was 0 and is now 2");
  refused(with({"--strengths", "1"}), belongs + "strengths was 1,-1 and is now 1");
  refused(with({"--precision", "double"}), belongs + "precision was float and is now double");
  refused(with({"--layers", "1"}), belongs +
                                       "intervention at attn_out was activ-scalar in the layers 0,1 with 4 absolute "
                                       "positions and is now activ-scalar in the layers 1 with");
  refused(with({"--data", model.file("other.jsonl", "{\"ids\": [1, 2, 3, 4], \"correct_id\": 5, \"wrong_id\": 7}\n")}),
          belongs + "prompts was 3 with the hash");
  refused(fit_of(other, "9", {"--resume", checkpoint}), belongs + "model was gpt2 of 2 layers");
  refused(fit_of(model, "3", {"--resume", checkpoint}), "has made 4 steps, more than the 3 asked for");
  refused(with({"--resume", out}), "'" + out + "' is not a checkpoint");
  refused(with({"--resume", model.name("missing")}), "missing': No such file or directory");
  refused(with({"--checkpoint", "/nowhere/c"}), "cannot write '/nowhere/c'");
}

TEST_CASE("Ctrl-C, SIGTERM and SIGHUP end a fit after its step, and it goes on from there") {
  const model_for_cli model;
  const auto out = model.name("out"), checkpoint = model.name("c");
  const auto [signal, name, status] = GENERATE(
      table<int, std::string, int>({{SIGINT, "Ctrl-C", 0}, {SIGTERM, "SIGTERM", 143}, {SIGHUP, "SIGHUP", 129}}));
  const auto before = std::signal(signal, SIG_DFL);  // under nohup it is ignored, which a child would inherit
  const auto run = interrupt_trimtab(fit_of(model, "1000000000", {"--out", out, "--checkpoint", checkpoint}), signal);
  std::signal(signal, before);
  CAPTURE(run.err);
  CHECK(run.status == status);
  const auto found = io::parse_json(run.out, "standard output");
  CHECK(found["interrupted"] == true);
  const auto steps = found["steps"].dump();
  CHECK(run.err == "trimtab: the fit ends within this step; a second signal ends it at once\ntrimtab: ended by " +
                       name + " after step " + steps + " of 1000000000; what it learned is in '" + out +
                       "'; --resume '" + checkpoint + "' continues from there\n");
  const auto kept = content_of(out);
  CHECK(io::read_checkpoint(checkpoint).steps() == found["steps"]);
  const bool before_the_first = steps == "0";  // the signal may come at once; --steps 0 is not allowed
  const auto again = run_trimtab(fit_of(model, before_the_first ? "1" : steps, {"--out", out, "--resume", checkpoint}));
  CHECK(again.status == 0);
  if (not before_the_first) CHECK((content_of(out) == kept));
}

TEST_CASE("A signal that is ignored from the start, as nohup and shells do, does not end a fit") {
  const model_for_cli model;
  const auto before = std::signal(SIGINT, SIG_IGN);
  running_trimtab program(fit_of(model, "1000000000", {}));
  std::signal(SIGINT, before);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  program.signal(SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  program.signal(SIGTERM);
  CHECK(program.wait().status == 143);
}

TEST_CASE("A second signal, of any kind, ends the program immediately, and the old file stays") {
  const auto [second, status] = GENERATE(table<int, int>({{SIGINT, 130}, {SIGTERM, 143}}));
  const model_for_cli model;
  std::string lines;
  for (int i = 0; i < 4000; ++i) lines += "{\"ids\": [1, 2, 3, 4, 5, 6, 7, 8], \"correct_id\": 5, \"wrong_id\": 6}\n";
  const auto data = model.file("many.jsonl", lines), out = model.file("out", "what stood there");
  running_trimtab program({"fit", "--model", model.path(), "--data", data, "--steps", "1000000000", "--out", out});
  program.wait_until(true);
  program.signal(SIGINT);
  program.wait_until(false);  // the program has caught the first one, in the middle of a step
  program.signal(second);
  const auto run = program.wait();
  CHECK(run.status == status);
  CHECK(run.out.empty());
  CHECK((content_of(out) == "what stood there" or not run.err.empty()));
}

}  // namespace trimtab::test::checkpoint_tests
