// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/core/settings.hpp>
#include <trimtab/measure/evaluate.hpp>
#include <trimtab/steer/continuations.hpp>
#include <trimtab/steer/evaluation_memory.hpp>
#include <trimtab/steer/fitted.hpp>
#include <trimtab/steer/parameters.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Whether the places that a fit kept are needed, with their values as fitted: each left out alone, and the smallest
/// subsets that still flip the answer. What is proved is relative to these places and values: other values at fewer
/// places may do as well. stationarity.hpp says how stationary the fit itself is.

namespace trimtab::explain {

/// A record of parameters and where it acts.
struct kept_place {
  std::string site = {};
  index_t layer = 0;
  index_t position = 0;              ///< in the order of the position key
  index_t part = 0;                  ///< the head at `attn_z`
  std::size_t first = 0, count = 0;  ///< its numbers in θ

  friend bool operator==(const kept_place&, const kept_place&) = default;
};

/// The places that are not zero, in the order of θ.
inline std::vector<kept_place> kept_places(const parameters& values) {
  std::vector<kept_place> kept;
  for (const parameter_block& block : values.layout.blocks)
    for (index_t r = 0; r < block.records(); ++r) {
      const auto first = static_cast<std::size_t>(block.offset + r * block.record_size);
      const auto count = static_cast<std::size_t>(block.record_size);
      if (norm_of_record(block, values.theta, first) == 0) continue;
      const index_t in_layer = r % block.records_per_layer();
      kept.push_back({block.site, block.layers[static_cast<std::size_t>(r / block.records_per_layer())],
                      in_layer / block.parts, in_layer % block.parts, first, count});
    }
  return kept;
}

/// What is left when one place is set to zero.
struct left_out {
  std::size_t place = 0;  ///< its index among the kept places
  metrics without = {};
  bool necessary = false;  ///< without it the target is missed at one strength at least
};

/// Some of the kept places, by their indices, ascending.
using place_set = std::vector<std::size_t>;

/// The subsets of the kept places that were measured.
struct subset_search {
  index_t considered = 0;                ///< the empty one counts
  std::vector<place_set> smallest = {};  ///< those of the smallest size that reach the target; without `exact`, one
  bool exact = false;                    ///< whether all subsets were measured; else the size is an upper bound
  std::vector<place_set> chain = {};     ///< backward elimination's steps, from all places down, where not exact
  /// Where exact, the flip rates of every subset by strength; bit k of the index says whether place k is in it.
  std::vector<std::map<double, double>> flip_rates = {};
};

struct certificate {
  std::vector<kept_place> places = {};
  metrics whole = {};  ///< with all places
  double target = 0;
  std::vector<left_out> leave_one_out = {};
  subset_search subsets = {};
};

struct certificate_options {
  double target = 0.95;           ///< the share of the whole fit's flip rate that is to be reached at every strength
  index_t exhaustive_up_to = 12;  ///< places of which all subsets are measured
  std::vector<double> strengths = {+1.0, -1.0};
  std::function<void(index_t, index_t)> progress = {};  ///< called as progress(sets measured, sets in all so far)
  index_t memory = 0;                                   ///< bytes to be used besides the model, at most; 0: no bound
};

namespace detail {

template <typename Steering>
class certifier {
 public:
  certifier(const Steering& composition, const parameters& values, std::span<const prompt_pair> prompts,
            const certificate_options& options)
      : composition_(composition), values_(values), prompts_(prompts), options_(options) {
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      index_t texts = 0, tokens = 0;
      for (const prompt_pair& text : with_continuations(prompts.subspan(n, 1))) ++texts, tokens += std::ssize(text.ids);
      sizes_.emplace(texts, tokens);
    }
  }

  certificate run() {
    found_.places = kept_places(values_);
    found_.target = options_.target;
    found_.whole = measure({everything()}).front();
    std::vector<place_set> without_one;
    for (std::size_t k = 0; k < found_.places.size(); ++k) without_one.push_back(without(everything(), k));
    auto measured = measure(without_one);
    for (std::size_t k = 0; k < measured.size(); ++k)
      found_.leave_one_out.push_back({k, std::move(measured[k]), false});
    for (left_out& one : found_.leave_one_out) one.necessary = not reaches_target(one.without);
    if (std::ssize(found_.places) <= options_.exhaustive_up_to)
      measure_all_subsets();
    else
      eliminate();
    return std::move(found_);
  }

 private:
  place_set everything() const {
    place_set all(found_.places.size());
    for (std::size_t k = 0; k < all.size(); ++k) all[k] = k;
    return all;
  }
  static place_set without(place_set set, std::size_t place) {
    std::erase(set, place);
    return set;
  }

  /// θ with the numbers of these places alone.
  parameters values_of(const place_set& set) const {
    parameters left{values_.layout, std::vector<double>(values_.theta.size())};
    for (std::size_t k : set) {
      const kept_place& p = found_.places[k];
      std::copy_n(values_.theta.begin() + static_cast<std::ptrdiff_t>(p.first), p.count,
                  left.theta.begin() + static_cast<std::ptrdiff_t>(p.first));
    }
    return left;
  }

  /// Measures some sets in each pass.
  std::vector<metrics> measure(std::span<const place_set> sets) {
    constexpr index_t sequences = 512, prompts_at_once = 32;
    const index_t strengths = std::max<index_t>(1, std::ssize(options_.strengths));
    const auto bytes = [&](index_t count) {  // of the prompt that takes most
      index_t largest = 0;
      for (const auto& [texts, tokens] : sizes_)
        largest =
            std::max(largest, bytes_of_evaluation<typename Steering::model_type::scalar>(
                                  composition_.model().config(), values_.layout, texts, tokens, count * strengths));
      return largest;
    };
    index_t most = std::max<index_t>(1, sequences / (prompts_at_once * strengths));
    while (options_.memory > 0 and most > 1 and bytes(most) > options_.memory) --most;
    const auto at_once = static_cast<std::size_t>(most);
    all_ += std::ssize(sets);
    std::vector<metrics> found;
    for (std::size_t first = 0; first < sets.size(); first += at_once) {
      std::vector<parameters> some;
      for (const place_set& set : sets.subspan(first, std::min(at_once, sets.size() - first)))
        some.push_back(values_of(set));
      for (metrics& m :
           evaluate(composition_, some, prompts_,
                    {.strengths = options_.strengths, .prompts_at_once = prompts_at_once, .memory = options_.memory}))
        found.push_back(std::move(m));
      done_ += std::ssize(some);
      if (options_.progress) options_.progress(done_, all_);
    }
    return found;
  }
  std::vector<metrics> measure(const std::vector<place_set>& sets) { return measure(std::span(sets)); }

  /// How far the flip rate is above the target at the strength where it is least so.
  double margin(const metrics& m) const {
    double least = std::numeric_limits<double>::max();
    for (double beta : options_.strengths)
      if (beta != 0)
        least = std::min(least, m.at.at(beta).flip_rate - options_.target * found_.whole.at.at(beta).flip_rate);
    return least;
  }
  /// Rates are whole numbers over the number of prompts, so that a difference this small is rounding.
  bool reaches_target(const metrics& m) const { return margin(m) >= -1e-12; }

  void measure_all_subsets() {
    const std::size_t count = std::size_t{1} << found_.places.size();
    std::vector<place_set> sets(count);
    for (std::size_t mask = 0; mask < count; ++mask)
      for (std::size_t k = 0; k < found_.places.size(); ++k)
        if ((mask >> k & 1) != 0) sets[mask].push_back(k);
    const auto measured = measure(sets);
    subset_search& search = found_.subsets;
    search.considered = static_cast<index_t>(count);
    search.exact = true;
    for (std::size_t mask = 0; mask < count; ++mask) {
      search.flip_rates.emplace_back();
      for (double beta : options_.strengths) search.flip_rates.back()[beta] = measured[mask].at.at(beta).flip_rate;
      if (not reaches_target(measured[mask])) continue;
      if (not search.smallest.empty() and sets[mask].size() > search.smallest.front().size()) continue;
      if (not search.smallest.empty() and sets[mask].size() < search.smallest.front().size()) search.smallest.clear();
      search.smallest.push_back(sets[mask]);
    }
  }

  /// Takes away the place whose loss costs least, again and again, while the target is reached.
  void eliminate() {
    subset_search& search = found_.subsets;
    place_set left = everything();
    search.chain = {left};
    search.considered = 1;
    while (not left.empty()) {
      std::vector<place_set> candidates;
      for (std::size_t k : left) candidates.push_back(without(left, k));
      const auto measured = measure(candidates);
      search.considered += std::ssize(candidates);
      const auto best =
          std::ranges::max_element(measured, {}, [&](const metrics& m) { return std::pair(margin(m), -m.kl_masked); });
      if (not reaches_target(*best)) break;
      left = candidates[static_cast<std::size_t>(best - measured.begin())];
      search.chain.push_back(left);
    }
    search.smallest = {left};
  }

  const Steering& composition_;
  const parameters& values_;
  std::span<const prompt_pair> prompts_;
  const certificate_options& options_;
  certificate found_ = {};
  std::set<std::pair<index_t, index_t>> sizes_ = {};  ///< the texts and tokens of each prompt, continuations included
  index_t done_ = 0, all_ = 0;
};

}  // namespace detail

/// Measures what each kept place contributes on these prompts. Throws `bad_argument` for a target that is no share, and
/// as `evaluate` does.
template <typename Steering>
certificate certify(const Steering& composition, const parameters& values, std::span<const prompt_pair> prompts,
                    const certificate_options& options = {}) {
  if (not(options.target > 0 and options.target <= 1))
    throw error(error_kind::bad_argument, "the target is " + setting_text(options.target) +
                                              "; it must be a share of the whole fit's flip rate, above 0 and at most "
                                              "1");
  constexpr index_t most = 24;  // 2^24 subsets
  if (options.exhaustive_up_to < 0 or options.exhaustive_up_to > most)
    throw error(error_kind::bad_argument, "all subsets are to be measured of up to " +
                                              std::to_string(options.exhaustive_up_to) + " places; it must be 0 to " +
                                              std::to_string(most));
  composition.check(values.layout, values.theta.size());
  return detail::certifier<Steering>(composition, values, prompts, options).run();
}

template <typename Steering>
certificate certify(const fitted<Steering>& result, std::span<const prompt_pair> prompts,
                    const certificate_options& options = {}) {
  return certify(result.steering, result.values, prompts, options);
}

}  // namespace trimtab::explain
