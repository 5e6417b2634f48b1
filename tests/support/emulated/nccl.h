// SPDX-License-Identifier: Apache-2.0
#pragma once

// Replaces NCCL's own header for a host compiler. Ranks are threads of one process, and the emulated device serves one
// thread at a time: the one that holds `turn`. It passes that on while it waits for the others. A rank that gathers
// another number of bytes than the others is found.

#include <cuda_runtime.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>

namespace trimtab::cuda::emulated {

inline std::mutex turn;

/// Where ranks wait until all are here. The caller holds `turn`, unless it is the only rank.
class meeting {
 public:
  explicit meeting(int ranks) : ranks_(ranks) {}

  void wait() {
    if (ranks_ == 1) return;
    std::unique_lock held(turn, std::adopt_lock);
    if (const long round = rounds_; ++here_ == ranks_) {
      here_ = 0;
      ++rounds_;
      all_are_here_.notify_all();
    } else {
      all_are_here_.wait(held, [&] { return rounds_ != round; });
    }
    held.release();
  }

 private:
  int ranks_, here_ = 0;
  long rounds_ = 0;
  std::condition_variable all_are_here_ = {};
};

struct joined_devices {
  explicit joined_devices(int ranks) : all(ranks), given(static_cast<std::size_t>(ranks)) {}

  struct gift {
    const void* memory = nullptr;
    std::size_t bytes = 0;
  };
  meeting all;
  std::vector<gift> given;
};

/// What was gathered, over all ranks.
inline std::size_t bytes_given = 0;
inline std::map<int, std::shared_ptr<joined_devices>> joined;  ///< by id

}  // namespace trimtab::cuda::emulated

enum ncclResult_t { ncclSuccess, ncclInvalidArgument };
enum ncclDataType_t { ncclInt8 };
struct ncclUniqueId {
  int number;
};
struct emulated_rank {
  int rank;
  std::shared_ptr<trimtab::cuda::emulated::joined_devices> devices;
};
using ncclComm_t = emulated_rank*;

inline const char* ncclGetErrorString(ncclResult_t status) { return status ? "invalid argument" : "no error"; }
inline ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static int last = 0;
  id->number = ++last;
  return ncclSuccess;
}
inline ncclResult_t ncclCommInitRank(ncclComm_t* made, int ranks, ncclUniqueId id, int rank) {
  if (id.number == 0 or rank < 0 or rank >= ranks) return ncclInvalidArgument;
  auto& devices = trimtab::cuda::emulated::joined[id.number];
  if (not devices) devices = std::make_shared<trimtab::cuda::emulated::joined_devices>(ranks);
  *made = new emulated_rank{rank, devices};
  return ncclSuccess;
}
inline ncclResult_t ncclCommDestroy(ncclComm_t of) {
  delete of;
  return ncclSuccess;
}
inline ncclResult_t ncclCommAbort(ncclComm_t of) { return ncclCommDestroy(of); }
inline ncclResult_t ncclAllGather(const void* mine, void* all, std::size_t count, ncclDataType_t, ncclComm_t of,
                                  cudaStream_t stream) {
  namespace emulated = trimtab::cuda::emulated;
  if (not emulated::is_here(stream)) return ncclInvalidArgument;
  auto& devices = *of->devices;
  devices.given[static_cast<std::size_t>(of->rank)] = {mine, count};
  devices.all.wait();
  auto* to = static_cast<char*>(all);
  for (const auto& one : devices.given) {
    if (one.bytes != count) emulated::stop("ranks gather different numbers of bytes");
    std::memcpy(to, one.memory, count);
    to += count;
  }
  emulated::bytes_given += count;
  devices.all.wait();  // nobody changes what others still read
  return ncclSuccess;
}
