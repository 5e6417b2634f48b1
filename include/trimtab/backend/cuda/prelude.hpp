// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Comes before everything else in a source that nvcc compiles; the target trimtab::cuda force-includes it. nvcc 13's
/// front end gives the template parameter of every conversion to a reference in a base class the name in the first such
/// declaration of the translation unit; libstdc++'s <functional> has one with `_Tp`, after which range-v3 does not
/// compile. This declaration makes the name `T`, whatever follows.

namespace trimtab::detail {

template <typename T>
struct conversion_name {
  operator T&() const;
};

}  // namespace trimtab::detail
