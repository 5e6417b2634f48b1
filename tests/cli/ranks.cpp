// SPDX-License-Identifier: Apache-2.0

#include "program.hpp"

#include <trimtab/io/checkpoint_file.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace trimtab::test::ranks_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using arguments = std::vector<std::string>;

arguments with(arguments one, const arguments& more) {
  one.insert(one.end(), more.begin(), more.end());
  return one;
}

/// Says that a test is skipped where there is no mpirun.
bool has_mpirun() {
  static const bool found = std::system("command -v mpirun > /dev/null 2>&1") == 0;
  if (not found) WARN("skipped: ranks need mpirun, of Debian's package openmpi-bin");
  return found;
}

/// The shell command that runs the program with some ranks.
std::string command_of(int ranks, const arguments& words) {
  std::string command = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n " +
                        std::to_string(ranks) + " " + TRIMTAB_PROGRAM;
  for (const auto& word : words) command += " '" + word + "'";
  return command;
}

outcome run_ranks(int ranks, const model_for_cli& model, const arguments& words) {
  const auto out = model.name("ranks-out"), err = model.name("ranks-err");
  const int status = std::system((command_of(ranks, words) + " > '" + out + "' 2> '" + err + "' < /dev/null").c_str());
  return {WEXITSTATUS(status), content_of(out), content_of(err)};
}

arguments fit_of(const model_for_cli& model, const arguments& more) {
  return with({"fit", "--model", model.path(), "--data", model.data(), "--json"}, more);
}

/// The processes that a process has started, as /proc says.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != name.npos) continue;
    const auto status = content_of(entry.path() / "stat");  // "123 (name) S parent ..."
    if (const auto end = status.rfind(')'); end != status.npos and std::atoi(status.c_str() + end + 3) == parent)
      found.push_back(std::stoi(name));
  }
  return found;
}

/// Kills one of the ranks `after` some time once `file` is there, and waits for mpirun. Returns its status, and the
/// seconds from the kill to the end.
struct killed {
  int status = 0;
  double seconds = 0;
};
killed run_and_kill(int ranks, int victim, int milliseconds, const std::filesystem::path& file,
                    const model_for_cli& model, const arguments& words) {
  const auto pid_file = model.name("pid"), status_file = model.name("status");
  std::filesystem::remove(status_file);
  const auto script = model.file("run.sh", command_of(ranks, words) +
                                               " > /dev/null 2>&1 < /dev/null &\n"
                                               "echo $! > '" +
                                               pid_file + ".new'; mv '" + pid_file + ".new' '" + pid_file +
                                               "'\nwait $!\necho $? > '" + status_file + "'\n");
  std::filesystem::remove(pid_file);
  CHECK(std::system(("sh '" + script + "' &").c_str()) == 0);
  const auto wait_for = [](const std::filesystem::path& wanted) {
    for (int tries = 0; tries < 6000 and not std::filesystem::exists(wanted); ++tries)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return std::filesystem::exists(wanted);
  };
  CHECK(wait_for(pid_file));
  CHECK(wait_for(file));
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  const std::vector<pid_t> started = children_of(std::atoi(content_of(pid_file).c_str()));
  CHECK(static_cast<int>(started.size()) == ranks);
  const auto begin = std::chrono::steady_clock::now();
  if (static_cast<int>(started.size()) == ranks) ::kill(started[static_cast<std::size_t>(victim)], SIGKILL);
  CHECK(wait_for(status_file));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until it is written
  return {std::atoi(content_of(status_file).c_str()),
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
}

}  // namespace

TEST_CASE("Ranks that share a fit change no bit of it") {
  if (not has_mpirun()) return;
  const model_for_cli model;
  const arguments cut =
      GENERATE(arguments{"--chunk", "1", "--steps", "5"},
               arguments{"--chunk", "1", "--batch-size", "2", "--epochs", "3", "--warmup", "2", "--cosine"});
  const auto one = model.name("one"), shared = model.name("shared");
  REQUIRE(run_trimtab(fit_of(model, with(cut, {"--out", one}))).status == 0);
  for (const int ranks : {2, 3}) {
    const auto run = run_ranks(ranks, model, fit_of(model, with(cut, {"--out", shared})));
    CAPTURE(run.err);
    REQUIRE(run.status == 0);
    CHECK((content_of(shared) == content_of(one)));
    const auto json = io::parse_json(run.out, "standard output");
    CHECK(json["ranks"]["count"] == ranks);
    CHECK(json["ranks"]["prompts"].size() == static_cast<std::size_t>(ranks));
    CHECK(json["ranks"]["bytes_per_step"] > 0);
  }
}

TEST_CASE("Ranks that share prompts measure and explain what one does") {
  if (not has_mpirun()) return;
  const model_for_cli model;
  const auto fitted = model.name("fitted");
  REQUIRE(run_trimtab(fit_of(model, {"--steps", "5", "--out", fitted})).status == 0);
  const auto many = model.name("many.jsonl"), stays = model.name("stays.jsonl");
  {
    std::ofstream prompts(many), retained(stays);
    for (int k = 0; k < 70; ++k) {  // more than are run at once
      prompts << "{\"ids\": [" << k % 7 << ", 1, " << k % 5 << ", 4], \"correct_id\": 3, \"wrong_id\": 5}\n";
      retained << "{\"ids\": [" << k % 6 << ", 2, 3, " << k % 4 << "]}\n";
    }
  }
  const auto csv = model.name("csv"), page = model.name("page.html");
  const std::vector<arguments> commands{{"eval", "--intervention", fitted, "--per-prompt"},
                                        {"eval", "--intervention", fitted, "--test", many, "--retain", stays},
                                        {"eval", "--intervention", fitted, "--per-prompt-csv", csv},
                                        {"explain", "--method", "gradient", "--per-prompt", "--report", page},
                                        {"explain", "--method", "ablation", "--curve", "--report", page}};
  const auto& command = commands[static_cast<std::size_t>(GENERATE(0, 1, 2, 3, 4))];
  const auto all = with(command, {"--model", model.path(), "--data", model.data(), "--json"});
  const auto one = run_trimtab(all);
  CAPTURE(command, one.err);
  REQUIRE(one.status == 0);
  const auto written = [&] {
    return std::pair(std::filesystem::exists(csv) ? content_of(csv) : "",
                     std::filesystem::exists(page) ? content_of(page) : "");
  };
  const auto files = written();
  for (const int ranks : {2, 3}) {
    std::filesystem::remove(csv), std::filesystem::remove(page);
    const auto run = run_ranks(ranks, model, all);
    CAPTURE(run.err);
    REQUIRE(run.status == 0);
    auto json = io::parse_json(run.out, "standard output");
    CHECK(json["ranks"]["count"] == ranks);
    CHECK(json["ranks"]["prompts"].size() == static_cast<std::size_t>(ranks));
    json.erase("ranks");
    CHECK((json == io::parse_json(one.out, "standard output")));
    CHECK((written() == files));
  }
}

TEST_CASE("Ranks that share a sweep leave the files of one rank, byte for byte") {
  if (not has_mpirun()) return;
  const model_for_cli model;
  const arguments varied = GENERATE(
      arguments{"--vary", "lambda-m=0.05,0.002", "--vary", "lr=0.01..0.04:3", "--steps", "4"},
      arguments{"--vary", "policy=activ-scalar,steer-vec", "--vary", "lambda-m=0.1max,0.01max", "--steps", "4"},
      arguments{"--path", "3", "--vary", "margin=0,1", "--steps", "50"});
  // Every sweep is asked for by the same words, because its files hold them.
  const auto folder = model.name("sweep"), kept = model.name("kept");
  const auto words = with(
      {"sweep", "--model", model.path(), "--data", model.data(), "--test", model.data(), "--json", "--out", folder},
      varied);
  const auto alone = run_trimtab(words).json();
  std::filesystem::rename(folder, kept);
  for (const int ranks : {2, 4}) {
    const auto run = run_ranks(ranks, model, words);
    CAPTURE(run.err);
    REQUIRE(run.status == 0);
    CHECK((files_in(folder) == files_in(kept)));
    auto json = io::parse_json(run.out, "standard output");
    CHECK(json["ranks"]["count"] == ranks);
    index_t points = 0;
    for (const auto& own : json["ranks"]["points"]) points += own.get<index_t>();
    CHECK(points == std::ssize(alone["points"]));
    json.erase("ranks");
    CHECK(json == alone);

    // Some points are lost: the ranks fit them again, and leave the others as they are.
    std::filesystem::remove(folder + "/point-0001.json");
    std::filesystem::remove(folder + "/point-0002.json");
    CHECK(run_ranks(3, model, words).status == 0);
    CHECK((files_in(folder) == files_in(kept)));
    std::filesystem::remove_all(folder);
  }
}

TEST_CASE("If any rank is killed, all end, and another number of ranks goes on to the same bits") {
  if (not has_mpirun()) return;
  const model_for_cli model;
  const auto plain = model.name("plain"), out = model.name("out"), checkpoint = model.name("checkpoint");
  const arguments long_fit{"--chunk", "1", "--steps", "1500"};
  REQUIRE(run_trimtab(fit_of(model, with(long_fit, {"--out", plain}))).status == 0);
  // TRIMTAB_KILLS=20 takes longer and kills more often.
  const char* const asked = std::getenv("TRIMTAB_KILLS");
  const int kills = asked ? std::atoi(asked) : 2;
  std::minstd_rand random(7);
  for (int n = 0; n < kills; ++n) {
    const int ranks = 2 + n % 3, victim = static_cast<int>(random() % static_cast<unsigned>(ranks));
    const int milliseconds = static_cast<int>(random() % 500);
    CAPTURE(n, ranks, victim, milliseconds);
    std::filesystem::remove(checkpoint);
    const auto end = run_and_kill(
        ranks, victim, milliseconds, checkpoint, model,
        fit_of(model, with(long_fit, {"--out", out, "--checkpoint", checkpoint, "--checkpoint-every", "1"})));
    CHECK(end.status != 0);
    CHECK(end.seconds < 10);
    CHECK_FALSE(std::filesystem::exists(out));
    const auto state = io::read_checkpoint(checkpoint);
    CHECK((state.steps() >= 1 and state.steps() < 1500));
    const auto rest = run_ranks(ranks == 2 ? 3 : ranks - 1, model,
                                fit_of(model, with(long_fit, {"--resume", checkpoint, "--out", out})));
    CAPTURE(rest.err);
    CHECK(rest.status == 0);
    CHECK((content_of(out) == content_of(plain)));
    std::filesystem::remove(out);
  }
}

TEST_CASE("Ranks that cannot work end together, with one sentence of the program's") {
  if (not has_mpirun()) return;
  const model_for_cli model;
  const auto other = run_ranks(2, model, {"inspect", model.path()});
  CHECK(other.status == 1);
  CHECK_THAT(other.err, ContainsSubstring("only `fit`, `sweep`, `eval` and `explain` share their work"));
  const auto missing = run_ranks(2, model, fit_of(model, {"--resume", model.name("nowhere")}));
  CHECK(missing.status == 1);
  CHECK_THAT(missing.err, ContainsSubstring("nowhere"));
  const auto nowhere = run_ranks(
      2, model, {"sweep", "--model", model.path(), "--data", model.data(), "--vary", "lr=0.01,0.02", "--steps", "1"});
  CHECK(nowhere.status == 1);
  CHECK_THAT(nowhere.err, ContainsSubstring("name it by --out"));
}

}  // namespace trimtab::test::ranks_tests
