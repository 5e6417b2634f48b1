// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

/// Processes that share one piece of work. Each is a *rank*, 0, 1, ...; all call the same functions in the same order.

namespace trimtab {

/// Satisfied by: `alone`, `any_communicator`, `parallel::mpi`.
/// `all_gather(mine)` gives every rank the bytes of each, in the order of ranks; their sizes may differ.
template <typename C>
concept communicator = std::copy_constructible<C> and requires(const C& c, std::span<const std::byte> mine) {
  { c.rank() } -> std::same_as<int>;
  { c.size() } -> std::same_as<int>;
  { c.all_gather(mine) } -> std::same_as<std::vector<std::vector<std::byte>>>;
};

/// A process that shares nothing.
struct alone {
  int rank() const { return 0; }
  int size() const { return 1; }
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const {
    return {{mine.begin(), mine.end()}};
  }
};

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

 private:
  struct held_communicator {
    virtual ~held_communicator() = default;
    virtual int rank() const = 0;
    virtual int size() const = 0;
    virtual std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const = 0;
  };
  template <typename C>
  struct holding final : held_communicator {
    explicit holding(C c) : it(std::move(c)) {}
    int rank() const override { return it.rank(); }
    int size() const override { return it.size(); }
    std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const override {
      return it.all_gather(mine);
    }
    C it;
  };

  std::shared_ptr<const held_communicator> held_;
};

}  // namespace trimtab
