// SPDX-License-Identifier: Apache-2.0
#pragma once

// Replaces CUDA's own header for a host compiler. Kernels run on the host, with one fiber for each thread, one block
// after another. This tests what a kernel computes, its indices and its barriers, and nothing about a GPU: not its
// memory model, not its arithmetic, not its speed. Threads can run in several orders; a kernel that lacks a barrier
// gives other numbers in another order, or stops with "wait for each other". New memory is NaN, and a write past the
// end of an allocation is found when the allocation is freed.

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned nx = 1, unsigned ny = 1, unsigned nz = 1) : x(nx), y(ny), z(nz) {}
};

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

enum cudaError_t {
  cudaSuccess,
  cudaErrorInvalidValue,
  cudaErrorMemoryAllocation,
  cudaErrorNoDevice,
  cudaErrorInvalidConfiguration,
  cudaErrorStreamCaptureUnsupported,
  cudaErrorNoKernelImageForDevice,
  cudaErrorInvalidDevice,
  cudaErrorInvalidResourceHandle
};

/// A stream belongs to the device that was current when it was made.
struct emulated_stream {
  int device;
};
using cudaStream_t = emulated_stream*;

namespace trimtab::cuda::emulated {

/// The order in which threads take turns; with `warp_by_warp` a warp runs until it waits for another one.
enum class order { rising, falling, shuffled, warp_by_warp };

/// The settings that a test may change.
struct settings {
  int devices = 1;
  std::size_t memory_limit = std::size_t{8} << 30;
  order threads = order::rising;
};
inline settings now;

struct graph {
  std::vector<std::function<void()>> work;
};

struct machine {
  std::map<void*, std::size_t> allocations = {};
  std::size_t in_use = 0;
  std::map<const void*, int> shared_bytes = {};  ///< for each kernel that asked for a limit: its shared memory
  graph* recording = nullptr;
  int device = 0;  ///< the current device
  cudaError_t last = cudaSuccess;
  long kernels = 0;
};
inline machine state;

/// Does the work now, or records it if a graph is being recorded.
inline void perform(std::function<void()> work) {
  if (state.recording)
    state.recording->work.push_back(std::move(work));
  else
    work();
}

/// Whether the stream belongs to the current device, as CUDA requires.
inline bool is_here(cudaStream_t stream) { return stream == nullptr or stream->device == state.device; }

[[noreturn]] inline void stop(const char* why) {
  std::fprintf(stderr, "emulated device: %s (block %u, thread %u)\n", why, blockIdx.x, threadIdx.x);
  std::abort();
}

/// The threads of a block.
class block {
 public:
  static block& running() {
    static block b;
    return b;
  }

  void run(unsigned threads, const std::function<void()>& body) {
    body_ = &body;
    while (fibers_.size() < threads) fibers_.push_back(std::make_unique<fiber>());
    count_ = threads;
    all_ = {};
    warps_.assign((threads + 31) / 32, {});
    std::vector<unsigned> turn(threads);
    std::iota(turn.begin(), turn.end(), 0u);
    if (now.threads == order::falling) std::reverse(turn.begin(), turn.end());
    if (now.threads == order::shuffled) std::shuffle(turn.begin(), turn.end(), random_);
    for (unsigned t = 0; t < threads; ++t) {
      start(t);
      ++all_.live;
      ++warps_[t / 32].live;
    }
    while (all_.live > 0) {
      const long before = progress_;
      for (unsigned first = 0; first < threads; first += 32) {
        long in_warp = progress_;
        do {
          in_warp = progress_;
          for (unsigned k = first; k < std::min(first + 32, threads); ++k)
            if (not fibers_[turn[k]]->done) enter(turn[k]);
        } while (now.threads == order::warp_by_warp and progress_ != in_warp);
      }
      if (progress_ == before) stop("threads wait for each other at different barriers");
    }
  }

  void wait_for_all() { wait(all_); }
  void wait_for_warp() { wait(warps_[threadIdx.x / 32]); }

  /// The value of lane `lane` of the warp.
  template <typename V>
  V exchange(V value, unsigned lane) {
    static_assert(sizeof(V) <= 16 and std::is_trivially_copyable_v<V>);
    barrier& warp = warps_[threadIdx.x / 32];
    if (warp.live != 32) stop("a shuffle lacks lanes");
    std::memcpy(warp.slots[threadIdx.x % 32].data(), &value, sizeof(V));
    wait(warp);
    V other;
    std::memcpy(&other, warp.slots[lane % 32].data(), sizeof(V));
    wait(warp);
    return other;
  }

  std::vector<unsigned char> shared = {};

 private:
  struct fiber {
    ucontext_t begin = {};
    jmp_buf where = {};
    bool started = false, done = false;
    std::vector<char> stack = std::vector<char>(128 * 1024);
  };
  struct barrier {
    unsigned live = 0, arrived = 0;
    long generation = 0;
    std::array<std::array<unsigned char, 16>, 32> slots = {};
  };

  void start(unsigned t) {
    fiber& f = *fibers_[t];
    f.started = f.done = false;
    getcontext(&f.begin);
    f.begin.uc_stack.ss_sp = f.stack.data();
    f.begin.uc_stack.ss_size = f.stack.size();
    f.begin.uc_link = nullptr;
    makecontext(&f.begin, &block::entry, 0);
  }

  void enter(unsigned t) {
    current_ = t;
    threadIdx = dim3(t);
    fiber& f = *fibers_[t];
    if (_setjmp(scheduler_) == 0) {
      if (f.started) _longjmp(f.where, 1);
      f.started = true;
      setcontext(&f.begin);
    }
  }

  void leave() {
    fiber& f = *fibers_[current_];
    if (_setjmp(f.where) == 0) _longjmp(scheduler_, 1);
  }

  static void entry() {
    block& b = running();
    (*b.body_)();
    b.fibers_[b.current_]->done = true;
    --b.all_.live;
    --b.warps_[b.current_ / 32].live;
    ++b.progress_;
    _longjmp(b.scheduler_, 1);
  }

  void wait(barrier& b) {
    const long generation = b.generation;
    ++b.arrived;
    ++progress_;
    while (b.generation == generation) {
      if (b.arrived >= b.live) {
        b.arrived = 0;
        ++b.generation;
        ++progress_;
      } else {
        leave();
      }
    }
  }

  const std::function<void()>* body_ = nullptr;
  std::vector<std::unique_ptr<fiber>> fibers_ = {};
  unsigned count_ = 0, current_ = 0;
  barrier all_ = {};
  std::vector<barrier> warps_ = {};
  long progress_ = 0;
  jmp_buf scheduler_ = {};
  std::mt19937 random_{1};
};

template <typename T>
T* shared_memory() {
  return reinterpret_cast<T*>(block::running().shared.data());
}

template <typename Grid, typename... P, typename... A>
void start(void (*kernel)(P...), const Grid& grid, cudaStream_t stream, A&&... arguments) {
  if (not is_here(stream)) {
    state.last = cudaErrorInvalidResourceHandle;
    return;
  }
  const unsigned threads = grid.threads.x * grid.threads.y * grid.threads.z;
  if (threads == 0 or threads > 1024 or grid.blocks.x == 0 or grid.threads.y * grid.threads.z != 1 or
      grid.blocks.y * grid.blocks.z != 1 or grid.shared_bytes > 227 * 1024) {
    state.last = cudaErrorInvalidConfiguration;
    return;
  }
  perform([kernel, blocks = grid.blocks.x, threads, shared = grid.shared_bytes,
           values = std::tuple<std::remove_cvref_t<P>...>(std::forward<A>(arguments)...)] {
    constexpr std::size_t without_asking = 48 * 1024;
    if (shared > without_asking and
        state.shared_bytes[reinterpret_cast<void const*>(kernel)] < static_cast<int>(shared))
      stop("a kernel takes more shared memory than it was granted");
    ++state.kernels;
    blockDim = dim3(threads);
    gridDim = dim3(blocks);
    for (unsigned b = 0; b < blocks; ++b) {
      blockIdx = dim3(b);
      block::running().shared.assign(shared, 0xff);
      block::running().run(threads, [&] { std::apply(kernel, values); });
    }
  });
}

}  // namespace trimtab::cuda::emulated

inline void __syncthreads() { trimtab::cuda::emulated::block::running().wait_for_all(); }
inline void __syncwarp() { trimtab::cuda::emulated::block::running().wait_for_warp(); }
template <typename V>
V __shfl_sync(unsigned, V value, int lane) {
  return trimtab::cuda::emulated::block::running().exchange(value, static_cast<unsigned>(lane));
}
template <typename V>
V __shfl_xor_sync(unsigned, V value, int distance) {
  return trimtab::cuda::emulated::block::running().exchange(value, threadIdx.x % 32 ^ static_cast<unsigned>(distance));
}

using cudaGraph_t = trimtab::cuda::emulated::graph*;
using cudaGraphExec_t = trimtab::cuda::emulated::graph*;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal };
inline constexpr unsigned cudaStreamNonBlocking = 1;

inline cudaError_t cudaGetLastError() { return std::exchange(trimtab::cuda::emulated::state.last, cudaSuccess); }
inline const char* cudaGetErrorName(cudaError_t e) {
  constexpr const char* names[] = {"cudaSuccess",
                                   "cudaErrorInvalidValue",
                                   "cudaErrorMemoryAllocation",
                                   "cudaErrorNoDevice",
                                   "cudaErrorInvalidConfiguration",
                                   "cudaErrorStreamCaptureUnsupported",
                                   "cudaErrorNoKernelImageForDevice",
                                   "cudaErrorInvalidDevice",
                                   "cudaErrorInvalidResourceHandle"};
  return names[e];
}
inline const char* cudaGetErrorString(cudaError_t e) {
  constexpr const char* texts[] = {"no error",
                                   "invalid argument",
                                   "out of memory",
                                   "no CUDA-capable device is detected",
                                   "invalid configuration argument",
                                   "operation not permitted when stream is capturing",
                                   "no kernel image is available for execution on the device",
                                   "invalid device ordinal",
                                   "invalid resource handle"};
  return texts[e];
}
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = trimtab::cuda::emulated::now.devices;
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}
inline cudaError_t cudaSetDevice(int device) {
  using namespace trimtab::cuda::emulated;
  if (device < 0 or device >= now.devices) return cudaErrorInvalidDevice;
  state.device = device;
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new emulated_stream{trimtab::cuda::emulated::state.device};
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return trimtab::cuda::emulated::state.recording ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}
struct cudaFuncAttributes {
  int maxDynamicSharedSizeBytes;
};
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  attributes->maxDynamicSharedSizeBytes = std::max(trimtab::cuda::emulated::state.shared_bytes[kernel], 48 * 1024);
  return cudaSuccess;
}
inline cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int bytes) {
  trimtab::cuda::emulated::state.shared_bytes[kernel] = bytes;
  return cudaSuccess;
}

namespace trimtab::cuda::emulated {
inline constexpr std::size_t guard_bytes = 64;
}

inline cudaError_t cudaMalloc(void** memory, std::size_t size) {
  using namespace trimtab::cuda::emulated;
  if (state.recording) return state.last = cudaErrorStreamCaptureUnsupported;
  if (state.in_use + size > now.memory_limit) return state.last = cudaErrorMemoryAllocation;
  const std::size_t whole = (size + guard_bytes + 255) / 256 * 256;
  *memory = std::aligned_alloc(256, whole);
  std::memset(*memory, 0xff, whole);
  state.allocations[*memory] = size;
  state.in_use += size;
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  using namespace trimtab::cuda::emulated;
  const auto found = state.allocations.find(memory);
  if (found == state.allocations.end()) return cudaErrorInvalidValue;
  for (std::size_t k = 0; k < guard_bytes; ++k)
    if (static_cast<unsigned char*>(memory)[found->second + k] != 0xff) stop("memory was written past its end");
  state.in_use -= found->second;
  state.allocations.erase(found);
  std::free(memory);
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* available, std::size_t* all) {
  using namespace trimtab::cuda::emulated;
  *all = now.memory_limit;
  *available = now.memory_limit - std::min(now.memory_limit, state.in_use);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* memory, int byte, std::size_t size, cudaStream_t stream) {
  if (not trimtab::cuda::emulated::is_here(stream)) return cudaErrorInvalidResourceHandle;
  trimtab::cuda::emulated::perform([=] { std::memset(memory, byte, size); });
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind, cudaStream_t stream) {
  if (not trimtab::cuda::emulated::is_here(stream)) return cudaErrorInvalidResourceHandle;
  trimtab::cuda::emulated::perform([=] { std::memmove(to, from, size); });
  return cudaSuccess;
}

inline cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  trimtab::cuda::emulated::state.recording = new trimtab::cuda::emulated::graph;
  return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = std::exchange(trimtab::cuda::emulated::state.recording, nullptr);
  return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* ready, cudaGraph_t graph, unsigned long long = 0) {
  *ready = new trimtab::cuda::emulated::graph(*graph);
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t) {
  for (const auto& work : graph->work) work();
  return cudaSuccess;
}
