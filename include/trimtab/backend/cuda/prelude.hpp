// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What must come before everything else in a source of nvcc; the target trimtab::cuda includes it by force. nvcc 13's
/// front end calls the template parameter of every conversion to a reference in a base as the first such declaration
/// of the translation unit did; libstdc++'s `functional` has one with `_Tp`, and range-v3 after it no longer compiles.
/// With this declaration first the name is `T`, whatever follows in whatever order.

namespace trimtab::detail {

template <typename T>
struct conversion_name {
  operator T&() const;
};

}  // namespace trimtab::detail
