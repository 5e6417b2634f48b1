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
/// those that have them, one that concerns retained prompts about these. The text of an answer's further token
/// (core/prompt_pair.hpp, `step`) is scored as a part of its pair: no term is about it alone.

namespace trimtab {

class sequence_weights {
 public:
  /// The weight of all sequences together, [0] of those with answers and [1] of retained ones, each by replica.
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
  /// The weight of a sequence, before it is divided by the total.
  double operator[](std::size_t sequence) const { return weights_[sequence]; }

  const totals& total() const { return total_; }
  /// That of the sequences of a replica that the term is about.
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
  enum class kind { steers, stays, step };  // has answers; is retained; is a further token of an answer

  std::vector<std::vector<std::size_t>> of_replica_;
  totals total_;
  std::vector<bool> has_retained_;    ///< by replica
  std::vector<double> weights_ = {};  ///< by sequence, as `kinds_`
  std::vector<kind> kinds_ = {};
};

}  // namespace trimtab
