// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/objective.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/steer/sequence.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

/// Which sequences of a pass a term is about, and what each weighs in its replica's loss: a term on answers is about
/// those that have them, one that concerns retained prompts about these. The further tokens of an answer are steps of
/// their pair, and no term's own.

namespace trimtab {

class sequence_weights {
 public:
  /// By replica, the weight of all its sequences together: of those with answers, and of those that are to stay.
  using totals = std::array<std::vector<double>, 2>;

  /// `total`, where the sequences are only some of the replicas': what all of them weigh.
  sequence_weights(std::size_t replicas, std::span<const prompt_pair> prompts, std::span<const sequence> sequences,
                   std::optional<totals> total)
      : of_replica_(replicas),
        total_{std::vector<double>(replicas), std::vector<double>(replicas)},
        has_retained_(replicas) {
    for (const sequence& s : sequences) {
      const prompt_pair& p = prompts[static_cast<std::size_t>(s.prompt)];
      const auto replica = static_cast<std::size_t>(s.replica);
      of_replica_[replica].push_back(weights_.size());
      weights_.push_back(s.weight);
      kinds_.push_back(p.step.sign != 0 ? kind::step : p.retained ? kind::stays : kind::steers);
      if (p.step.sign == 0) total_[p.retained][replica] += s.weight;
      if (p.retained) has_retained_[replica] = true;
    }
    if (total) total_ = std::move(*total);
  }

  std::size_t sequences() const { return weights_.size(); }
  double operator[](std::size_t sequence) const { return weights_[sequence]; }

  const totals& total() const { return total_; }
  template <typename Term>
  double total(std::size_t replica) const {
    return total_[concerns_retained<Term>][replica];
  }

  bool has_retained(std::size_t replica) const { return has_retained_[replica]; }

  /// f(index of the sequence) for those of a replica that the term is about.
  template <typename Term, typename F>
  void each(std::size_t replica, F&& f) const {
    for (std::size_t i : of_replica_[replica])
      if (kinds_[i] == (concerns_retained<Term> ? kind::stays : kind::steers)) f(i);
  }

 private:
  enum class kind { steers, stays, step };

  std::vector<std::vector<std::size_t>> of_replica_;
  totals total_;
  std::vector<bool> has_retained_;    ///< by replica
  std::vector<double> weights_ = {};  ///< by sequence, as `kinds_`
  std::vector<kind> kinds_ = {};
};

}  // namespace trimtab
