// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/model/architecture.hpp>
#include <trimtab/model/frozen_model.hpp>

#include <string>
#include <string_view>
#include <utility>

/// A frozen model of one architecture: its type tells a pass how a block joins attention and MLP.

namespace trimtab {

template <tensor_backend B, model_architecture A>
class transformer : public frozen_model<B> {
 public:
  using architecture = A;

  /// Throws `mismatch` for weights of another architecture.
  template <weight_source<typename B::scalar> Source>
  explicit transformer(Source&& source, B backend = B{})
      : frozen_model<B>((check(source.config()), std::forward<Source>(source)), std::move(backend)) {}

 private:
  static void check(const model_config& config) {
    constexpr std::string_view form = A::residual == residual_form::parallel ? "parallel" : "sequential";
    if (config.architecture != A::text or config.parallel_residual != (A::residual == residual_form::parallel))
      throw error(error_kind::mismatch, "the model is a " + config.architecture + " with " +
                                            (config.parallel_residual ? "parallel" : "sequential") +
                                            " residual, but this program expects a " + std::string(A::text) + " with " +
                                            std::string(form) +
                                            " residual; use the type that fits: gpt2, gpt_neox or gpt_neox_sequential");
  }
};

}  // namespace trimtab
