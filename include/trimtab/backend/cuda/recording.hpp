// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/context.hpp>

#include <memory>
#include <utility>

/// Work of the stream as a CUDA graph: recorded once, then started with one host call instead of one per kernel.

namespace trimtab::cuda {

class recording {
 public:
  /// Records what f() puts into the stream without running it.
  template <typename F>
  recording(std::shared_ptr<context> on, F&& f) : on_(std::move(on)) {
    handle<cudaGraph_t, cudaGraphDestroy> graph;
    check(cudaStreamBeginCapture(on_->stream(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    try {
      f();
    } catch (...) {
      let_go(cudaStreamEndCapture(on_->stream(), graph.put()));
      static_cast<void>(cudaGetLastError());
      throw;
    }
    check(cudaStreamEndCapture(on_->stream(), graph.put()), "cudaStreamEndCapture");
    check(cudaGraphInstantiate(ready_.put(), graph.get(), 0), "cudaGraphInstantiate");
  }

  void replay() const { check(cudaGraphLaunch(ready_.get(), on_->stream()), "cudaGraphLaunch"); }

 private:
  std::shared_ptr<context> on_;
  handle<cudaGraphExec_t, cudaGraphExecDestroy> ready_;
};

}  // namespace trimtab::cuda
