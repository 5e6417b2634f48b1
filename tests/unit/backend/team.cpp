// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen/available_threads.hpp>
#include <trimtab/backend/eigen/team.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace trimtab::test::team_tests {

using namespace trimtab::eigen;

namespace {

/// How often each of 0, ..., n - 1 was claimed.
std::vector<int> claims_of(int threads, index_t n) {
  std::vector<std::atomic<int>> times(static_cast<std::size_t>(n));
  parallel_claims(threads, n, [&](claim some) {
    for (index_t i = some.begin; i < some.end; ++i) ++times[static_cast<std::size_t>(i)];
  });
  return {times.begin(), times.end()};
}

}  // namespace

TEST_CASE("Every piece of work is claimed exactly once, for any number of threads and pieces") {
  for (int threads : {1, 2, 3, 8, 33})
    for (index_t n : {0, 1, 2, 3, 7, 8, 64, 1000}) {
      CAPTURE(threads, n);
      CHECK(claims_of(threads, n) == std::vector<int>(static_cast<std::size_t>(n), 1));
    }
}

TEST_CASE("A team does one thing after another, thousands of times") {
  std::atomic<long> sum = 0;
  for (int round = 0; round < 20'000; ++round) parallel_claims(3, 5, [&](claim some) { sum += some.end - some.begin; });
  CHECK(sum == 100'000);
}

TEST_CASE("Parallel work inside parallel work runs on one thread") {
  std::atomic<int> sum = 0;
  parallel_claims(4, 8, [&](claim some) {
    for (index_t i = some.begin; i < some.end; ++i)
      parallel_claims(4, 8, [&](claim inner) { sum += static_cast<int>(inner.end - inner.begin); });
  });
  CHECK(sum == 64);
}

TEST_CASE("What a member of a team throws reaches the caller, and the team goes on") {
  for (index_t bad : {0, 3, 7}) {
    CHECK_THROWS_AS(parallel_claims(4, 8,
                                    [&](claim some) {
                                      if (some.begin <= bad and bad < some.end) throw std::runtime_error("this one");
                                    }),
                    std::runtime_error);
    CHECK(claims_of(4, 8) == std::vector<int>(8, 1));
  }
}

TEST_CASE("Each thread that calls has a team of its own") {
  std::vector<std::thread> callers;
  std::atomic<int> right = 0;
  for (int k = 0; k < 4; ++k)
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round) right += claims_of(3, 50) == std::vector<int>(50, 1);
    });
  for (auto& caller : callers) caller.join();
  CHECK(right == 2000);
}

TEST_CASE("After a fork the child has a team too") {
  REQUIRE(claims_of(3, 50) == std::vector<int>(50, 1));
  const pid_t child = fork();
  if (child == 0) {
    const bool right = claims_of(3, 50) == std::vector<int>(50, 1);
    std::_Exit(right ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(claims_of(3, 50) == std::vector<int>(50, 1));
}

TEST_CASE("OMP_NUM_THREADS says how many threads there are") {
  const char* const before = std::getenv("OMP_NUM_THREADS");
  const std::string kept = before ? before : "";
  const auto with = [](const char* value) {
    setenv("OMP_NUM_THREADS", value, 1);
    return available_threads();
  };
  CHECK(with("3") == 3);
  CHECK(with(" 2,4") == 2);
  unsetenv("OMP_NUM_THREADS");
  const int usual = available_threads();
  for (const char* nonsense : {"", "x", "0", "-1", "2x", "99999999999999"}) CHECK(with(nonsense) == usual);
  before ? setenv("OMP_NUM_THREADS", kept.c_str(), 1) : unsetenv("OMP_NUM_THREADS");
}

TEST_CASE("The affinity mask says how many threads there are") {
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int k = 0; k < CPU_SETSIZE; ++k)
    if (CPU_ISSET(k, &before) and CPU_COUNT(&one) == 0) CPU_SET(k, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(eigen::detail::processors() == 1);
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(eigen::detail::processors() == CPU_COUNT(&before));
}

TEST_CASE("A control group's quota is as many whole processors as it pays for") {
  using eigen::detail::processors_paid_for;
  CHECK(processors_paid_for("max 100000") == 0);
  CHECK(processors_paid_for("") == 0);
  CHECK(processors_paid_for("50000 100000") == 1);
  CHECK(processors_paid_for("200000 100000\n") == 2);
  CHECK(processors_paid_for("250000 100000") == 2);
  CHECK(processors_paid_for("-1 100000") == 0);

  const test::temporary_folder root;
  const auto write = [&](const std::string& name, const std::string& text) {
    std::filesystem::create_directories((root.path() / name).parent_path());
    std::ofstream(root.path() / name) << text << '\n';
  };
  const auto quota = [&] { return eigen::detail::quota_of_control_group(root.path(), root.path() / "membership"); };
  write("membership", "0::/outer/inner");
  CHECK(quota() == 0);
  write("outer/cpu.max", "300000 100000");
  CHECK(quota() == 3);
  write("outer/inner/cpu.max", "max 100000");
  CHECK(quota() == 3);
  write("cpu.max", "200000 100000");
  CHECK(quota() == 2);
  write("membership", "4:memory:/x\n3:cpu,cpuacct:/mine\n1:name=systemd:/x");
  CHECK(quota() == 0);
  write("cpu,cpuacct/mine/cpu.cfs_quota_us", "400000");
  write("cpu,cpuacct/mine/cpu.cfs_period_us", "100000");
  CHECK(quota() == 4);
}

}  // namespace trimtab::test::team_tests
