// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>

#include <memory>

namespace trimtab {

/// Memory for the frozen matrices of a model that several processes of a machine share: one of them fills it, and the
/// others find the numbers there. All of them ask for the same rooms in the same order.
class shared_weights {
 public:
  virtual ~shared_weights() = default;

  /// Whether this is the process that fills the rooms.
  virtual bool fills() const = 0;
  /// Room for so many bytes, aligned for SIMD; null, in every process, where there is none and each needs its own.
  virtual std::shared_ptr<void> room(index_t bytes) = 0;
  /// Waits until the last room is filled, and returns what the process that filled it says.
  virtual bool filled(bool well) = 0;
};

}  // namespace trimtab
