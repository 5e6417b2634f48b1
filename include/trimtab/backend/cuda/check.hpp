// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/device.hpp>
#include <trimtab/core/error.hpp>

#include <cublasLt.h>

#include <source_location>
#include <string>
#include <utility>

/// Every call of CUDA and cuBLAS goes through `check`: a failure becomes an error of kind `device` with the call, the
/// driver's message and the place in this library. Calls in destructors, which must not throw, go through `let_go`.

namespace trimtab::cuda {

namespace detail {

[[noreturn]] inline void fail(const char* call, const std::string& code, const std::string& text,
                              const std::source_location& place) {
  std::string file = place.file_name();
  if (const auto library = file.rfind("trimtab/"); library != file.npos) file.erase(0, library);
  throw error(error_kind::device, std::string(call) + " failed with " + code + ": " + text + " (" + file + ":" +
                                      std::to_string(place.line()) + ")");
}

}  // namespace detail

inline void check(cudaError_t status, const char* call,
                  const std::source_location& place = std::source_location::current()) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // or the next call would report this one
  std::string text = cudaGetErrorString(status);
  if (status == cudaErrorNoKernelImageForDevice)
    text += "; the program was built for other devices: configure it with -D CMAKE_CUDA_ARCHITECTURES=native";
  detail::fail(call, cudaGetErrorName(status), text, place);
}

inline void check(cublasStatus_t status, const char* call,
                  const std::source_location& place = std::source_location::current()) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  detail::fail(call, cublasLtGetStatusName(status), cublasLtGetStatusString(status), place);
}

/// For destructors: an error cannot be reported there, and after a failed call every later one fails too.
template <typename Status>
void let_go(Status) noexcept {}

/// An owned handle of CUDA or cuBLAS; `put` is where the call that creates it stores it.
template <typename Handle, auto Destroy>
class handle {
 public:
  handle() = default;
  handle(handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  handle& operator=(handle&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~handle() {
    if (handle_) let_go(Destroy(handle_));
  }
  Handle get() const { return handle_; }
  Handle* put() { return &handle_; }

 private:
  Handle handle_ = nullptr;
};

/// Starts a kernel. Its limit of shared memory only grows: a recorded launch may need more than this one.
template <typename... P, typename... A>
void launch(const char* name, void (*kernel)(P...), const grid_shape& grid, cudaStream_t stream, A&&... arguments) {
  constexpr std::size_t without_asking = 48 * 1024;
  if (grid.shared_bytes > without_asking) {
    const auto function = reinterpret_cast<const void*>(kernel);
    const int asked = static_cast<int>(grid.shared_bytes);
    cudaFuncAttributes granted{};
    check(cudaFuncGetAttributes(&granted, function), name);
    if (granted.maxDynamicSharedSizeBytes < asked)
      check(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, asked), name);
  }
  start(kernel, grid, stream, std::forward<A>(arguments)...);
  check(cudaGetLastError(), name);
}

}  // namespace trimtab::cuda
