// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

/// The threads of the CPU backend. Each calling thread has its own team of helpers, which live as long as it does. Work
/// is handed out in claims: every member takes its own share at once, which is the same in every operation and so still
/// in its cache, then pieces of the shares that nobody has begun. Two rules keep a team efficient on a shared machine:
///
/// - nobody waits for a helper that has not started: the others do its share piece by piece, and it takes what is left
///   when it comes; after the last claim no helper may enter, and only those inside are waited for;
/// - a waiting thread spins for a moment, because the next operation usually follows at once, and then sleeps.

namespace trimtab::eigen {

/// A range of work items, [begin, end).
struct claim {
  index_t begin;
  index_t end;

  constexpr explicit operator bool() const { return begin < end; }
};

/// A reference to the function object that processes claims, which must outlive it. Type-erased, so that it is compiled
/// once for one thread and for many.
class claim_work {
 public:
  claim_work() = default;
  template <typename F>
  explicit claim_work(const F& f)
      : object_(std::addressof(f)),
        call_([](const void* object, claim some) { (*static_cast<const F*>(object))(some); }) {}

  void operator()(claim some) const { call_(object_, some); }

 private:
  const void* object_ = nullptr;
  void (*call_)(const void*, claim) = nullptr;
};

namespace detail {

inline void pause_processor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until done(word): spins for at most 50 microseconds, then sleeps until `word` has changed and was notified.
template <typename Done>
void wait_until(const std::atomic<int>& word, Done done) {
  using clock = std::chrono::steady_clock;
  const auto give_up = clock::now() + std::chrono::microseconds(50);
  do
    for (int k = 0; k < 32; ++k) {
      if (done(word.load(std::memory_order_acquire))) return;
      pause_processor();
    }
  while (clock::now() < give_up);
  for (int seen = word.load(std::memory_order_acquire); not done(seen); seen = word.load(std::memory_order_acquire))
    word.wait(seen, std::memory_order_acquire);
}

/// How often this process was forked: a child has no helper threads.
inline std::atomic<int> forks{0};
inline void count_forks() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
  static_cast<void>(registered);
}

}  // namespace detail

class team {
 public:
  team() : forks_(detail::forks) { detail::count_forks(); }
  team(const team&) = delete;
  team& operator=(const team&) = delete;
  ~team() {
    if (forks_ != detail::forks) abandon();
    ending_.store(true, std::memory_order_relaxed);
    call();
    for (std::thread& helper : helpers_) helper.join();
  }

  /// Runs work(claim) on at most `threads` threads, this one included, for claims that cover 0, ..., n - 1. Rethrows
  /// the first exception of work.
  void run(int threads, index_t n, claim_work work) {
    if (forks_ != detail::forks) abandon();
    const auto members = static_cast<int>(std::min<index_t>(threads, n));
    if (static_cast<int>(shares_.size()) < members) shares_ = std::vector<share>(static_cast<std::size_t>(members));
    members_ = members;
    for (int m = 0; m < members; ++m) {
      share& one = shares_[static_cast<std::size_t>(m)];
      const index_t begin = n * m / members;
      one.end = n * (m + 1) / members;
      one.piece = std::max<index_t>(1, (one.end - begin) / 8);
      one.next.store(begin, std::memory_order_relaxed);
    }
    work_ = work;
    hire(members - 1);
    inside_.store(0, std::memory_order_release);  // helpers may enter
    call();
    take_part(0);
    inside_.fetch_or(closed, std::memory_order_acq_rel);
    detail::wait_until(inside_, [](int inside) { return inside == closed; });
    failed_.store(false, std::memory_order_relaxed);
    if (problem_) std::rethrow_exception(std::exchange(problem_, nullptr));
  }

 private:
  static constexpr int closed = 1 << 30;
  static constexpr std::size_t cache_line = 64;

  struct alignas(cache_line) share {
    std::atomic<index_t> next{0};
    index_t end = 0;
    index_t piece = 1;
  };

  /// What is left of the member's own share, else a piece of another. A share is not cut up for its own member, because
  /// a product copies its rows anew for each claim.
  claim take(int member) {
    for (int k = 0; k < members_; ++k) {
      share& from = shares_[static_cast<std::size_t>((member + k) % members_)];
      index_t begin = from.next.load(std::memory_order_relaxed);
      while (begin < from.end) {
        const index_t left = from.end - begin;
        const index_t count = k == 0 ? left : std::min(left, from.piece);
        if (from.next.compare_exchange_weak(begin, begin + count, std::memory_order_relaxed))
          return {begin, begin + count};
      }
    }
    return {0, 0};
  }

  void take_part(int member) {
    try {
      while (const claim some = take(member)) work_(some);
    } catch (...) {
      if (not failed_.exchange(true)) problem_ = std::current_exception();
    }
  }

  void hire(int count) {
    try {
      while (static_cast<int>(helpers_.size()) < count)
        helpers_.emplace_back([this, member = static_cast<int>(helpers_.size()) + 1] { help(member); });
    } catch (const std::system_error&) {
      // The system gives no more threads: fewer do the same work.
    }
  }

  void call() {
    called_.fetch_add(1, std::memory_order_release);
    called_.notify_all();
  }

  void help(int member) {
    for (int seen = 0;;) {
      detail::wait_until(called_, [&](int now) { return now != seen; });
      seen = called_.load(std::memory_order_acquire);
      if (ending_.load(std::memory_order_relaxed)) return;
      int inside = inside_.load(std::memory_order_relaxed);
      while (inside < closed and not inside_.compare_exchange_weak(inside, inside + 1, std::memory_order_acquire)) {
      }
      if (inside >= closed) continue;
      if (member < members_) take_part(member);
      if (inside_.fetch_sub(1, std::memory_order_acq_rel) - 1 == closed) inside_.notify_one();
    }
  }

  /// After a fork: the helpers do not exist in this process.
  void abandon() {
    for (std::thread& helper : helpers_) helper.detach();
    helpers_.clear();
    inside_.store(closed);
    forks_ = detail::forks;
  }

  int forks_;
  int members_ = 0;
  std::vector<share> shares_ = {};
  claim_work work_ = {};
  std::exception_ptr problem_ = nullptr;
  std::atomic<bool> failed_{false};
  alignas(cache_line) std::atomic<int> called_{0};       ///< how often `call` was called
  alignas(cache_line) std::atomic<int> inside_{closed};  ///< helpers at work, and whether more may enter
  std::atomic<bool> ending_{false};
  std::vector<std::thread> helpers_ = {};
};

namespace detail {

/// The team of the calling thread.
inline team& own_team() {
  thread_local team own;
  return own;
}
inline thread_local bool is_in_team = false;

inline void run_claims(int threads, index_t n, claim_work work) {
  if (threads <= 1 or n <= 1 or is_in_team) {  // within a team's work all cores are busy already
    if (n > 0) work({0, n});
    return;
  }
  const auto as_member = [work](claim some) {
    struct membership {
      membership() { is_in_team = true; }
      ~membership() { is_in_team = false; }
    };
    const membership now;
    work(some);
  };
  own_team().run(threads, n, claim_work(as_member));
}

}  // namespace detail

/// f(claim) for claims that cover 0, ..., n - 1, on at most `threads` threads.
template <typename F>
void parallel_claims(int threads, index_t n, const F& f) {
  detail::run_claims(threads, n, claim_work(f));
}

}  // namespace trimtab::eigen
