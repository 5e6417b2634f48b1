// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/model/batch.hpp>
#include <trimtab/report/describe.hpp>
#include <trimtab/text/tokenizer.hpp>
#include <trimtab/train/evaluate.hpp>
#include <trimtab/train/fitted.hpp>

#include <memory>
#include <span>
#include <string>
#include <vector>

/// A model and its interventions as the commands see them. Architecture, precision and policy are types in the library
/// and choices here, so they hide behind two interfaces; composed.hpp implements them for a closed list of types.

namespace trimtab::cli {

/// Which policy, at which sites, in which layers.
struct composition_choice {
  std::string policy = {};
  bool bias = true;  ///< for dyn-scalar
  std::map<std::string, layer_set> sites = {};
  position_key positions = {};
};

struct fit_result {
  parameters values = {};
  std::vector<loss_values> history = {};
  bool interrupted = false;
};

/// The objective on some prompts.
struct loss_result {
  double loss = 0, effectiveness = 0, faithfulness = 0, minimality = 0;
  struct prompt {
    std::map<double, double> logit_diff = {};  ///< by strength
    double kl = 0;                             ///< mean over strengths
  };
  std::vector<prompt> prompts = {};
  std::vector<double> gradient = {};  ///< of effectiveness and weighted faithfulness, laid out as the parameters
};

/// A model with one policy at some sites.
class any_composition {
 public:
  virtual ~any_composition() = default;

  virtual fit_defaults defaults() const = 0;  ///< of its policy
  virtual fit_result fit(std::span<prompt_pair const> prompts, objective_options const& objective,
                         adam const& optimizer, fit_options const& options) const = 0;
  virtual metrics measure(parameters const& values, std::span<prompt_pair const> prompts,
                          evaluate_options const& options) const = 0;
  virtual report::fit_report describe(parameters const& values, std::span<report::prompt_set const> sets,
                                      std::vector<loss_values> history,
                                      report::describe_options const& options) const = 0;
  virtual loss_result loss(parameters const& values, std::span<prompt_pair const> prompts,
                           objective_options const& objective, bool with_gradient) const = 0;
  virtual host_matrix<double> logits(parameters const& values, prompt_pair const& prompt, double strength,
                                     scored where) const = 0;
  virtual parameters fit_to(intervention_file const& file) const = 0;
  virtual intervention_file make_file(parameters const& values, std::map<std::string, std::string> made) const = 0;
};

/// A model in memory.
class any_model {
 public:
  virtual ~any_model() = default;

  virtual model_config const& config() const = 0;
  virtual text::tokenizer const& tokenizer() const = 0;  ///< throws where there is none
  virtual bool has_tokenizer() const = 0;
  virtual std::string weights_hash() const = 0;
  virtual host_matrix<double> logits(std::vector<int> const& ids, scored where) const = 0;
  virtual std::unique_ptr<any_composition> compose(composition_choice const& choice) const = 0;
};

/// Loads the model of a folder, of whichever architecture.
std::unique_ptr<any_model> load_model(path const& folder, common_options const& options);

}  // namespace trimtab::cli
