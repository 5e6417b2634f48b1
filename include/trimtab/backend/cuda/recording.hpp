// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/context.hpp>

#include <memory>
#include <utility>

/// Work of the stream as a CUDA graph: recorded once, then started as a whole, which costs the host one call instead of
/// one for every kernel.

namespace trimtab::cuda {

class recording {
 public:
  /// Records what f() puts into the stream without running it.
  template <typename F>
  recording(std::shared_ptr<context> on, F&& f) : on_(std::move(on)) {
    cudaGraph_t graph = nullptr;
    check(cudaStreamBeginCapture(on_->stream(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    try {
      f();
    } catch (...) {
      let_go(cudaStreamEndCapture(on_->stream(), &graph));
      if (graph) let_go(cudaGraphDestroy(graph));
      static_cast<void>(cudaGetLastError());
      throw;
    }
    check(cudaStreamEndCapture(on_->stream(), &graph), "cudaStreamEndCapture");
    const cudaError_t status = cudaGraphInstantiate(&ready_, graph, 0);
    let_go(cudaGraphDestroy(graph));
    check(status, "cudaGraphInstantiate");
  }
  recording(recording&& other) noexcept : on_(std::move(other.on_)), ready_(std::exchange(other.ready_, nullptr)) {}
  recording& operator=(recording&& other) noexcept {
    std::swap(on_, other.on_);
    std::swap(ready_, other.ready_);
    return *this;
  }
  ~recording() {
    if (ready_) let_go(cudaGraphExecDestroy(ready_));
  }

  void replay() const { check(cudaGraphLaunch(ready_, on_->stream()), "cudaGraphLaunch"); }

 private:
  std::shared_ptr<context> on_;
  cudaGraphExec_t ready_ = nullptr;
};

}  // namespace trimtab::cuda
