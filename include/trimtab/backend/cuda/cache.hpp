// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda/check.hpp>
#include <trimtab/backend/cuda/context.hpp>
#include <trimtab/backend/cuda/memory.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

/// Keys and values of one layer for texts that grow, [slots, room, 2D]: a row has the keys of all heads, then the
/// values.

namespace trimtab::cuda {

template <typename T>
class cache {
 public:
  cache(std::shared_ptr<context> owner, index_t slots, index_t width, index_t most)
      : owner_(std::move(owner)), slots_(slots), row_(2 * width), context_(most) {}

  /// Makes room for texts of `tokens` tokens, in all slots, and keeps what is there. Room grows at least twofold.
  void reserve(index_t, index_t tokens) {
    if (tokens <= room_) return;
    const index_t room = std::clamp(2 * room_, tokens, std::max(context_, tokens));
    array<T> grown(owner_, slots_ * room * row_);
    for (index_t s = 0; s < slots_ and room_ > 0; ++s)
      check(cudaMemcpyAsync(grown.data() + s * room * row_, numbers_.data() + s * room_ * row_,
                            static_cast<std::size_t>(room_ * row_) * sizeof(T), cudaMemcpyDeviceToDevice,
                            owner_->stream()),
            "cudaMemcpyAsync");
    owner_->synchronize();  // the old room is given back
    numbers_ = std::move(grown);
    room_ = room;
  }

  T* data() { return numbers_.data(); }
  index_t room() const { return room_; }  ///< tokens of a slot

 private:
  std::shared_ptr<context> owner_;
  index_t slots_, row_, context_;
  index_t room_ = 0;
  array<T> numbers_ = {};
};

}  // namespace trimtab::cuda
