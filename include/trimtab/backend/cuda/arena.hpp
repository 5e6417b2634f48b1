// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/check.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <string>

/// Device memory: slabs from cudaMalloc, handed out in pieces aligned to 256 bytes and merged again when they are
/// returned. All work runs in one stream, so a piece may be reused while kernels that read it are still queued.

namespace trimtab::cuda {

class arena {
 public:
  static constexpr std::size_t alignment = 256;

  /// `slab_bytes` is the smallest allocation; with 0 every piece is an allocation of its own, so that memory checkers
  /// see where each ends.
  arena(int device, std::size_t slab_bytes) : device_(device), slab_bytes_(slab_bytes) {}

  arena(const arena&) = delete;
  arena& operator=(const arena&) = delete;
  ~arena() {
    for (const auto& [begin, size] : slabs_) let_go(cudaFree(begin));
  }

  /// Uninitialised memory. Throws `device` if the device has no more.
  void* take(std::size_t bytes) {
    const std::size_t size = (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
    auto piece = std::ranges::find_if(free_, [&](const auto& p) { return p.second >= size; });
    if (piece == free_.end()) piece = free_.insert(ask_for(size)).first;
    const auto [begin, available] = *piece;
    free_.erase(piece);
    if (available > size) free_.emplace(begin + size, available - size);
    taken_.emplace(begin, size);
    return begin;
  }

  void give_back(void* memory) noexcept {
    const auto taken = taken_.extract(static_cast<std::byte*>(memory));
    if (taken.empty()) return;
    auto piece = free_.emplace(taken.key(), taken.mapped()).first;
    merge_with_next(piece);
    if (piece != free_.begin()) merge_with_next(std::prev(piece));
  }

  /// Bytes currently handed out.
  std::size_t in_use() const {
    std::size_t sum = 0;
    for (const auto& [begin, size] : taken_) sum += size;
    return sum;
  }

 private:
  using pieces = std::map<std::byte*, std::size_t>;  // by address

  pieces::value_type ask_for(std::size_t size) {
    const std::size_t asked = std::max(size, slab_bytes_);
    void* slab = nullptr;
    check(cudaSetDevice(device_), "cudaSetDevice");
    cudaError_t status = cudaMalloc(&slab, asked);
    if (status == cudaErrorMemoryAllocation) {
      static_cast<void>(cudaGetLastError());
      std::size_t available = 0, all = 0;
      check(cudaMemGetInfo(&available, &all), "cudaMemGetInfo");
      throw error(error_kind::device, "the device is out of memory: " + megabytes(asked) + " were requested, " +
                                          megabytes(available) + " of " + megabytes(all) +
                                          " are free; use fewer prompts at once or a smaller model");
    }
    check(status, "cudaMalloc");
    const pieces::value_type piece{static_cast<std::byte*>(slab), asked};
    slabs_.insert(piece);
    return piece;
  }

  static std::string megabytes(std::size_t bytes) { return std::to_string((bytes + 999'999) / 1'000'000) + " MB"; }

  /// Pieces of different slabs are not merged, even if the slabs are adjacent.
  void merge_with_next(pieces::iterator piece) noexcept {
    const auto next = std::next(piece);
    if (next == free_.end() or piece->first + piece->second != next->first or slabs_.contains(next->first)) return;
    piece->second += next->second;
    free_.erase(next);
  }

  int device_;
  std::size_t slab_bytes_;
  pieces slabs_ = {}, free_ = {}, taken_ = {};
};

}  // namespace trimtab::cuda
