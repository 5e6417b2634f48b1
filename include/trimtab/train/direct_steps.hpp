// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/steer/replica_storage.hpp>
#include <trimtab/train/step_memory.hpp>

#include <cstddef>
#include <utility>
#include <vector>

/// Steps that run one at a time, without recording.

namespace trimtab {

template <typename Run, typename Loss, optimizer Optimizer>
class direct_steps {
 public:
  using B = typename Run::B;
  using T = typename B::scalar;

  /// `made` is the number of earlier steps; one optimizer and one penalty per replica.
  direct_steps(const B& backend, Run& run, const Loss& objective, std::vector<Optimizer> optimizers,
               std::vector<penalty> penalties, index_t made)
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
    objective_.evaluate(logits_, reference());
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
    for (index_t r = 0; r < run_.storage().replicas(); ++r) update(r);
    looked_ = false;
  }

  fit_moments<T> moments() { return moments_.download(); }
  void resume(const fit_moments<T>& from) {
    moments_.upload(from);
    looked_ = false;
  }

 private:
  matrix_view<const T> reference() const { return run_.untouched()->logits(); }

  void update(index_t replica) {
    const auto r = static_cast<std::size_t>(replica);
    const auto with = optimizers_[r].update(made_, penalties_[r]);
    run_.storage().each_records(replica, [&](std::size_t k, index_t offset, index_t count, index_t size) {
      const auto records = [&](matrix_view<T> all) { return matrix_view<T>{all.data + offset, count, size}; };
      update_records(backend_, with, records(run_.theta()), records(run_.gradient()), records(moments_.first()),
                     records(moments_.second()), units_[k]);
    });
  }

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
