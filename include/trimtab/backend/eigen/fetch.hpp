// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen/target.hpp>
#include <trimtab/core/view.hpp>

/// In what order weights are prefetched. Products of few rows wait for memory, and processors differ in how they read
/// it fastest (benchmarks/RESULTS.md). One that reads ahead only within a page of 4 KB gets a line of each of eight
/// pages in turn up to 1.6 times as fast as one page after another. One that reads ahead from page to page is up to 1.6
/// times faster with one after another.

namespace trimtab::eigen {
inline namespace TRIMTAB_TARGET {

inline constexpr index_t line_bytes = 64;

/// How many pieces of a slice, which lie in different pages, this processor should fetch in turn. Measured on Intel's
/// Ice Lake and Sapphire Rapids (8), and on AMD's Zen 5 (1); other processors of Intel are taken to be like the former,
/// all others like the latter.
inline index_t pieces_in_turn() {
#if defined(__x86_64__) || defined(__i386__)
  static const bool is_intel = __builtin_cpu_is("intel");
  return is_intel ? 8 : 1;
#else
  return 1;
#endif
}

/// Prefetches the cache line at `p`.
inline void fetch(const char* p) { __builtin_prefetch(p, 0, 3); }
/// Prefetches the cache lines of `bytes` bytes from `p` on, which will be written.
inline void fetch_to_write(void* p, index_t bytes) {
  char* const first = static_cast<char*>(p);
  for (index_t from = 0; from < bytes; from += line_bytes) __builtin_prefetch(first + from, 1, 3);
  __builtin_prefetch(first + bytes - 1, 1, 3);  // p may be anywhere in its line
}

/// Memory in pieces of `bytes` bytes that begin `distance` bytes apart.
struct memory_pieces {
  const char* first;
  index_t distance, bytes;

  /// Pieces of 2 KB were not read faster in turn.
  bool are_long() const { return bytes > 2048; }
};

/// What to fetch, `step` bytes at a time: `turn` times, `turn_step` bytes apart, make a turn; turns begin
/// `turn_distance` bytes apart and make groups of `group` times, which begin `group_distance` bytes apart.
struct fetch_order {
  const char* first;
  index_t step, turn, turn_step, group, turn_distance, group_distance;

  /// One piece after another: of each, from its byte `from` on, `times` times.
  static fetch_order by_pieces(memory_pieces of, index_t from, index_t step, index_t times) {
    return {of.first + from, step, times, step, times, 0, of.distance};
  }
  /// The same of `count` pieces in turn.
  static fetch_order in_turn(memory_pieces of, index_t count, index_t from, index_t step, index_t times) {
    return {of.first + from, step, count, of.distance, count * times, step, count * of.distance};
  }
  /// Nothing new in so many times: always the line at `p`, because a prefetch of no page searches for it each time.
  static fetch_order nothing(const void* p, index_t times) {
    return by_pieces({static_cast<const char*>(p), 0, 0}, 0, 0, times);
  }
};

/// Walks in that order.
class fetch_walk {
 public:
  explicit fetch_walk(const fetch_order& order) : order_(order), turn_(order.first), at_(order.first) {}

  /// Where to fetch next.
  const char* next() {
    const char* const now = at_;
    at_ += order_.turn_step;
    if (++in_turn_ < order_.turn) return now;
    in_turn_ = 0;
    at_ = turn_ += order_.turn_distance;
    in_group_ += order_.turn;
    if (in_group_ < order_.group) return now;
    in_group_ = 0;
    at_ = turn_ = order_.first += order_.group_distance;
    return now;
  }

 private:
  fetch_order order_;
  const char *turn_, *at_;
  index_t in_turn_ = 0, in_group_ = 0;
};

}  // namespace TRIMTAB_TARGET
}  // namespace trimtab::eigen
