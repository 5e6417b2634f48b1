// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/check.hpp>
#include <trimtab/core/communicator.hpp>

#include <nccl.h>

#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// Ranks with a GPU each: a program that `mpirun -n 8` starts, whose ranks are on devices of their own.
///
///     const parallel::mpi_session session;
///     const parallel::mpi world;
///     const int device = world.on_this_machine().rank;
///     const gpt2<cuda_backend<float>> model(weights, cuda_backend<float>({.device = device}));
///     trainer(steering, objective, adam{}, parallel::nccl(world, device)).fit(prompts, {.chunk = 8});
///
/// The gradients' partial sums stay on the devices, which gather them and add them along one tree, each for itself:
/// NCCL's own sums would depend on the number of ranks.

namespace trimtab::parallel {

namespace detail {

inline void check(ncclResult_t status, const char* call,
                  const std::source_location& place = std::source_location::current()) {
  if (status == ncclSuccess) return;
  cuda::detail::fail(call, "code " + std::to_string(status), ncclGetErrorString(status), place);
}

}  // namespace detail

class nccl {
 public:
  /// `host` brings the ranks together, and carries what is in the host's memory. All ranks make this together, each
  /// with another device. Throws `device` where NCCL cannot join them.
  template <communicator C>
  nccl(C host, int device) : host_(std::move(host)) {
    ncclUniqueId id{};
    if (rank() == 0) detail::check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    std::memcpy(&id, host_.all_gather(std::as_bytes(std::span(&id, 1))).front().data(), sizeof id);
    cuda::check(cudaSetDevice(device), "cudaSetDevice");
    ncclComm_t joined = nullptr;
    detail::check(ncclCommInitRank(&joined, size(), id, rank()), "ncclCommInitRank");
    // All ranks let go together, but one that failed does not wait for the others.
    joined_ = {joined, [](ncclComm_t last) {
                 cuda::let_go(std::uncaught_exceptions() > 0 ? ncclCommAbort(last) : ncclCommDestroy(last));
               }};
  }

  int rank() const { return host_.rank(); }
  int size() const { return host_.size(); }

  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine) const {
    return host_.all_gather(mine);
  }
  /// As `device_communicator` says. Throws `device` where the gathering cannot be started.
  void all_gather(const void* mine, void* all, std::size_t bytes, void* stream) const {
    detail::check(ncclAllGather(mine, all, bytes, ncclInt8, joined_.get(), static_cast<cudaStream_t>(stream)),
                  "ncclAllGather");
  }

 private:
  any_communicator host_;
  std::shared_ptr<std::remove_pointer_t<ncclComm_t>> joined_ = {};
};

static_assert(device_communicator<nccl>);

}  // namespace trimtab::parallel
