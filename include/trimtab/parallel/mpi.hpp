// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/core/error.hpp>

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <span>
#include <thread>
#include <vector>

/// Ranks under MPI: `trainer(steering, objective, adam{}, parallel::mpi{})` in a program that `mpirun -n 4` starts. A
/// call that fails ends all ranks, as MPI does by default.

namespace trimtab::parallel {

namespace detail {

/// Waits for a request: MPI's own wait keeps a core busy, which ranks that still work may need. Steps of ranks end
/// nearly together, so a short while of asking comes first.
inline void wait_for(MPI_Request& request) {
  using clock = std::chrono::steady_clock;
  const auto begin = clock::now();
  for (int done = 0; ::MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS and not done;)
    if (clock::now() - begin > std::chrono::microseconds(200))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace detail

/// MPI as long as this object lives; one in a program, made before any `mpi`.
class mpi_session {
 public:
  /// Throws `device` for an MPI that does not let one thread of several call it.
  mpi_session() {
    int provided = 0;
    ::MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    if (provided < MPI_THREAD_FUNNELED)
      throw error(error_kind::device,
                  "this MPI cannot be used by a program with threads; use one that supports "
                  "MPI_THREAD_FUNNELED");
  }
  mpi_session(const mpi_session&) = delete;
  mpi_session& operator=(const mpi_session&) = delete;
  /// Waits for the other ranks.
  ~mpi_session() {
    MPI_Request others = MPI_REQUEST_NULL;
    ::MPI_Ibarrier(MPI_COMM_WORLD, &others);
    detail::wait_for(others);
    for (MPI_Win& window : windows()) {
      ::MPI_Win_unlock_all(window);
      ::MPI_Win_free(&window);
    }
    ::MPI_Finalize();
  }

  /// Keeps a window, which is locked for all ranks, until the session ends.
  static void keep(MPI_Win window) { windows().push_back(window); }

  /// Ends the programs of all ranks with this exit status: for a rank that cannot go on.
  [[noreturn]] static void abort(int status) {
    ::MPI_Abort(MPI_COMM_WORLD, status);
    std::abort();  // MPI_Abort does not return
  }

 private:
  static std::vector<MPI_Win>& windows() {
    static std::vector<MPI_Win> kept;
    return kept;
  }
};

/// A communicator of MPI's.
class mpi {
 public:
  /// MPI must be initialised already, by an `mpi_session` or otherwise.
  explicit mpi(MPI_Comm of = MPI_COMM_WORLD) : of_(of) {
    ::MPI_Comm_rank(of_, &rank_);
    ::MPI_Comm_size(of_, &size_);
  }

  int rank() const { return rank_; }
  int size() const { return size_; }

  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const {
    const auto own = static_cast<unsigned long long>(mine.size());
    std::vector<unsigned long long> sizes(static_cast<std::size_t>(size_));
    MPI_Request others = MPI_REQUEST_NULL;
    ::MPI_Iallgather(&own, 1, MPI_UNSIGNED_LONG_LONG, sizes.data(), 1, MPI_UNSIGNED_LONG_LONG, of_, &others);
    detail::wait_for(others);
    std::vector<std::vector<std::byte>> all;
    for (int rank = 0; rank < size_; ++rank) {
      auto& bytes = all.emplace_back(sizes[static_cast<std::size_t>(rank)]);
      if (rank == rank_) std::ranges::copy(mine, bytes.begin());
      // In pieces, because MPI counts in int.
      for (std::span<std::byte> left = bytes; not left.empty();) {
        const std::size_t piece = std::min(left.size(), static_cast<std::size_t>(std::numeric_limits<int>::max()));
        ::MPI_Bcast(left.data(), static_cast<int>(piece), MPI_BYTE, rank, of_);
        left = left.subspan(piece);
      }
    }
    return all;
  }

  /// The ranks on this machine: which of them this one is, and how many they are.
  struct machine_rank {
    int rank = 0, count = 1;
  };
  machine_rank on_this_machine() const {
    MPI_Comm here = MPI_COMM_NULL;
    ::MPI_Comm_split_type(of_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &here);
    machine_rank found;
    ::MPI_Comm_rank(here, &found.rank);
    ::MPI_Comm_size(here, &found.count);
    ::MPI_Comm_free(&here);
    return found;
  }

 private:
  MPI_Comm of_;
  int rank_ = 0, size_ = 1;
};

static_assert(communicator<mpi>);

}  // namespace trimtab::parallel
