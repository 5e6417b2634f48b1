// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>

#include <algorithm>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

/// Processes that share one piece of work. Each is a *rank*, 0, 1, ...; all call the same functions in the same order.

namespace trimtab {

/// Satisfied by: `alone`, `any_communicator`, `parallel::mpi`, `parallel::nccl`.
/// `all_gather(mine)` gives every rank the bytes of each, in the order of ranks; their sizes may differ.
template <typename C>
concept communicator = std::copy_constructible<C> and requires(const C& c, std::span<const std::byte> mine) {
  { c.rank() } -> std::same_as<int>;
  { c.size() } -> std::same_as<int>;
  { c.all_gather(mine) } -> std::same_as<std::vector<std::vector<std::byte>>>;
};

/// Ranks of which each has a device, and whose devices give each other what is in their memory.
///
/// Satisfied by: `parallel::nccl`, and `any_communicator`, which tells whether it holds one.
/// `all_gather(mine, all, bytes, stream)` sets `all` to the `bytes` bytes at `mine` of each rank, in the order of
/// ranks. Both are in the device's memory, and the work is one more of the stream's.
template <typename C>
concept device_communicator = communicator<C> and
    requires(const C& c, const void* mine, void* all, std::size_t bytes, void* stream) {
  c.all_gather(mine, all, bytes, stream);
};

/// A process that shares nothing.
struct alone {
  int rank() const { return 0; }
  int size() const { return 1; }
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const {
    return {{mine.begin(), mine.end()}};
  }
};

/// Items numbered from `first` to before `last`.
struct item_range {
  index_t first, last;

  index_t count() const { return last - first; }
};

/// Which of n items one of so many ranks does: as many as the others, give or take one, and all before those of the
/// next.
constexpr item_range share_of(int rank, int ranks, index_t n) { return {n * rank / ranks, n * (rank + 1) / ranks}; }
/// Those of the calling rank.
template <communicator C>
item_range own_share(const C& ranks, index_t n) {
  return share_of(ranks.rank(), ranks.size(), n);
}

/// What each rank has, in the order of ranks. Items are numbers, or structs of nothing else. A rank that throws before
/// it comes here leaves the others waiting; a program ends them then, as `mpi_session::abort` does.
template <typename Item, communicator C>
std::vector<Item> gathered(const C& ranks, std::vector<Item> mine) {
  static_assert(std::is_trivially_copyable_v<Item>, "ranks give each other numbers, or structs of nothing else");
  if (ranks.size() == 1) return mine;
  std::vector<Item> all;
  for (const std::vector<std::byte>& bytes : ranks.all_gather(std::as_bytes(std::span(mine)))) {
    all.resize(all.size() + bytes.size() / sizeof(Item));
    std::ranges::copy(bytes, std::as_writable_bytes(std::span(all)).last(bytes.size()).begin());
  }
  return all;
}

/// A communicator chosen at run time: what talks once a step need not be compiled for each kind.
class any_communicator {
 public:
  any_communicator() : any_communicator(alone{}) {}
  template <typename C>
    requires(not std::same_as<C, any_communicator> and communicator<C>)
  any_communicator(C c) : held_(std::make_shared<const holding<C>>(std::move(c))) {}

  int rank() const { return held_->rank(); }
  int size() const { return held_->size(); }
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const {
    return held_->all_gather(mine);
  }

  /// Whether it is a `device_communicator`, whose other function this one then calls.
  bool joins_devices() const { return held_->joins_devices(); }
  void all_gather(const void* mine, void* all, std::size_t bytes, void* stream) const {
    held_->all_gather(mine, all, bytes, stream);
  }

 private:
  struct held_communicator {
    virtual ~held_communicator() = default;
    virtual int rank() const = 0;
    virtual int size() const = 0;
    virtual std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const = 0;
    virtual bool joins_devices() const = 0;
    virtual void all_gather(const void* mine, void* all, std::size_t bytes, void* stream) const = 0;
  };
  template <typename C>
  struct holding final : held_communicator {
    explicit holding(C c) : it(std::move(c)) {}
    int rank() const override { return it.rank(); }
    int size() const override { return it.size(); }
    std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const override {
      return it.all_gather(mine);
    }
    bool joins_devices() const override { return device_communicator<C>; }
    void all_gather([[maybe_unused]] const void* mine, [[maybe_unused]] void* all, [[maybe_unused]] std::size_t bytes,
                    [[maybe_unused]] void* stream) const override {
      if constexpr (device_communicator<C>)
        it.all_gather(mine, all, bytes, stream);
      else
        assert(false);
    }
    C it;
  };

  std::shared_ptr<const held_communicator> held_;
};

}  // namespace trimtab
