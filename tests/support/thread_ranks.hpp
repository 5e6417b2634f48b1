// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>

#include <barrier>
#include <cstddef>
#include <memory>
#include <span>
#include <thread>
#include <vector>

namespace trimtab::test {

/// Threads that stand in for processes.
class thread_ranks {
 public:
  explicit thread_ranks(int count) : shared_(std::make_shared<shared>(count)) {}

  /// Calls work(communicator) of each rank, each on a thread of its own.
  template <typename Work>
  static void run(int count, Work work) {
    thread_ranks all(count);
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < count; ++rank) {
      thread_ranks own = all;
      own.rank_ = rank;
      threads.emplace_back([own, &work] { work(own); });
    }
  }

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(shared_->bytes.size()); }
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const {
    shared_->bytes[static_cast<std::size_t>(rank_)].assign(mine.begin(), mine.end());
    shared_->all_wrote.arrive_and_wait();
    auto all = shared_->bytes;
    shared_->all_read.arrive_and_wait();
    return all;
  }

 private:
  struct shared {
    explicit shared(int count) : bytes(static_cast<std::size_t>(count)), all_wrote(count), all_read(count) {}
    std::vector<std::vector<std::byte>> bytes;
    std::barrier<> all_wrote, all_read;
  };
  std::shared_ptr<shared> shared_;
  int rank_ = 0;
};
static_assert(communicator<thread_ranks>);

}  // namespace trimtab::test
