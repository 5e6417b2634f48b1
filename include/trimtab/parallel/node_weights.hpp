// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/shared_weights.hpp>
#include <trimtab/parallel/mpi.hpp>

#include <mpi.h>
#include <sys/statvfs.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace trimtab::parallel {

/// Weights that the ranks of each machine hold once, in windows of MPI's shared memory:
///
///     gpt2<eigen_backend<float>> model(folder, eigen_backend<float>(4, weight_type::as_in_file,
///                                                                   std::make_shared<parallel::node_weights>()));
///
/// All ranks make one together. The first rank of a machine reads what is shared: the matrices that are kept as the
/// folder stores them. Every rank reads the rest, and keeps matrices for itself where its machine has no room for a
/// window (`/dev/shm`) or no other rank. The windows stay until the `mpi_session` ends, because freeing one needs all
/// ranks, and a rank that fails must not wait for the others.
class node_weights final : public shared_weights {
 public:
  explicit node_weights(MPI_Comm all = MPI_COMM_WORLD) {
    int rank = 0;
    ::MPI_Comm_rank(all, &rank);
    ::MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node_);
    ::MPI_Comm_rank(node_, &rank_);
    ::MPI_Comm_size(node_, &size_);
  }
  node_weights(const node_weights&) = delete;
  node_weights& operator=(const node_weights&) = delete;

  bool fills() const override { return rank_ == 0; }

  std::shared_ptr<void> room(index_t bytes) override {
    constexpr index_t alignment = 64;
    const index_t size = bytes + alignment;
    if (size_ == 1) return nullptr;
    if (not first_says(has_room(size))) return nullptr;
    void* own = nullptr;
    MPI_Win window = MPI_WIN_NULL;
    ::MPI_Comm_set_errhandler(node_, MPI_ERRORS_RETURN);  // this call may fail, and each rank then keeps its own
    const bool made = ::MPI_Win_allocate_shared(fills() ? size : 0, 1, MPI_INFO_NULL, node_, static_cast<void*>(&own),
                                                &window) == MPI_SUCCESS;
    ::MPI_Comm_set_errhandler(node_, MPI_ERRORS_ARE_FATAL);
    if (not all_say(made)) return nullptr;
    ::MPI_Win_lock_all(MPI_MODE_NOCHECK, window);
    mpi_session::keep(window);
    last_ = window;
    MPI_Aint there = 0;
    int unit = 0;
    void* first = nullptr;
    ::MPI_Win_shared_query(window, 0, &there, &unit, static_cast<void*>(&first));
    // Pages begin at multiples of the alignment in every process, so that each shifts the address by as much.
    const auto address = reinterpret_cast<std::uintptr_t>(first);
    const auto beyond = address % alignment;
    // Without an owner: the session frees the window.
    return {std::shared_ptr<void>(), static_cast<std::byte*>(first) + (beyond > 0 ? alignment - beyond : 0)};
  }

  bool filled(bool well) override {
    ::MPI_Win_sync(last_);
    const bool said = first_says(well);
    ::MPI_Win_sync(last_);
    return said;
  }

 private:
  /// Open MPI takes windows from here, does not look whether they fit, and dies when a page is missing.
  static bool has_room(index_t bytes) {
    struct statvfs shared {};
    if (::statvfs("/dev/shm", &shared) != 0) return true;
    return static_cast<double>(shared.f_bavail) * static_cast<double>(shared.f_frsize) >
           1.05 * static_cast<double>(bytes);
  }
  bool first_says(bool mine) const {
    int says = mine ? 1 : 0;
    MPI_Request others = MPI_REQUEST_NULL;
    ::MPI_Ibcast(&says, 1, MPI_INT, 0, node_, &others);
    detail::wait_for(others);
    return says != 0;
  }
  bool all_say(bool mine) const {
    const int own = mine ? 1 : 0;
    int least = 0;
    MPI_Request others = MPI_REQUEST_NULL;
    ::MPI_Iallreduce(&own, &least, 1, MPI_INT, MPI_MIN, node_, &others);
    detail::wait_for(others);
    return least != 0;
  }

  MPI_Comm node_ = MPI_COMM_NULL;
  MPI_Win last_ = MPI_WIN_NULL;
  int rank_ = 0, size_ = 1;
};

}  // namespace trimtab::parallel
