// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "options.hpp"

#include <trimtab/core/prompt_pair.hpp>
#include <trimtab/explain/certificate.hpp>
#include <trimtab/explain/ranking_curve.hpp>
#include <trimtab/generate/generation_options.hpp>
#include <trimtab/io/huggingface/end_tokens.hpp>
#include <trimtab/io/huggingface/save_pretrained.hpp>
#include <trimtab/io/intervention_data.hpp>
#include <trimtab/measure/directions.hpp>
#include <trimtab/measure/metrics.hpp>
#include <trimtab/model/batch.hpp>
#include <trimtab/report/page/describe_options.hpp>
#include <trimtab/steer/fold.hpp>
#include <trimtab/steer/stationarity.hpp>
#include <trimtab/text/tokenizer.hpp>
#include <trimtab/train/adam.hpp>
#include <trimtab/train/checkpoint.hpp>
#include <trimtab/train/path.hpp>
#include <trimtab/train/polish.hpp>
#include <trimtab/train/sweep.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// A model and its interventions as the commands see them. Architecture and precision are types in the library but are
/// chosen here at run time, so these interfaces hide them; composed.hpp implements the interfaces.

namespace trimtab::cli {

/// One intervention, from the command line or from a file.
struct chosen_at {
  std::string site = {};
  std::string policy = {};
  policy::options options = {};
  /// From a file: the policy's parameters, in place of options.
  std::optional<std::vector<policy::declared_parameter>> parameters = {};
  layer_set layers = layers::all();
  position_key positions = {};
};

/// The loss on some prompts, its terms, and its gradient.
struct loss_result {
  double loss = 0, effectiveness = 0, faithfulness = 0, minimality = 0;
  std::optional<double> retention = {};          ///< on the prompts that are to stay as they are
  std::optional<double> norm_preservation = {};  ///< where it has a weight
  struct prompt {
    std::map<double, double> logit_diff = {};  ///< by strength
    double kl = 0;                             ///< mean over strengths
  };
  std::vector<prompt> prompts = {};
  std::vector<double> gradient = {};  ///< of the loss without minimality, laid out as the parameters
};

/// A fit between two steps.
class any_run {
 public:
  virtual ~any_run() = default;

  virtual index_t step() = 0;
  virtual index_t steps() const = 0;
  /// `proceed` is called before each chunk of a step; false breaks the step off with `step_broken_off`.
  virtual void watch(chunk_watch proceed) = 0;
  virtual const loss_values& loss() = 0;
  virtual fit_state state() = 0;
  virtual parameters values() = 0;
  virtual std::vector<loss_values> history() = 0;
  virtual std::vector<std::string> warnings() const = 0;
};

/// A fit of a sweep.
struct point_to_fit {
  std::vector<prompt_pair> prompts = {};
  fit_settings at = {};
};

/// Where a fit starts.
struct fit_start {
  std::uint64_t seed = 1;                     ///< of what is random
  double sigma = 0;                           ///< of a start drawn from N(0, σ²); 0 for the policies' own start
  std::optional<fit_state> resume_from = {};  ///< in place of both
};

/// Interventions on the shapes of a model.
class any_layout {
 public:
  virtual ~any_layout() = default;

  virtual parameter_layout layout(std::span<const prompt_pair> prompts) const = 0;
  virtual fit_defaults defaults() const = 0;    ///< the smallest values among those of its policies
  virtual bool starts_at_identity() const = 0;  ///< so that there is a λ_max
};

/// The share of λ_max that is the weight of minimality: the one that was given, or without any weight the policies' default;
/// nothing for a number, and where there is no λ_max.
inline std::optional<double> share_of_largest(const objective_options& given, const any_layout& of) {
  if (given.lambda_m or given.lambda_m_share) return given.lambda_m_share;
  return of.starts_at_identity() ? std::optional(of.defaults().lambda_m_share) : std::nullopt;
}

/// A model with interventions.
class any_composition : public any_layout {
 public:
  virtual std::unique_ptr<any_run> start(std::span<const prompt_pair> prompts, const objective_options& objective,
                                         const adam& optimizer, fit_start from, const size_options& size) const = 0;
  /// Fits all points side by side; see train/sweep.hpp.
  virtual bool sweep(std::span<const point_to_fit> points, const objective_options& objective, const adam& optimizer,
                     const std::function<void(std::size_t, const parameters&)>& finished,
                     const sweep_options& options) const = 0;
  /// See `trainer::lambda_max`; these ranks share the chunks.
  virtual double lambda_max(std::span<const prompt_pair> prompts, const objective_options& objective,
                            std::uint64_t seed, const size_options& size = {}, const any_communicator& ranks = {},
                            chunk_watch proceed = {}) const = 0;
  /// The next points of several paths side by side, at the points' weights of minimality; see train/path.hpp. `starts`
  /// has the parameters before each, or nothing for the first of a path. A pass takes as many as `bytes` of
  /// activations hold, and at least one. `failed` is called with a point whose loss is no longer finite, and why.
  virtual void next_on_paths(std::span<const point_to_fit> points, std::span<const std::optional<parameters>> starts,
                             const objective_options& objective, const adam& optimizer, index_t bytes,
                             const path_options& options,
                             const std::function<void(std::size_t, const std::string&)>& failed,
                             const std::function<void(std::size_t, const path_point&)>& finished) const = 0;
  virtual stationarity stationary(const parameters& values, std::span<const prompt_pair> prompts,
                                  const objective_options& objective) const = 0;
  /// Goes on to a minimum of the objective; see train/polish.hpp.
  virtual polished polish(const parameters& values, std::span<const prompt_pair> prompts,
                          const objective_options& objective, const polish_options& options) const = 0;
  virtual explain::certificate certify(const parameters& values, std::span<const prompt_pair> prompts,
                                       const explain::certificate_options& options) const = 0;
  virtual metrics measure(const parameters& values, std::span<const prompt_pair> prompts,
                          const evaluate_options& options) const = 0;
  virtual report::fit_report describe(const parameters& values, std::span<const report::prompt_set> sets,
                                      std::vector<loss_values> history,
                                      const report::describe_options& options) const = 0;
  /// A pass takes at most so many bytes (0: any). Unless a gradient is asked for, these ranks share the prompts; a gradient
  /// runs a fixed number of prompts at once, and throws `memory` where these do not fit.
  virtual loss_result loss(const parameters& values, std::span<const prompt_pair> prompts,
                           const objective_options& objective, bool with_gradient, const any_communicator& ranks = {},
                           index_t memory = 0) const = 0;
  virtual host_matrix<double> logits(const parameters& values, const prompt_pair& prompt, double strength,
                                     scored where) const = 0;
  virtual std::vector<generated_text> generate(const parameters& values, std::span<const prompt_pair> prompts,
                                               const generation_options& options) const = 0;
  /// Vectors by statistics; see measure/directions.hpp.
  virtual parameters directions(std::span<const prompt_pair> prompts, std::span<const std::vector<int>> positive,
                                std::span<const std::vector<int>> negative, direction_method method) const = 0;
  /// Writes the folder of a model with these parameters folded into its weights; only in double. Returns what was folded.
  virtual std::vector<folded_place> write_folded(const parameters& values, const fold_options& options,
                                                 const io::model_folder& model, const path& folder,
                                                 const io::save_options& how) const = 0;
  virtual parameters fit_to(const intervention_file& file, load_options options) const = 0;
  virtual intervention_file make_file(const parameters& values, std::map<std::string, std::string> made) const = 0;
};

/// What a model's folder says before a weight is read.
class any_folder {
 public:
  virtual ~any_folder() = default;

  virtual const model_config& config() const = 0;
  virtual const text::tokenizer& tokenizer() const = 0;  ///< throws where there is none
  virtual bool has_tokenizer() const = 0;
};

/// A model in memory.
class any_model : public any_folder {
 public:
  virtual const std::string& hash_of_weights() const = 0;
  virtual const io::end_tokens& end_tokens() const = 0;          ///< throws where the folder's files are wrong
  virtual const std::vector<std::string>& warnings() const = 0;  ///< about its folder
  virtual host_matrix<double> logits(const std::vector<int>& ids, scored where) const = 0;
  virtual std::vector<generated_text> generate(std::span<const prompt_pair> prompts,
                                               const generation_options& options) const = 0;
  virtual std::unique_ptr<any_composition> compose(const std::vector<chosen_at>& chosen) const = 0;
  /// The scores of a method of `explain`.
  virtual explain::place_map explain(const std::string& method, std::span<const prompt_pair> prompts,
                                     const explain::options& chosen) const = 0;
  /// How faithful the ranking of these scores is on the other half of the prompts, or on those held out if there are any.
  virtual explain::ranking_curve curve_of(const explain::place_map& map, std::span<const prompt_pair> prompts,
                                          std::span<const prompt_pair> held_out, const explain::options& chosen,
                                          int random_orders) const = 0;
  /// [prompts][heads] what heads look at; see explain/attention_patterns.hpp.
  virtual std::vector<std::vector<host_matrix<double>>> attention(std::span<const prompt_pair> prompts,
                                                                  std::span<const explain::head_of_layer> heads,
                                                                  index_t memory) const = 0;
  /// Names of the places of prompts.
  virtual std::vector<std::string> names_of(const position_key& key, std::span<const prompt_pair> prompts) const = 0;
};

/// Reads all but the weights of a folder, or of that name in the Hugging Face cache.
std::unique_ptr<any_folder> open_folder(const path& name, const common_options& options);

/// Interventions on a model that need not be read. Throws as `compose` does.
std::unique_ptr<any_layout> lay_out(const model_config& config, const std::vector<chosen_at>& chosen);

/// Loads the model of a folder, or of that name in the Hugging Face cache, whichever its architecture is. Prints its
/// warnings.
std::unique_ptr<any_model> load_model(const path& name, const common_options& options);

}  // namespace trimtab::cli
