// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/train/step_memory.hpp>

#include <utility>
#include <vector>

/// Steps that run one at a time, without recording.

namespace trimtab {

template <typename Run, typename Loss, optimizer Optimizer>
class direct_steps {
 public:
  using B = typename Run::B;
  using T = typename B::scalar;

  /// `made` is the number of earlier steps; one optimizer and one penalty per replica. No step is made ahead, so the
  /// last one need not be known.
  direct_steps(const B& backend, Run& run, const Loss& objective, std::vector<Optimizer> optimizers,
               std::vector<penalty> penalties, index_t made, index_t = 0)
      : backend_(backend),
        run_(run),
        objective_(objective),
        optimizers_(std::move(optimizers)),
        penalties_(std::move(penalties)),
        made_(made),
        moments_(backend, run.theta().cols),
        memory_(backend),
        units_(units_of(run.storage().layout(0), memory_)) {}
  direct_steps(const direct_steps&) = delete;
  direct_steps& operator=(const direct_steps&) = delete;

  const fit_look<T>& look() {
    if (looked_) return now_;
    logits_ = run_.forward();
    objective_.evaluate(logits_, reference(), run_.hook_means());
    detail::download_to(backend_, run_.theta(), now_.theta);
    detail::download_to(backend_, objective_.row_values(), now_.row_values);
    looked_ = true;
    return now_;
  }

  void step() {
    look();
    objective_.gradient(logits_, reference(), run_.d_logits());
    run_.backward();
    ++made_;
    update_replicas<B, Optimizer>(backend_, run_.storage(), optimizers_, penalties_, made_, run_.theta(),
                                  run_.gradient(), moments_, units_);
    looked_ = false;
  }

  fit_moments<T> moments() { return moments_.download(); }
  void resume(const fit_moments<T>& from) {
    moments_.upload(from);
    looked_ = false;
  }

 private:
  matrix_view<const T> reference() const { return run_.untouched()->logits(); }

  const B& backend_;
  Run& run_;
  const Loss& objective_;
  std::vector<Optimizer> optimizers_;
  std::vector<penalty> penalties_;
  index_t made_;
  moment_memory<B> moments_;
  workspace<B> memory_;
  std::vector<record_units> units_;  ///< by intervention
  matrix_view<const T> logits_ = {};
  bool looked_ = false;
  fit_look<T> now_ = {};
};

}  // namespace trimtab
