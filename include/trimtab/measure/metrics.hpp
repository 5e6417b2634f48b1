// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/communicator.hpp>
#include <trimtab/core/view.hpp>

#include <functional>
#include <map>
#include <vector>

/// What an evaluation reports: does the intervention flip the answer (effectiveness), and does it leave the rest alone
/// (faithfulness)? `count_parameters` in parameters.hpp gives its size (minimality). The untouched model is strength 0.

namespace trimtab {

/// What is measured at one strength, means over prompts; or of one prompt.
struct strength_metrics {
  double logit_diff = 0;           ///< z[correct] − z[wrong]
  double flip_rate = 0;            ///< how often sign(β) · logit_diff > 0
  double probability_correct = 0;  ///< over the whole vocabulary
  double probability_wrong = 0;
  double kl_masked = 0;       ///< KL divergence (untouched ‖ steered) over the vocabulary without the answers
  double kl_full = 0;         ///< over the whole vocabulary
  double top_other_same = 0;  ///< how often the best token other than the answers stays the same
};

struct metrics {
  std::map<double, strength_metrics> at = {};  ///< by strength; 0 is the untouched model
  double flip_rate_both = 0;                   ///< share of prompts flipped at every strength that steers
  double kl_masked = 0;                        ///< this and the next two: means over the strengths that steer
  double kl_full = 0;
  double top_other_same = 0;
  index_t prompts = 0;
  std::vector<double> strengths = {};  ///< those that were asked for

  /// By strength, the logit difference of each prompt.
  std::map<double, std::vector<double>> logit_diffs = {};
  /// By strength, all figures of each prompt; a rate is 0 or 1. See intervals.hpp.
  std::map<double, std::vector<strength_metrics>> per_prompt = {};

  /// The strengths that were asked for, but 0, at which nothing changes and which would dilute a mean; 0 if it is
  /// alone.
  std::vector<double> steering_strengths() const {
    std::vector<double> steering;
    for (const double beta : strengths)
      if (beta != 0) steering.push_back(beta);
    return steering.empty() ? strengths : steering;
  }
};

struct evaluate_options {
  std::vector<double> strengths = {+1.0, -1.0};
  index_t prompts_at_once = 32;                         ///< at most; on the CPU no figure depends on it
  index_t memory = 0;                                   ///< bytes to be used besides the model, at most; 0: no bound
  std::function<void(index_t, index_t)> progress = {};  ///< called as progress(prompts done, prompts in total)
  any_communicator ranks = {};                          ///< they share the prompts; all of them get the metrics
};

}  // namespace trimtab
