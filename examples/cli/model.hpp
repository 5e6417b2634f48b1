// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/measure/evaluate.hpp>
#include <trimtab/model/batch.hpp>
#include <trimtab/report/page/describe.hpp>
#include <trimtab/steer/fitted.hpp>
#include <trimtab/text/tokenizer.hpp>
#include <trimtab/train/trainer.hpp>

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
  virtual fit_result fit(std::span<const prompt_pair> prompts, const objective_options& objective,
                         const adam& optimizer, const fit_options& options) const = 0;
  virtual metrics measure(const parameters& values, std::span<const prompt_pair> prompts,
                          const evaluate_options& options) const = 0;
  virtual report::fit_report describe(const parameters& values, std::span<const report::prompt_set> sets,
                                      std::vector<loss_values> history,
                                      const report::describe_options& options) const = 0;
  virtual loss_result loss(const parameters& values, std::span<const prompt_pair> prompts,
                           const objective_options& objective, bool with_gradient) const = 0;
  virtual host_matrix<double> logits(const parameters& values, const prompt_pair& prompt, double strength,
                                     scored where) const = 0;
  virtual parameters fit_to(const intervention_file& file) const = 0;
  virtual intervention_file make_file(const parameters& values, std::map<std::string, std::string> made) const = 0;
};

/// A model in memory.
class any_model {
 public:
  virtual ~any_model() = default;

  virtual const model_config& config() const = 0;
  virtual const text::tokenizer& tokenizer() const = 0;  ///< throws where there is none
  virtual bool has_tokenizer() const = 0;
  virtual std::string weights_hash() const = 0;
  virtual host_matrix<double> logits(const std::vector<int>& ids, scored where) const = 0;
  virtual std::unique_ptr<any_composition> compose(const composition_choice& choice) const = 0;
};

/// Loads the model of a folder, of whichever architecture.
std::unique_ptr<any_model> load_model(const path& folder, const common_options& options);

}  // namespace trimtab::cli
