// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/layers.hpp>
#include <trimtab/core/objective.hpp>
#include <trimtab/explain/attention_patterns.hpp>
#include <trimtab/explain/place_map.hpp>
#include <trimtab/generate/growing_records.hpp>
#include <trimtab/generate/sampling.hpp>
#include <trimtab/io/files/dtype.hpp>
#include <trimtab/io/huggingface/tokenizer_options.hpp>
#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/policy/library.hpp>
#include <trimtab/task/draw.hpp>
#include <trimtab/train/sweep.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

/// What the user asked for: the command line as values, with nothing of CLI11 in them.

namespace trimtab::cli {

using path = std::filesystem::path;

/// The command line makes no sense: exit status 2.
class usage_error : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class machine { eigen, cuda };
enum class arithmetic { in_float, in_double, in_tf32, in_bf16 };

struct common_options {
  machine backend = machine::eigen;
  int threads = 0;  ///< 0: as many as the machine has
  arithmetic precision = arithmetic::in_float;
  weight_type weights = weight_type::as_in_file;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  bool allow_non_finite = false;
  bool allow_other_weights = false;  ///< accepts interventions that were made for weights with another hash
  io::tokenizer_options tokenizer = {};
  std::string typed = {};  ///< the command as it was given, a line for a shell
};

/// The prompts that the untouched model gets right, or those that it gets wrong.
enum class kept_prompts { all, right, wrong };

/// Where prompts come from: a task by name, or files.
struct data_options {
  std::string task = {};
  path train = {};
  path test = {};                                        ///< of files
  std::string test_text = {};                            ///< --test as it was given: a file, or for a task a number
  std::optional<int> train_count = {}, test_count = {};  ///< of prompts of a task
  task::shape_options shape = {};
  kept_prompts only = kept_prompts::all;
  std::optional<std::uint64_t> seed = {};
  path retain = {};  ///< prompts whose continuation is to stay as it is
};

/// The words for the settings of an objective, on the command line and in intervention files.
inline const std::map<std::string, objective::psi> psi_words = {
    {"hinge", objective::psi::hinge}, {"identity", objective::psi::identity}, {"softplus", objective::psi::softplus}};
inline const std::map<std::string, objective::vocabulary> kl_words = {{"masked", objective::vocabulary::masked},
                                                                      {"full", objective::vocabulary::full}};
inline const std::map<std::string, objective::kl_direction> kl_direction_words = {
    {"forward", objective::kl_direction::forward}, {"reverse", objective::kl_direction::reverse}};
inline const std::map<std::string, parameter_norm> minimality_words = {
    {"sum", parameter_norm::sum}, {"mean", parameter_norm::mean}, {"group", parameter_norm::group}};

struct objective_options {
  double lambda_f = 1;
  double lambda_r = 1;                        ///< of retention; there is none without prompts to retain
  std::optional<double> lambda_n = {};        ///< of norm preservation; where it is not given, that of a file, or 0
  std::optional<double> lambda_m = {};        ///< if neither is given, the policy's default
  std::optional<double> lambda_m_share = {};  ///< in its place, a share of λ_max
  double margin = 1;
  objective::psi psi = objective::psi::hinge;
  objective::vocabulary kl = objective::vocabulary::masked;
  objective::kl_direction kl_direction = objective::kl_direction::forward;
  parameter_norm minimality = parameter_norm::sum;
  std::set<std::string> given = {};  ///< the options that replace what the file of a fit says
  std::vector<double> strengths = {+1.0, -1.0};

  /// How many of its terms are on what hooks do.
  index_t hook_terms() const { return lambda_n.value_or(0) > 0 ? 1 : 0; }
};

/// One --at: SITE:POLICY[:LAYERS[:POSITIONS]].
struct at_option {
  std::string site = {};
  std::string policy = {};
  policy::options options = {};
  layer_set layers = layers::all();
  std::string positions = {};           ///< absolute, from_end, role or shared; empty: the policy's default
  index_t count = 0;                    ///< for from_end; 0: as many as the longest prompt has
  std::vector<std::string> roles = {};  ///< for role; empty: all that the prompts have
};

/// A file of heat maps.
struct picture_options {
  path file = {};
  std::optional<int> width = {};  ///< in pixels, at which maps go on below
};

/// How the steps of a fit are cut, and what it may take.
struct size_options {
  index_t chunk = 0;  ///< 0: as many prompts as save at most 1 GiB of activations
  mini_batches batches = {};
  index_t epochs = 0;                  ///< 0: only the steps count
  std::optional<index_t> memory = {};  ///< bytes that the process may take
  bool plan = false;                   ///< tells what the fit will need instead of fitting
};

/// An option with its value, as it was given.
struct given_option {
  std::string name = {};
  std::string value = {};
};

struct task_command {
  path model;
  data_options data;
  path out;
  int other_lengths = 64;
};

struct fit_command {
  std::vector<at_option> at = {};  ///< in place of policy, sites, layers and positions
  std::string at_text = {};        ///< the --at as they were written, separated by spaces
  path model;
  data_options data;
  std::string policy = "activ-scalar";
  std::vector<std::string> sites = {"attn_out", "mlp_out", "resid_post"};
  layer_set layers = layers::all();
  std::string layers_text = "all";
  std::string positions = {};                   ///< empty: the policy's default
  std::vector<std::string> roles = {};          ///< for positions by role; empty: all that the prompts have
  policy::options variant = {};                 ///< of `policy`: --gate, --rank, --inner, --no-bias
  double init = 0;                              ///< σ of a start drawn from N(0, σ²); 0 for the policies' own start
  std::optional<std::uint64_t> init_seed = {};  ///< of that start; if not given, the seed of the data
  objective_options objective;
  std::optional<double> learning_rate = {};
  index_t steps = 200;
  index_t warmup = 0;   ///< steps over which the learning rate grows
  bool cosine = false;  ///< it falls to 0 at the last step
  size_options size;
  bool subgradient = false;
  path out = {};
  path report = {};
  picture_options heatmap = {};
  path trace = {};
  bool polish = false;       ///< goes on from Adam's end to a minimum
  index_t polish_steps = 0;  ///< the most; 0: as many as it takes
  path checkpoint = {};
  index_t checkpoint_every = 100;
  path resume = {};
  std::string method = "gradient";        ///< or of a direction_method
  path positive = {}, negative = {};      ///< texts to contrast, in place of the prompts and their corrupt prompts
  bool measure_anyway = false;            ///< after SIGTERM and SIGHUP, too
  path like = {};                         ///< an intervention file whose fit is repeated
  std::vector<std::string> changed = {};  ///< with `like`: the options given besides
  std::vector<given_option> given = {};   ///< all that say what is fitted and how
  std::string command = {};               ///< "fit" or "sweep"
};

/// The methods that score places; `attention` shows what heads look at.
inline const std::vector<std::string> scoring_methods = {
    "gradient", "attribution-patching", "integrated", "patching", "ablation", "direct", "logit-lens"};

struct explain_command {
  path model;
  data_options data;
  std::vector<std::string> methods = {};  ///< as they were given, each once
  bool all_methods = false;               ///< they are all that can score these places
  std::vector<explain::head_of_layer> heads = {};
  std::optional<std::vector<std::string>> sites = {};  ///< if not given, those of the method
  std::string positions = "absolute";
  std::vector<std::string> roles = {};  ///< for positions by role; empty: all that the prompts have
  explain::options chosen = {};         ///< but for sites, positions and memory
  std::optional<index_t> memory = {};   ///< that the process may take, in bytes
  bool per_prompt = false;
  std::vector<path> against = {};  ///< intervention files to compare the ranking with
  bool curve = false;
  path holdout = {};  ///< prompts to measure the curve on, in place of half of the data
  path report = {};
  picture_options heatmap = {};

  /// Whether the file of --heatmap holds the attention of every prompt, not only of the first.
  bool writes_all_attention() const {
    return not heads.empty() and (heatmap.file.extension() == ".csv" or heatmap.file.extension() == ".json");
  }
};

struct sweep_command {
  fit_command fit;  ///< what does not vary
  sweep_axes axes = {};
  std::vector<std::string> policies = {}, positions = {};  ///< those that vary; empty: those of `fit`
  std::vector<std::string> varied = {};                    ///< the names of the axes, in the order given
  std::string vary_text = {};                              ///< the --vary as they were written, separated by spaces
  bool lambda_m_of_max = false;                            ///< whether the weights of minimality are shares of λ_max
  index_t path_values = 0;                                 ///< values on the path from λ_max; 0: no path
  double path_end = 1e-3;                                  ///< where it ends, as a share of λ_max
  index_t bootstrap = 0;                                   ///< pairs of halves
  path holdout = {};
  path out = {};
};

struct study_command {
  std::vector<path> models = {};        ///< empty: the embedded ones
  std::vector<std::string> tasks = {};  ///< ioi, ccc or a file of prompt pairs; empty: the two tasks
  path out = "study";
  bool quick = false;
  bool plan = false;
  std::optional<int> train = {}, test = {}, seeds = {}, explained = {};  ///< in place of the usual sizes
  std::optional<index_t> steps = {};
  std::string memory = {};  ///< of every fit; empty: the default
};

struct certify_command {
  path model;
  path intervention;
  data_options data;
  objective_options objective;
  double target = 0.95;
  index_t subsets = 12;
  bool polish = false;       ///< goes on to a minimum first
  index_t polish_steps = 0;  ///< the most; 0: as many as it takes
  path out = {};             ///< for the polished intervention
  std::optional<index_t> memory = {};
};

struct report_command {
  path model;
  std::vector<path> interventions = {};
  data_options data;  ///< empty: the task that each file says it was fitted on
  path out = {};
  picture_options heatmap = {};
};

struct eval_command {
  path model;
  path intervention;
  data_options data;
  objective_options objective;
  bool per_prompt = false;
  path per_prompt_csv = {};
  std::optional<index_t> memory = {};  ///< bytes that the process may take
  bool plan = false;                   ///< tells what the evaluation will need instead
};

struct check_command {
  path model;
  path data;
  path test = {};
};

struct loss_command {
  path model;
  path intervention;
  data_options data;
  path gradient = {};
  objective_options objective;
  std::optional<index_t> memory = {};  ///< bytes that the process may take
};

/// An intervention that a model runs with.
struct strength_options {
  path intervention = {};
  std::optional<double> strength = {};  ///< if not given, 1
};

struct logits_command {
  path model;
  std::optional<std::string> prompt = {};
  std::vector<int> ids = {};
  strength_options steer;
  bool all = false;
  int top = 0;
};

struct generate_command {
  path model;
  std::optional<std::string> prompt = {};  ///< "-" for standard input
  std::vector<int> ids = {};
  path prompts = {};
  strength_options steer;
  std::vector<double> strengths = {};          ///< empty: that of `steer`
  std::optional<index_t> max_new_tokens = {};  ///< if not given, 40
  index_t samples = 1;
  sampling how = {};
  std::uint64_t seed = 1;
  std::vector<std::string> stops = {};
  growth positions = {};
  bool log_probabilities = false;
  bool perplexity = false;
  path report = {};
};

struct bake_command {
  path model;
  path intervention;
  double strength = 1;
  path out;
  std::optional<io::dtype> type = {};  ///< of all weights; if not given, each keeps its own
};

struct export_command {
  path intervention;
  std::string format = {};
  path out;
};

struct import_command {
  path from;
  std::string format = {};
  std::string producer = {};  ///< of a control vector; empty: numbers are those of the blocks
  path model;
  path out;
};

struct tokenize_command {
  path model;
};

struct inspect_command {
  path what;
};

/// The parsed command line; `name` says which command was given, and only its member counts.
struct command_line {
  std::string name = {};  ///< empty: help was asked for and is in `help`
  std::string help = {};
  std::vector<path> outputs = {};  ///< the files and the folder that the command is to write
  common_options common;
  fit_command fit;
  sweep_command sweep;
  study_command study;
  certify_command certify;
  eval_command eval;
  check_command check;
  task_command task;
  loss_command loss;
  explain_command explain;
  report_command report;
  logits_command logits;
  generate_command generate;
  bake_command bake;
  export_command export_to;
  import_command import_from;
  tokenize_command tokenize;
  inspect_command inspect;
};

/// The name of a precision on the command line.
inline std::string precision_name(arithmetic precision) {
  constexpr const char* names[] = {"float", "double", "tf32", "bf16"};
  return names[static_cast<int>(precision)];
}

/// The words for the types of weights.
inline const std::map<std::string, weight_type> weight_words = {{"stored", weight_type::as_in_file},
                                                                {"float32", weight_type::float32},
                                                                {"float16", weight_type::float16},
                                                                {"bfloat16", weight_type::bfloat16}};

/// " fit" for a command line that begins with this command, nothing for one that begins with none.
std::string named_command(int argc, const char* const* argv);

/// Throws `usage_error`.
command_line parse(int argc, const char* const* argv);

}  // namespace trimtab::cli
