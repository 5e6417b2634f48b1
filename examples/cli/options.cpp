// SPDX-License-Identifier: Apache-2.0

#include "describe.hpp"
#include "like.hpp"
#include "provenance.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/core/site.hpp>
#include <trimtab/core/version.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/nearest_name.hpp>
#include <trimtab/text/utf8.hpp>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/map.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

/// The command line, read with CLI11. Lists are split here and not by CLI11, so that an error can name the wrong item.

namespace trimtab::cli {

namespace {

std::vector<std::string> items(const std::string& list) {
  std::vector<std::string> found;
  for (std::size_t begin = 0; begin <= list.size();) {
    const auto end = std::min(list.find(',', begin), list.size());
    found.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return found;
}

/// The number that a text spells; nothing if any other character is in it.
template <typename T>
std::optional<T> number(std::string_view text) {
  if (text.starts_with('+') and not text.starts_with("+-")) text.remove_prefix(1);
  T value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() or end != text.data() + text.size()) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>)
    if (not std::isfinite(value)) return std::nullopt;
  return value;
}

/// An invalid value is bad input, and not wrong usage. `names` are the valid ones, to suggest the nearest.
[[noreturn]] void refuse(const std::string& option, const std::string& value, const std::string& expected,
                         const std::vector<std::string_view>& names = {}) {
  throw error(error_kind::bad_argument,
              option + " is " + text::in_quotes(value, '\'') + "; expected " + expected + did_you_mean(value, names));
}

template <typename T>
T number_of(const std::string& option, const std::string& text, const std::string& expected) {
  const auto value = number<T>(text);
  if (not value) refuse(option, text, expected);
  return *value;
}

/// "0-3,7", "5", "all". Only the ends of ranges are noted, so that many long ranges take no longer than a few.
layer_set layers_of(const std::string& text, const std::string& option = "--layers") {
  if (text == "all") return layers::all();
  const std::string expected = "layers such as 4-11, 3 or 0,2,5, or all";
  constexpr index_t most = 100'000;
  std::vector<index_t> more_ranges(most + 2);  // how many more ranges a layer is in than the layer before it
  for (const auto& item : items(text)) {
    const auto dash = item.find('-');
    const auto first = number<index_t>(item.substr(0, dash));
    const auto last = dash == item.npos ? first : number<index_t>(item.substr(dash + 1));
    if (not first or not last or *first < 0 or *last < *first or *last > most) refuse(option, text, expected);
    ++more_ranges[static_cast<std::size_t>(*first)];
    --more_ranges[static_cast<std::size_t>(*last + 1)];
  }
  std::vector<index_t> chosen;
  for (index_t l = 0, ranges = 0; l <= most; ++l)
    if ((ranges += more_ranges[static_cast<std::size_t>(l)]) > 0) chosen.push_back(l);
  return layers::list(std::move(chosen));
}

std::vector<std::string> sites_of(const std::string& text) {
  const auto chosen = items(text);
  for (const auto& site : chosen)
    if (not site::find(site)) refuse("--sites", site, "a list of " + site::names(), site::texts());
  return chosen;
}

/// "500M", "2Gi": K, M, G are powers of 1000, Ki, Mi, Gi of 1024.
index_t bytes_of(const std::string& option, const std::string& text) {
  const std::string expected = "a size in bytes such as 500M or 2Gi, from 1 byte to 2^60";
  const auto digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto count = number<double>(std::string_view(text).substr(0, digits));
  const std::map<std::string, double> units{{"", 1},        {"K", 1e3},     {"M", 1e6},    {"G", 1e9},
                                            {"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30}};
  const auto unit = units.find(text.substr(digits));
  if (not count or unit == units.end() or *count * unit->second < 1 or *count * unit->second > 0x1p60)
    refuse(option, text, expected);
  return static_cast<index_t>(*count * unit->second);
}

/// "5.1,9.6": layers and heads.
std::vector<explain::head_of_layer> heads_of(const std::string& text) {
  std::vector<explain::head_of_layer> heads;
  for (const auto& item : items(text)) {
    const auto dot = item.find('.');
    const auto layer = number<index_t>(item.substr(0, dot));
    const auto head = dot == item.npos ? std::nullopt : number<index_t>(item.substr(dot + 1));
    if (not layer or not head or *layer < 0 or *head < 0)
      refuse("--heads", text, "heads as LAYER.HEAD, counted from 0, such as 5.1,9.6");
    if (std::ranges::find(heads, explain::head_of_layer{*layer, *head}) == heads.end())
      heads.push_back({*layer, *head});
  }
  return heads;
}

std::vector<std::string> names_of_sites() {
  auto names = items(site::names());
  for (auto& name : names) name.erase(0, name.find_first_not_of(' '));
  return names;
}

path path_of(const std::string& option, const std::string& value) {
  if (value.empty()) refuse(option, value, "a path");
  return value;
}

/// Put before each item of a list so that CLI11 takes it as it is; no argument of a program can contain it.
constexpr char is_listed = '\0';

/// The policies that --policy names: gates other than the linear one are options of --at.
std::vector<std::string> policy_words() {
  std::vector<std::string> words;
  for (const auto& name : policy::names())
    if (std::ranges::none_of(words, [&](const auto& known) { return name.starts_with(known + "-"); }))
      words.push_back(name);
  return words;
}

/// "SITE:POLICY[:LAYERS[:POSITIONS]]"
at_option at_of(const std::string& text) {
  const std::string expected = "SITE:POLICY[:LAYERS[:POSITIONS]] such as attn_out:activ-scalar:4-11:from_end=8";
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(':', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (parts.size() < 2 or parts.size() > 4) refuse("--at", text, expected);
  at_option at{.site = parts[0]};
  if (not site::find(at.site)) refuse("--at", text, "a site of " + site::names(), {site::texts()});
  const auto open = parts[1].find('(');
  at.policy = parts[1].substr(0, open);
  const auto words = policy_words();
  if (std::ranges::find(words, at.policy) == words.end()) {
    throw error(error_kind::bad_argument, "--at is " + text::in_quotes(text, '\'') +
                                              ", with an unknown policy; expected " + text::joined(words, ", ") +
                                              did_you_mean(at.policy, words));
  }
  if (open != parts[1].npos) {
    if (not parts[1].ends_with(')')) refuse("--at", text, "options of the policy in parentheses, (gate=tanh,bias=no)");
    for (const auto& option : items(parts[1].substr(open + 1, parts[1].size() - open - 2))) {
      const auto equals = option.find('=');
      if (equals == option.npos) refuse("--at", text, "options of the policy as NAME=VALUE, (gate=tanh,bias=no)");
      at.options.emplace_back(option.substr(0, equals), option.substr(equals + 1));
    }
  }
  policy::visit_with(at.policy, at.options, [](auto) {});  // throws for an invalid option
  if (parts.size() > 2) at.layers = layers_of(parts[2], "--at");
  if (parts.size() > 3) {
    const auto equals = parts[3].find('=');
    at.positions = parts[3].substr(0, equals);
    const std::string value = equals == parts[3].npos ? "" : parts[3].substr(equals + 1);
    const bool known =
        at.positions == "absolute" or at.positions == "from_end" or at.positions == "role" or at.positions == "shared";
    const bool takes = at.positions == "from_end" or at.positions == "role";
    if (not known or (equals != parts[3].npos and (not takes or value.empty())))
      refuse("--at", text, "positions absolute, from_end, from_end=N, shared or role=NAME+NAME");
    if (at.positions == "from_end" and not value.empty()) {
      const auto count = number<index_t>(value);
      if (not count or *count < 1 or *count > 1'000'000) refuse("--at", text, "from_end=N with N from 1 to 1000000");
      at.count = *count;
    }
    if (at.positions == "role")
      for (std::size_t begin = 0; begin < value.size();) {
        const auto end = std::min(value.find('+', begin), value.size());
        if (end == begin) refuse("--at", text, "role=NAME+NAME");
        at.roles.push_back(value.substr(begin, end - begin));
        begin = end + 1;
      }
  }
  return at;
}

constexpr index_t most_steps = 1'000'000'000;

/// The options of one command. Each member function declares one; its value is stored when the command line is read.
class options_of {
 public:
  options_of(description& d, CLI::App* app) : d_(d), app_(app) {}

  /// A file that the command reads.
  void file(const std::string& name, const std::string& help, path& to, bool required = false) {
    parsed(
        name, "PATH", help,
        [name, &to, &d = d_](const std::string& value) {
          to = path_of(name, value);
          d.files.inputs.push_back({name, to});
        },
        required);
  }
  void output(const std::string& name, const std::string& help, path& to, bool required = false) {
    d_.writing.insert(name);
    parsed(
        name, "PATH", help,
        [name, &to, &d = d_](const std::string& value) {
          to = path_of(name, value);
          d.files.outputs.push_back({name, to});
        },
        required);
  }
  void model(path& to) {
    parsed(
        "--model", "PATH", "folder of the model, or OWNER/NAME[@REVISION] of one in the Hugging Face cache",
        [&to, &d = d_](const std::string& value) { d.files.model = to = path_of("--model", value); }, true);
  }
  void files(const std::string& name, const std::string& help, std::vector<path>& to) {
    app_->add_option_function<std::vector<std::string>>(
            name,
            [name, &to, &d = d_](const std::vector<std::string>& values) {
              for (const auto& value : values) {
                to.push_back(path_of(name, value.substr(value.starts_with(is_listed))));
                d.files.inputs.push_back({"'" + to.back().string() + "'", to.back()});
              }
            },
            help)
        ->required()
        ->type_name("FILE")
        ->group(group_);
  }
  /// A file whose ending says which format is written.
  void heatmap(picture_options& to) {
    d_.writing.insert({"--heatmap", "--heatmap-width"});
    parsed("--heatmap", "PATH",
           "heat maps to write: .svg is a figure for papers, as are .pdf and .png where there is rsvg-convert; .csv or "
           ".json hold the numbers",
           [&to = to.file, &d = d_](const std::string& value) {
             to = value;
             const auto ending = to.extension();
             const std::vector<path> endings = {".svg", ".pdf", ".png", ".csv", ".json"};
             if (std::ranges::find(endings, ending) == endings.end())
               refuse("--heatmap", value, "a name that ends in .svg, .pdf, .png, .csv or .json");
             d.files.outputs.push_back({"--heatmap", to});
           });
    count("--heatmap-width", "width of the figure in pixels, at which wide maps go on below, default 1240", to.width,
          100, 20'000);
  }
  void flag(const std::string& name, const std::string& help, bool& to) {
    app_->add_flag(name, to, help)->group(group_);
  }
  /// A flag that calls `act` where it is given.
  template <typename Act>
  void set(const std::string& name, const std::string& help, Act act) {
    app_->add_flag_callback(name, act, help)->group(group_);
  }

  /// An option whose text `store` converts and stores, or refuses; `kind` is the name of its value in the help.
  template <typename Store>
  CLI::Option* parsed(const std::string& name, const std::string& kind, const std::string& help, Store store,
                      bool required = false) {
    // Given twice, the last one counts, as with most programs.
    return app_
        ->add_option_function<std::string>(
            name, [store](const std::string& value) { store(value); }, help)
        ->required(required)
        ->type_name(kind)
        ->take_last()
        ->group(group_);
  }
  /// An option that may be given several times, each stored in turn.
  template <typename Store>
  CLI::Option* repeated(const std::string& name, const std::string& kind, const std::string& help, Store store,
                        bool required = false) {
    return app_
        ->add_option_function<std::vector<std::string>>(
            name,
            [store](const std::vector<std::string>& values) {
              for (const auto& value : values) store(value);
            },
            help)
        ->required(required)
        ->type_name(kind)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group(group_);
  }
  /// Declares the values that completions offer for an option.
  void offer(const CLI::Option* option, std::vector<std::string> words, bool list = false) {
    d_.words[option] = {std::move(words), list};
  }
  template <typename To>
  void real(const std::string& name, const std::string& help, To& to, double least, bool least_allowed = true) {
    parsed(name, "X", help, [=, &to](const std::string& value) {
      const bool positive = not least_allowed;
      const auto expected = std::isfinite(least)
                                ? std::string(positive ? "a positive number" : "a number that is not negative")
                                : std::string("a finite number");
      const auto x = number_of<double>(name, value, expected);
      if (x < least or (positive and x == least)) refuse(name, value, expected);
      to = x;
    });
  }
  template <typename To>
  void count(const std::string& name, const std::string& help, To& to, std::int64_t least, std::int64_t most) {
    parsed(name, "N", help, [=, &to](const std::string& value) {
      const auto expected = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
      const auto n = number_of<std::int64_t>(name, value, expected);
      if (n < least or n > most) refuse(name, value, expected);
      to = static_cast<To>(n);
    });
  }
  void seed(const std::string& help, auto& to) {
    parsed("--seed", "N", help, [&to](const std::string& value) {
      to = number_of<std::uint64_t>("--seed", value, "a whole number from 0 to 2^64 - 1");
    });
  }
  template <typename To>
  void choice(const std::string& name, const std::string& help, To& to, const std::map<std::string, To>& choices,
              bool required = false) {
    const auto words = choices | ranges::views::keys | ranges::to<std::vector>();
    const auto names = text::joined(words, "|");
    const auto* const option = parsed(
        name, names, help,
        [=, &to](const std::string& value) {
          if (not choices.contains(value)) refuse(name, value, names, {words.begin(), words.end()});
          to = choices.at(value);
        },
        required);
    offer(option, words);
  }
  void word(const std::string& name, const std::string& help, std::string& to, const std::vector<std::string>& words,
            bool required = false) {
    std::map<std::string, std::string> choices;
    for (const auto& one : words) choices[one] = one;
    choice(name, help, to, choices, required);
  }
  /// The heading in the help of the options that are added after this call.
  void group(const std::string& name) { group_ = name; }

 private:
  description& d_;
  CLI::App* app_;
  std::string group_ = "Options";
};

void add_common(options_of o, common_options& to) {
  o.group("Common");
  o.count("--threads", "number of threads, default as many as the machine allows; results do not depend on it",
          to.threads, 1, 1024);
  o.choice("--backend", "where to compute, default eigen (CPU); cuda (GPU) needs a build with CUDA", to.backend,
           {{"eigen", machine::eigen}, {"cuda", machine::cuda}});
  using enum arithmetic;
  o.choice("--precision",
           "precision of the arithmetic, default float; double with eigen only, tf32 and bf16 with cuda only",
           to.precision, {{"float", in_float}, {"double", in_double}, {"tf32", in_tf32}, {"bf16", in_bf16}});
  o.choice("--weights",
           "type of the weights in memory, default stored: as in the model's folder, with the results of float32; "
           "float16 and bfloat16 round them and are another model",
           to.weights, weight_words);
  o.flag("--json", "print one JSON object instead of text", to.json);
  o.flag("--quiet", "print figures only: no progress, no heat maps", to.quiet);
  o.flag("--verbose", "report on standard error what is done and how long it takes", to.verbose);
}

void add_model(options_of o, path& to, common_options& how) {
  o.model(to);
  o.flag("--allow-non-finite", "accept weights that are infinite or NaN", how.allow_non_finite);
}

/// How texts become prompts.
void add_text(options_of o, common_options& how) {
  using enum io::begin_with_bos;
  const auto begin = [&](const std::string& name, const std::string& help, io::begin_with_bos value) {
    o.set(name, help, [name, value, &to = how.tokenizer.bos] {
      if (to != as_the_folder_says and to != value) throw usage_error("give only one of --bos and --no-bos");
      to = value;
    });
  };
  begin("--bos", "begin prompts with the BOS token, whatever the model's folder says", always);
  begin("--no-bos", "begin prompts without a BOS token, whatever the model's folder says", never);
  o.flag("--plain-text", "take the text of special tokens such as <|endoftext|> for ordinary text, not for the token",
         how.tokenizer.plain_text);
}

/// A text to continue, or its token ids.
void add_prompt(options_of o, std::optional<std::string>& prompt, std::vector<int>& ids) {
  o.parsed("--prompt", "TEXT", "the text to continue", [&](const std::string& value) { prompt = value; });
  o.parsed("--ids", "N,N,...", "token ids to continue, in place of --prompt", [&](const std::string& value) {
    ids.clear();
    for (const auto& item : items(value)) ids.push_back(number_of<int>("--ids", item, "token ids such as 1,2,3"));
  });
}

/// Which prompts of a task.
void add_shape(options_of& o, data_options& to) {
  o.parsed("--templates", "N,N,...",
           "with --task the templates to fill, by their number; default all of the usual length",
           [&to](const std::string& value) {
             to.shape.templates.clear();
             for (const auto& item : items(value))
               to.shape.templates.push_back(number_of<int>("--templates", item, "numbers of templates such as 0,3"));
           });
  o.parsed(
      "--lengths", "N,N,...|all",
      "with --task the numbers of tokens of train and test prompts, or all lengths mixed; default the most common one",
      [&to](const std::string& value) {
        to.shape.lengths.clear();
        to.shape.any_length = value == "all";
        for (const auto& item : to.shape.any_length ? std::vector<std::string>() : items(value))
          to.shape.lengths.push_back(number_of<int>("--lengths", item, "numbers of tokens such as 14,16, or all"));
      });
  o.choice("--only", "keep the prompts that the untouched model gets right, or wrong", to.only,
           {{"right", kept_prompts::right}, {"wrong", kept_prompts::wrong}});
}

void add_data(options_of o, data_options& to, common_options& how) {
  o.word("--task", "generated train and test prompts: indirect objects (ioi) or country-capital conflicts (ccc)",
         to.task, {"ioi", "ccc"});
  o.file("--data", "file of prompt pairs in JSON Lines, in place of --task", to.train);
  o.parsed(
      "--test", "PATH|N",
      "with --data a file of further prompt pairs, to test on only; with --task the number of test prompts, default "
      "64",
      [&to](const std::string& value) { to.test_text = path_of("--test", value).string(); });
  o.count("--train", "with --task the number of train prompts, default 64", to.train_count, 1, task::prompt_limit);
  add_shape(o, to);
  o.seed("seed of the task's prompts; default 1, for eval and report the seed in the intervention file", to.seed);
  add_text(o, how);
}

void add_objective(options_of o, objective_options& to, bool takes_share = false) {
  o.group("Objective");
  o.real("--lambda-f", "weight of faithfulness, default 1", to.lambda_f, 0);
  if (takes_share)
    o.parsed(
        "--lambda-m", "X|Xmax",
        "weight of minimality, default by policy; 0.01max is a share of the weight from which on nothing is learned",
        [&to](const std::string& value) {
          const std::string expected = "a number that is not negative, or such a share of the largest, 0.01max";
          const bool is_share = value.ends_with("max");
          const auto x = number_of<double>("--lambda-m", value.substr(0, value.size() - (is_share ? 3 : 0)), expected);
          if (x < 0) refuse("--lambda-m", value, expected);
          to.lambda_m = is_share ? std::nullopt : std::optional(x);
          to.lambda_m_share = is_share ? std::optional(x) : std::nullopt;
        });
  else
    o.real("--lambda-m", "weight of minimality, default by policy", to.lambda_m, 0);
  o.real("--margin", "margin of effectiveness, default 1", to.margin, -INFINITY);
  o.choice("--psi", "shape of effectiveness, default hinge", to.psi, psi_words);
  o.choice("--kl", "vocabulary of faithfulness: without the two answers (masked, default) or with them (full)", to.kl,
           kl_words);
  o.choice("--kl-direction", "direction of the KL divergence; forward, the default, is KL(untouched, steered)",
           to.kl_direction, kl_direction_words);
  o.choice("--minimality",
           "norm of the parameters: sum (default) or mean of absolute values, or one norm a place (group)",
           to.minimality, minimality_words);
  o.parsed("--strengths", "X,X,...", "strengths of the objective, default 1,-1", [&to](const std::string& value) {
    to.strengths.clear();
    for (const auto& item : items(value)) {
      const auto beta = number_of<double>("--strengths", item, "a list of numbers such as 1,-1");
      if (std::ranges::find(to.strengths, beta) != to.strengths.end())
        refuse("--strengths", value, "different numbers");
      to.strengths.push_back(beta);
    }
  });
}

/// Prompts that must not change.
void add_retained(options_of o, path& file, objective_options& to) {
  o.group("Objective");
  o.file("--retain", "file of prompts, as for generate --prompts, whose next token is to stay as it is", file);
  o.real("--lambda-r", "weight of retention, the KL divergence over all tokens on the prompts of --retain, default 1",
         to.lambda_r, 0);
}

void add_other_weights(options_of o, common_options& how) {
  o.flag("--allow-other-weights", "accept an intervention that was made for weights with another hash",
         how.allow_other_weights);
}

void add_steering(options_of o, strength_options& to, common_options& how) {
  add_other_weights(o, how);
  o.file("--intervention", "intervention file to steer with", to.intervention);
  o.real("--strength", "strength of the intervention, any finite number, default 1", to.strength, -INFINITY);
}

/// "identity", which is 0, or "normal:S"; `whole` is what the option was given.
double start_of(const std::string& option, const std::string& whole, const std::string& item) {
  const auto sigma = item == "identity"            ? std::optional(0.0)
                     : item.starts_with("normal:") ? number<double>(item.substr(7))
                                                   : std::nullopt;
  if (not sigma or *sigma < 0 or (*sigma == 0 and item != "identity"))
    refuse(option, whole, "identity or normal:S, with S the standard deviation");
  return *sigma;
}

/// What is fitted, on which prompts and how.
void add_fit(options_of& o, fit_command& c, common_options& how) {
  add_model(o, c.model, how);
  add_data(o, c.data, how);
  o.word("--policy", "policy at every site, default activ-scalar", c.policy, policy_words());
  const auto* const sites = o.parsed(
      "--sites", "SITE,...",
      "sites to intervene at, default attn_out,mlp_out,resid_post, of which steer-vec leaves out those where it "
      "would do the same as at a later one",
      [&c](const std::string& value) { c.sites = sites_of(value); });
  o.offer(sites, names_of_sites(), true);
  o.parsed("--layers", "LAYERS", "layers to intervene in, such as 4-11 or 0,2,5, default all",
           [&c](const std::string& value) {
             c.layers = layers_of(value);
             c.layers_text = value;
           });
  o.word("--positions",
         "which tokens share parameters: those at the same position, counted from the first (absolute) or the last "
         "token (from_end), those of the same role, or all (shared); default absolute, for policies that read the "
         "activation shared",
         c.positions, {"absolute", "from_end", "role", "shared"});
  o.parsed("--roles", "ROLE,...", "the roles that have parameters with --positions role, default all",
           [&c](const std::string& value) { c.roles = items(value); });
  const auto variant = [&](const std::string& name, const std::string& help) {
    std::vector<std::string> values;
    for (const auto& one : policy_words())
      for (const auto& value : policy::values_of(one, name))
        if (std::ranges::find(values, value) == values.end()) values.push_back(value);
    const auto* const option =
        o.parsed("--" + name, text::joined(values, "|"), help, [name, values, &c](const std::string& value) {
          if (std::ranges::find(values, value) == values.end())
            refuse("--" + name, value, text::joined(values, "|"), {values.begin(), values.end()});
          c.variant.emplace_back(name, value);
        });
    o.offer(option, values);
  };
  variant("gate", "gate of dyn-scalar or conditional, default linear; conditional takes linear, mlp and cosine");
  variant("inner", "policy that conditional lets act, default steer-vec");
  variant("rank", "rank of low-rank, default 4");
  o.set("--no-bias", "dyn-scalar without bias", [&c] { c.variant.emplace_back("bias", "no"); });
  o.parsed("--init", "identity|normal:S",
           "where parameters start: where the policy says, mostly zero (identity, default), or drawn from N(0, S^2)",
           [&c](const std::string& value) { c.init = start_of("--init", value, value); });
  o.repeated("--at", "SITE:POLICY[:LAYERS[:POSITIONS]]",
             "one intervention, in place of --policy, --sites, --layers and --positions. May be given several times; "
             "interventions at one site act in the order given. POLICY may have options, such as "
             "dyn-scalar(gate=tanh,bias=no); POSITIONS is absolute, from_end, from_end=N, shared or role=NAME+NAME",
             [&c](const std::string& value) {
               c.at.push_back(at_of(value));
               c.at_text += (c.at_text.empty() ? "" : " ") + value;
             });
  add_objective(o, c.objective, true);
  o.parsed("--init-seed", "N", "seed of --init and of policies that start at random, default that of the data",
           [&c](const std::string& value) {
             c.init_seed = number_of<std::uint64_t>("--init-seed", value, "a whole number from 0 to 2^64 - 1");
           });
  o.real("--lr", "learning rate, default by policy", c.learning_rate, 0, false);
  o.count("--steps", "optimizer steps, default 200", c.steps, 1, most_steps);
  o.flag("--subgradient", "add minimality to Adam's gradient instead of taking a proximal step", c.subgradient);
}

/// What the work may take, and what it will take. `what` is "fit" or "sweep".
void add_bound(options_of o, size_options& to, const std::string& what) {
  o.parsed("--memory", "SIZE",
           "memory that the process may take, such as 500M or 2Gi; a " + what +
               " that needs more is refused. Default: 80 % of what is available",
           [&to](const std::string& value) { to.memory = bytes_of("--memory", value); });
  o.flag("--plan", "tell the memory, operations and time that the " + what + " will take, and fit nothing", to.plan);
}

/// The same for work that is cut as the memory allows.
void add_bound(options_of o, std::optional<index_t>& memory) {
  o.parsed("--memory", "SIZE",
           "memory that the process may take, such as 500M or 2Gi; no figure depends on it. Default: 80 % of what is "
           "available",
           [&memory](const std::string& value) { memory = bytes_of("--memory", value); });
}

/// What a fit may take of the machine, and how its steps are cut.
void add_size(options_of o, fit_command& c) {
  o.group("Size");
  o.count(
      "--chunk",
      "prompts that run at once; changes the last bits of the result. Default: as many as save 1 GiB of activations",
      c.size.chunk, 1, 1'000'000'000);
  o.count("--batch-size", "prompts in a step, drawn anew for each epoch by --seed; default: all", c.size.batches.size,
          1, 1'000'000'000);
  o.count("--epochs", "how often every prompt is seen; with --steps, whichever ends first", c.size.epochs, 1,
          1'000'000'000);
  o.count("--warmup", "steps over which the learning rate grows to its value, default 0", c.warmup, 0, most_steps);
  o.flag("--cosine", "let the learning rate fall to 0 along a cosine until the last step", c.cosine);
  add_bound(o, c.size, "fit");
}

/// The values of one --vary: "V,V,..." or "FROM..TO:N", which is even in log where `in_log`.
std::vector<double> values_of(const std::string& text, const std::string& list, bool in_log) {
  const std::string expected = "NAME=V,V,... or NAME=FROM..TO:N with numbers";
  std::vector<double> values;
  if (const auto dots = list.find(".."); dots != list.npos) {
    const auto colon = list.find(':', dots);
    const auto from = number<double>(list.substr(0, dots));
    const auto to = number<double>(list.substr(dots + 2, colon == list.npos ? colon : colon - dots - 2));
    const auto count = number<index_t>(colon == list.npos ? std::string() : list.substr(colon + 1)).value_or(0);
    if (not from or not to or count < 1 or count > 100'000) refuse("--vary", text, expected);
    if (in_log) return logspace(*from, *to, count);
    for (index_t k = 0; k < count; ++k)
      values.push_back(k == 0 ? *from
                              : *from + (*to - *from) * static_cast<double>(k) / static_cast<double>(count - 1));
    return values;
  }
  for (const auto& item : items(list)) values.push_back(number_of<double>("--vary", item, expected));
  return values;
}

/// "NAME=V,V,..." or "NAME=FROM..TO:N".
void vary(const std::string& text, sweep_command& c) {
  static const std::vector<std::string> names = {"lambda-f",  "lambda-m", "lr",    "margin", "policy",
                                                 "positions", "seed",     "start", "steps"};
  const auto equals = text.find('=');
  const auto name = text.substr(0, equals);
  if (equals == text.npos or std::ranges::find(names, name) == names.end())
    throw error(error_kind::bad_argument, "--vary is " + text::in_quotes(text, '\'') +
                                              "; expected NAME=V,V,... or NAME=FROM..TO:N, NAME one of " +
                                              text::joined(names, ", ") + did_you_mean(name, names));
  if (std::ranges::find(c.varied, name) != c.varied.end())
    throw usage_error("--vary " + name + " is given twice; list all its values in one");
  auto list = text.substr(equals + 1);
  const auto whole = [&]<typename T>(std::vector<T>& to, double least) {
    for (const double x : values_of(text, list, false)) {
      if (x < least or x != std::floor(x) or x > 1e9) refuse("--vary", text, "whole numbers in " + name);
      to.push_back(static_cast<T>(x));
    }
  };
  const auto real = [&](std::vector<double>& to, bool in_log, double least, bool least_allowed) {
    to = values_of(text, list, in_log);
    for (const double x : to)
      if (x < least or (x == least and not least_allowed)) refuse("--vary", text, "larger numbers in " + name);
  };
  const auto word = [&](std::vector<std::string>& to, const std::vector<std::string>& words) {
    to = items(list);
    for (const auto& one : to)
      if (std::ranges::find(words, one) == words.end())
        refuse("--vary", text, text::joined(words, ", "), {words.begin(), words.end()});
  };
  if (name == "lambda-m" and list.ends_with("max")) {
    c.lambda_m_of_max = true;
    std::string shares;
    for (const auto& item : items(list)) {
      if (not item.ends_with("max"))
        refuse("--vary", text, "shares of the largest weight in all values, 0.1max,0.01max");
      shares += (shares.empty() ? "" : ",") + item.substr(0, item.size() - 3);
    }
    list = shares;
  }
  if (name == "lambda-f") real(c.axes.lambda_f, true, 0, true);
  if (name == "lambda-m") real(c.axes.lambda_m, true, 0, true);
  if (name == "lr") real(c.axes.learning_rate, true, 0, false);
  if (name == "margin") real(c.axes.margin, false, -INFINITY, true);
  if (name == "steps") whole(c.axes.steps, 1);
  if (name == "seed") whole(c.axes.seed, 0);
  if (name == "policy") word(c.policies, policy_words());
  if (name == "positions") word(c.positions, {"absolute", "from_end", "role", "shared"});
  if (name == "start")
    for (const auto& item : items(list)) c.axes.start.push_back(start_of("--vary", text, item));
  c.varied.push_back(name);
  c.vary_text += (c.vary_text.empty() ? "" : " ") + text;
}

/// Throws for options that do not go together, and gives --test its meaning.
void require_data(data_options& data, files_in_use& files) {
  if (data.task.empty() == data.train.empty())
    throw usage_error("prompts come either from --task or from --data; give one of the two");
  if (data.task.empty() and (data.train_count or data.shape.is_chosen()))
    throw usage_error("--train, --templates and --lengths go with --task");
  if (data.test_text.empty()) return;
  if (data.task.empty()) {
    data.test = data.test_text;
    files.inputs.push_back({"--test", data.test});
    return;
  }
  data.test_count = number<int>(data.test_text);
  if (not data.test_count)
    throw usage_error("--test goes with --data as a file; with --task it is the number of test prompts");
  if (*data.test_count < 0 or *data.test_count > task::prompt_limit)
    refuse("--test", data.test_text, "a number of prompts from 0 to " + std::to_string(task::prompt_limit));
}

}  // namespace

void describe(description& d, command_line& line) {
  CLI::App& app = d.app;
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(version));
  app.footer("trimtab help COMMAND shows a command's options and examples.");
  const auto add = [&](const std::string& name, const std::string& help, const std::string& examples) {
    auto* const command = app.add_subcommand(name, help);
    command->footer("Examples:\n" + examples);
    return options_of(d, command);
  };

  {
    auto& c = line.fit;
    auto o =
        add("fit", "Learn an intervention on prompt pairs",
            "  trimtab fit --model gpt2/ --task ioi --out ioi.safetensors\n"
            "  trimtab fit --model gpt2/ --data train.jsonl --test test.jsonl --positions from_end --report fit.html\n"
            "  trimtab fit --model gpt2/ --task ccc --policy dyn-scalar --sites resid_post --layers 4-11\n"
            "  trimtab fit --model gpt2/ --task ioi --at attn_out:activ-scalar:4-11:from_end=8 --at "
            "resid_post:steer-vec:6:shared");
    add_fit(o, c, line.common);
    add_retained(o, c.data.retain, c.objective);
    o.word(
        "--method",
        "how: by gradients (default), or vectors by statistics of the activations at the last token, the mean of the "
        "differences between the prompts and their corrupt prompts, or the first principal component",
        c.method, {"gradient", "mean-difference", "pca"});
    o.file("--positive", "texts to contrast with those of --negative, one a line, in place of the prompts", c.positive);
    o.file("--negative", "texts that a vector points away from, as many as in --positive", c.negative);
    o.output("--out", "intervention file to write", c.out);
    o.output("--report", "HTML page to write: the settings, figures, charts, and a heat map of each site", c.report);
    o.heatmap(c.heatmap);
    o.output("--trace", "JSON file to write: the loss terms before every step", c.trace);
    o.flag("--polish", "go on from Adam's end to a minimum; exact with --precision double", c.polish);
    o.output("--checkpoint", "file to write the state of the fit to, for --resume", c.checkpoint);
    o.count("--checkpoint-every", "steps between checkpoints, default 100; the last one is written when the fit ends",
            c.checkpoint_every, 1, 1'000'000'000);
    o.file("--resume", "checkpoint to continue from; repeat the options of its fit (--steps may be larger)", c.resume);
    add_size(o, c);
    o.flag("--measure-anyway", "measure all prompts even where SIGTERM or SIGHUP ended the fit", c.measure_anyway);
    o.file(
        "--like",
        "intervention file whose fit is repeated, with the same model, prompts and options, and compared bit for bit; "
        "other options replace its own",
        c.like);
  }
  {
    auto& c = line.sweep;
    auto o = add(
        "sweep", "Fit with many settings, and find the best trade-offs",
        "  trimtab sweep --model gpt2/ --task ioi --vary lambda-m=0.3..0.003:6 --vary seed=1,2,3 --out ioi/\n"
        "  trimtab sweep --model gpt2/ --task ioi --path 20 --report path.html\n"
        "  trimtab sweep --model gpt2/ --task ccc --vary policy=activ-scalar,steer-vec --vary lambda-m=0.1max,0.01max\n"
        "  trimtab sweep --model gpt2/ --task ioi --bootstrap 20");
    add_fit(o, c.fit, line.common);
    o.repeated("--vary", "NAME=V,V,...|NAME=FROM..TO:N",
               "a setting that varies: lambda-f, lambda-m, lr, margin, policy, positions, seed (of the data), start "
               "(identity or normal:S) or steps. FROM..TO:N is even, in log for lambda-f, lambda-m and lr; lambda-m "
               "takes shares of the largest weight that matters, such as 0.1max",
               [&c](const std::string& value) { vary(value, c); });
    o.count("--path",
            "number of weights of minimality from the largest that matters downwards, each fit starting "
            "from the one before it",
            c.path_values, 2, 100'000);
    o.real("--path-end", "where the path ends, as a share of the largest weight, default 0.001", c.path_end, 0, false);
    o.count("--bootstrap", "pairs of random halves of the train prompts: how often is each place kept?", c.bootstrap, 1,
            100'000);
    o.file("--holdout", "further prompt pairs, to measure the knee on", c.holdout);
    add_retained(o, c.fit.data.retain, c.fit.objective);
    o.group("Options");
    add_bound(o, c.fit.size, "sweep");
    o.parsed("--out", "DIR", "folder for every finished fit; a sweep that was interrupted goes on from there",
             [&c](const std::string& value) { c.out = path_of("--out", value); });
    o.output("--report", "HTML page to write: the front as a picture, the path, and the fits on the front",
             c.fit.report);
  }
  {
    auto& c = line.study;
    auto o = add("study", "Run the paper's experiments on your models, with a verdict on each of its findings",
                 "  trimtab study paper --model gpt2/ --quick --out study/\n"
                 "  trimtab study paper --model gpt2 --task ioi --task ccc --out gpt2-study/ --plan\n"
                 "  trimtab study paper --model gpt2/ --task pairs.jsonl --out pairs-study/");
    const std::vector<std::string> studies = {"paper"};
    auto* const which = o.parsed(
        "study", "paper", "the experiments of the paper on activation scaling",
        [studies](const std::string& value) {
          if (value != "paper") refuse("the study", value, "paper", {studies.begin(), studies.end()});
        },
        true);
    o.offer(which, studies);
    o.repeated("--model", "PATH",
               "folder of a model, or OWNER/NAME[@REVISION] of one in the Hugging Face cache; may be given several "
               "times; default the embedded models",
               [&c](const std::string& value) { c.models.push_back(path_of("--model", value)); });
    o.repeated(
        "--task", "ioi|ccc|FILE",
        "generated prompts, or a file of prompt pairs in JSON Lines; may be given several times; default ioi and "
        "ccc",
        [&c](const std::string& value) { c.tasks.push_back(path_of("--task", value).string()); });
    o.parsed("--out", "DIR", "folder for everything, default study; a study that was interrupted goes on from there",
             [&c](const std::string& value) { c.out = path_of("--out", value); });
    o.flag("--quick", "few prompts, steps and seeds: every part in a few minutes", c.quick);
    o.flag("--plan", "tell the time and the memory that the study will take, and run nothing", c.plan);
    o.group("Size");
    o.count("--train", "train prompts of each seed, default 64", c.train, 2, task::prompt_limit);
    o.count("--test", "test prompts of each seed, default 64", c.test, 2, task::prompt_limit);
    o.count("--seeds", "how often prompts are drawn, default 3", c.seeds, 1, 1000);
    o.count("--steps", "optimizer steps of each fit, default 200", c.steps, 1, most_steps);
    o.count("--explained", "test prompts on which other methods rank the places, default 16", c.explained, 2,
            task::prompt_limit);
    o.parsed("--memory", "SIZE",
             "memory that the process may take, such as 500M or 2Gi; a fit that needs more is refused",
             [&c](const std::string& value) {
               bytes_of("--memory", value);
               c.memory = value;
             });
  }
  {
    auto& c = line.certify;
    auto o = add("certify", "Prove what can be proved of an intervention: is it a minimum, and is each place needed?",
                 "  trimtab certify --model gpt2/ --intervention ioi.safetensors --task ioi\n"
                 "  trimtab certify --model gpt2/ --intervention ioi.safetensors --data train.jsonl --target 0.9");
    add_model(o, c.model, line.common);
    o.file("--intervention", "intervention file", c.intervention, true);
    add_other_weights(o, line.common);
    add_data(o, c.data, line.common);
    add_objective(o, c.objective);
    add_retained(o, c.data.retain, c.objective);
    o.group("Options");
    o.real("--target",
           "share of the whole intervention's flip rate that fewer places must reach at every strength, "
           "default 0.95",
           c.target, 0, false);
    o.count("--subsets", "most places of which all subsets are measured, default 12", c.subsets, 0, 24);
    o.flag("--polish", "go on to a minimum of the objective first; minima are exact with --precision double", c.polish);
    add_bound(o, c.memory);
    o.output("--out", "intervention file to write what was polished to", c.out);
  }
  {
    auto& c = line.eval;
    auto o =
        add("eval", "Measure an intervention on prompt pairs",
            "  trimtab eval --model gpt2/ --intervention ioi.safetensors --task ioi\n"
            "  trimtab eval --model gpt2/ --intervention ioi.safetensors --data my-prompts.jsonl --strengths 2,-2");
    add_model(o, c.model, line.common);
    o.file("--intervention", "intervention file", c.intervention, true);
    add_other_weights(o, line.common);
    add_data(o, c.data, line.common);
    add_objective(o, c.objective);
    add_retained(o, c.data.retain, c.objective);
    o.group("Options");
    o.flag("--per-prompt", "with --json, add the figures of each prompt", c.per_prompt);
    o.output("--per-prompt-csv", "CSV file to write: the figures of each prompt at each strength", c.per_prompt_csv);
    add_bound(o, c.memory);
    o.flag("--plan", "tell the memory, operations and time that the evaluation will take, and measure nothing", c.plan);
  }
  {
    auto& c = line.task;
    auto o = add("task", "Write the prompts of a task as files of prompt pairs, with roles and corrupt prompts",
                 "  trimtab task ioi --model gpt2/ --out ioi/\n"
                 "  trimtab task ccc --model gpt2/ --train 256 --test 128 --seed 3 --only right --out ccc/\n"
                 "  trimtab task --data pairs.jsonl --model gpt2/ --train 32 --test 32 --out halves/");
    const std::vector<std::string> tasks = {"ioi", "ccc"};
    auto* const which = o.parsed("task", "ioi|ccc", "indirect objects (ioi) or country-capital conflicts (ccc)",
                                 [&c, tasks](const std::string& value) {
                                   if (std::ranges::find(tasks, value) == tasks.end())
                                     refuse("the task", value, "ioi or ccc");
                                   c.data.task = value;
                                 });
    o.offer(which, tasks);
    o.file("--data", "file of prompt pairs to draw from, in place of a task", c.data.train);
    add_model(o, c.model, line.common);
    o.count("--train", "number of train prompts, default 64", c.data.train_count, 0, task::prompt_limit);
    o.count("--test", "number of test prompts, default 64", c.data.test_count, 0, task::prompt_limit);
    o.count("--other-lengths", "number of test prompts of other lengths, default 64", c.other_lengths, 0,
            task::prompt_limit);
    add_shape(o, c.data);
    o.seed("seed of the prompts, default 1", c.data.seed);
    add_text(o, line.common);
    o.parsed(
        "--out", "DIR", "folder for train.jsonl, test.jsonl and other-lengths.jsonl",
        [&c](const std::string& value) { c.out = path_of("--out", value); }, true);
  }
  {
    auto& c = line.check;
    auto o = add("check", "Find what is wrong with prompt pairs: unreadable lines, contradictions, duplicates, ...",
                 "  trimtab check train.jsonl --model gpt2/\n"
                 "  trimtab check train.jsonl --test test.jsonl --model gpt2/ --json");
    o.file("data", "file of prompt pairs in JSON Lines", c.data, true);
    add_model(o, c.model, line.common);
    o.file("--test", "file of further prompt pairs, which should share none with the first", c.test);
    add_text(o, line.common);
  }
  {
    auto& c = line.loss;
    auto o =
        add("loss", "Compute the objective of an intervention on prompt pairs, and its gradient",
            "  trimtab loss --model gpt2/ --intervention ioi.safetensors --data train.jsonl --gradient g.safetensors");
    add_model(o, c.model, line.common);
    o.file("--intervention", "intervention file", c.intervention, true);
    add_other_weights(o, line.common);
    add_data(o, c.data, line.common);
    o.output("--gradient", "file to write the gradient of effectiveness and faithfulness to", c.gradient);
    add_objective(o, c.objective);
    add_retained(o, c.data.retain, c.objective);
  }
  {
    auto& c = line.explain;
    auto o = add("explain", "Score the places of a model by how far they decide the answer",
                 "  trimtab explain --model gpt2/ --task ioi --method patching --heatmap ioi.svg\n"
                 "  trimtab explain --model gpt2/ --data pairs.jsonl --method attribution-patching --per-head\n"
                 "  trimtab explain --model gpt2/ --task ioi --method all --curve --report ioi.html\n"
                 "  trimtab explain --model gpt2/ --task ioi --method attention --heads 9.6,9.9\n"
                 "  trimtab explain --model gpt2/ --task ccc --method logit-lens --json");
    add_model(o, c.model, line.common);
    o.word("--task", "the test prompts of indirect objects (ioi) or country-capital conflicts (ccc)", c.data.task,
           {"ioi", "ccc"});
    o.file("--data", "file of prompt pairs in JSON Lines, in place of --task", c.data.train);
    o.seed("seed of the task's prompts and of --ablate resample, default 1", c.data.seed);
    add_text(o, line.common);
    auto words = scoring_methods;
    words.insert(words.end(), {"attention", "all"});
    const auto* const methods = o.repeated(
        "--method", text::joined(words, "|"),
        "gradients (gradient, attribution-patching, integrated), exact runs (patching, ablation), what the stream "
        "already says (direct, logit-lens), or what heads look at (attention); may be given several times, to compare "
        "methods, and all is each that scores places",
        [&c, words](const std::string& value) {
          if (std::ranges::find(words, value) == words.end())
            refuse("--method", value, text::joined(words, "|"), {words.begin(), words.end()});
          c.all_methods = c.all_methods or value == "all";
          if (std::ranges::find(c.methods, value) == c.methods.end()) c.methods.push_back(value);
        },
        true);
    o.offer(methods, words);
    o.parsed("--heads", "L.H,...", "the heads of --method attention by layer and number, such as 5.1,9.6",
             [&](const std::string& value) { c.heads = heads_of(value); });
    const auto* const sites = o.parsed(
        "--sites", "SITE,...",
        "sites to score, default attn_out,mlp_out,resid_post; for direct attn_out,mlp_out, for logit-lens resid_post",
        [&](const std::string& value) { c.sites = sites_of(value); });
    o.offer(sites, names_of_sites(), true);
    o.parsed("--layers", "LAYERS", "layers to score, such as 4-11 or 0,2,5, default all",
             [&](const std::string& value) { c.chosen.layers = layers_of(value); });
    o.word("--positions",
           "which tokens are one place: those at the same position, counted from the first (absolute, default) or the "
           "last token (from_end), those of the same role, or all (shared)",
           c.positions, {"absolute", "from_end", "role", "shared"});
    o.parsed("--roles", "ROLE,...", "the roles that are places with --positions role, default all",
             [&](const std::string& value) { c.roles = items(value); });
    o.flag("--per-head", "score each head; adds the site attn_z unless --sites is given", c.chosen.per_head);
    using enum explain::metric_kind;
    o.choice("--metric",
             "what a run is measured by: the logit difference of the answers (default), the probability of the correct "
             "one, or the KL divergence from the clean run",
             c.chosen.metric, {{"logit-diff", logit_diff}, {"probability", probability}, {"kl", kl}});
    using enum explain::patch_direction;
    o.choice("--direction",
             "of patching and attribution-patching: clean activations into the corrupt run (denoising, default), or "
             "corrupt ones into the clean run (noising)",
             c.chosen.direction, {{"denoising", denoising}, {"noising", noising}});
    using enum explain::ablation_kind;
    o.choice(
        "--ablate",
        "what replaces activations in an ablation: zero (default), their mean over the prompts, or those of another "
        "prompt (resample)",
        c.chosen.ablate, {{"zero", zero}, {"mean", mean}, {"resample", resample}});
    o.count("--ig-steps", "runs of integrated between the corrupt and the clean embeddings, default 10", c.chosen.steps,
            1, 100'000);
    using enum explain::path_rule;
    o.choice("--ig-rule", "where these runs are, default midpoint", c.chosen.rule,
             {{"midpoint", midpoint}, {"left", left}, {"right", right}});
    o.repeated("--against", "PATH",
               "intervention file whose places the ranking is compared with, or the folder of a sweep with --path, "
               "whose places rank by when they entered; may be given several times",
               [&, &files = d.files](const std::string& value) {
                 c.against.push_back(path_of("--against", value));
                 files.inputs.push_back({"--against", c.against.back()});
               });
    add_other_weights(o, line.common);
    o.flag(
        "--curve",
        "measure how much of the answer is left if only the first places of the ranking keep their activations, on the "
        "half of the prompts that they were not ranked on",
        c.curve);
    o.file("--holdout",
           "file of prompt pairs to measure the curve on; places are then ranked on all of the other prompts",
           c.holdout);
    o.flag("--per-prompt", "with --json, add the scores of each prompt", c.per_prompt);
    o.parsed(
        "--memory", "SIZE",
        "memory that the process may take, such as 500M or 2Gi, but for the activations that --curve keeps; scores do "
        "not depend on it. Default: what the model takes and 1 GiB, or more where a single prompt needs more",
        [&](const std::string& value) { c.memory = bytes_of("--memory", value); });
    o.output("--report", "HTML page to write: what was asked, the figures, and a heat map of each site", c.report);
    o.heatmap(c.heatmap);
  }
  {
    auto& c = line.report;
    auto o =
        add("report", "Measure interventions and show them side by side on one HTML page",
            "  trimtab report --model gpt2/ --out ioi.html ioi.safetensors\n"
            "  trimtab report --model gpt2/ --task ioi --out three.html a.safetensors b.safetensors c.safetensors\n"
            "  trimtab report --model gpt2/ --heatmap ioi.svg ioi.safetensors");
    o.model(c.model);
    o.files("interventions", "intervention files", c.interventions);
    add_other_weights(o, line.common);
    add_data(o, c.data, line.common);
    o.output("--out", "HTML page to write", c.out);
    o.heatmap(c.heatmap);
  }
  {
    auto& c = line.logits;
    auto o = add("logits", "Print the logits of the next token",
                 "  trimtab logits --model gpt2/ --prompt \"The capital of France is\" --top 5\n"
                 "  trimtab logits --model gpt2/ --ids 464,3139 --intervention ioi.safetensors --strength -1");
    add_model(o, c.model, line.common);
    add_prompt(o, c.prompt, c.ids);
    add_text(o, line.common);
    add_steering(o, c.steer, line.common);
    o.flag("--all", "print the logits at every position, not only at the last", c.all);
    o.count("--top", "number of most probable tokens to show", c.top, 1, 1'000'000'000);
  }
  {
    auto& c = line.generate;
    auto o =
        add("generate", "Continue prompts, untouched or steered at several strengths",
            "  trimtab generate --model gpt2/ --prompt \"When Mary and John\" --max-new-tokens 20\n"
            "  trimtab generate --model gpt2/ --prompt \"I think\" --intervention i.safetensors --strengths 0,1,-1\n"
            "  trimtab generate --model gpt2/ --prompts texts.jsonl --temperature 0.8 --top-p 0.95 --samples 4 --json");
    add_model(o, c.model, line.common);
    add_prompt(o, c.prompt, c.ids);
    o.file("--prompts",
           "file of prompts in JSON Lines, in place of --prompt: strings, or objects as for --data, whose answers may "
           "be missing",
           c.prompts);
    add_text(o, line.common);
    add_steering(o, c.steer, line.common);
    o.parsed("--strengths", "X,X,...", "several strengths, in place of --strength; 0 is the untouched model",
             [&c](const std::string& value) {
               c.strengths.clear();
               for (const auto& item : items(value))
                 c.strengths.push_back(number_of<double>("--strengths", item, "strengths such as 0,1,-1"));
             });
    o.choice("--phase", "tokens that the intervention acts on: all (default), those of the prompt, or generated ones",
             c.positions.phase,
             {{"all", steered_phase::all}, {"prompt", steered_phase::prompt}, {"generated", steered_phase::generated}});
    o.flag("--as-processed",
           "treat each new token as the last one and leave earlier ones as they were, as libraries do that hook a "
           "key-value cache; by default positions keep their meaning while the text grows",
           c.positions.as_processed);
    o.group("Sampling");
    o.count("--max-new-tokens", "largest number of tokens to add, default 40", c.max_new_tokens, 0, 1'000'000'000);
    o.real("--temperature", "temperature of sampling; 0, the default, takes the most probable token", c.how.temperature,
           0);
    o.count("--top-k", "sample from the N most probable tokens", c.how.top_k, 1, 1'000'000'000);
    o.parsed("--top-p", "X", "sample from the most probable tokens that together have this probability",
             [&c](const std::string& value) {
               const std::string expected = "a number above 0 and at most 1";
               c.how.top_p = number_of<double>("--top-p", value, expected);
               if (not(c.how.top_p > 0 and c.how.top_p <= 1)) refuse("--top-p", value, expected);
             });
    o.count("--samples", "number of texts for each prompt and strength, default 1", c.samples, 1, 1'000'000);
    o.seed("seed of sampling, default 1", c.seed);
    o.repeated("--stop", "TEXT",
               "end a text before this, besides at the end tokens of the model's folder; may be repeated",
               [&c](const std::string& value) {
                 if (value.empty()) refuse("--stop", value, "a text");
                 c.stops.push_back(value);
               });
    o.flag("--logprobs", "with --json, print the log probability of each new token, before temperature",
           c.log_probabilities);
    o.flag("--perplexity", "print each text's perplexity under the untouched model: how much fluency steering costs",
           c.perplexity);
    o.file("--report", "HTML page to write: the texts beside the untouched ones, answers marked, with their perplexity",
           c.report);
  }
  {
    auto& c = line.bake;
    auto o = add("bake", "Write a model's folder with an intervention folded into its weights, at one strength",
                 "  trimtab bake --model gpt2/ --intervention ioi.safetensors --strength -1 --out gpt2-ioi/");
    add_model(o, c.model, line.common);
    o.file("--intervention", "intervention file", c.intervention, true);
    add_other_weights(o, line.common);
    o.real("--strength", "strength of the intervention, any finite number, default 1", c.strength, -INFINITY);
    o.parsed(
        "--out", "DIR", "folder to write, which must be new or empty",
        [&c](const std::string& value) { c.out = path_of("--out", value); }, true);
    using enum io::dtype;
    o.choice("--dtype", "type of the weights: as they are stored now (default), F64, F32, F16 or BF16", c.type,
             {{"stored", std::nullopt}, {"F64", f64}, {"F32", f32}, {"F16", f16}, {"BF16", bf16}});
  }
  {
    auto& c = line.export_to;
    auto o = add("export", "Write an intervention in another program's format",
                 "  trimtab export --intervention ioi.safetensors --format gguf --out ioi.gguf\n"
                 "  trimtab export --intervention ioi.safetensors --format hooks --out ioi-hooks.safetensors");
    o.file("--intervention", "intervention file", c.intervention, true);
    o.word(
        "--format",
        "control vector of llama.cpp (gguf), safetensors by the names of TransformerLens' hooks (hooks), or text (csv, "
        "json)",
        c.format, {"gguf", "hooks", "csv", "json"}, true);
    o.output("--out", "file to write", c.out, true);
  }
  {
    auto& c = line.import_from;
    auto o = add("import", "Make an intervention file of another program's vectors",
                 "  trimtab import --format gguf --from happy.gguf --model gpt2/ --out happy.safetensors\n"
                 "  trimtab import --format gguf --producer llama.cpp --from v.gguf --model gpt2/ --out v.safetensors");
    o.file("--from", "file to read", c.from, true);
    o.word("--format", "control vector of llama.cpp or repeng (gguf), or what trimtab export writes (hooks)", c.format,
           {"gguf", "hooks"}, true);
    o.word("--producer",
           "program that made a control vector: llama.cpp's own generator numbers its vectors one layer late, which is "
           "then undone; without it direction.N is for the output of block N, as llama.cpp and repeng apply it",
           c.producer, {"llama.cpp", "repeng"});
    add_model(o, c.model, line.common);
    add_other_weights(o, line.common);
    o.output("--out", "intervention file to write", c.out, true);
  }
  {
    auto o = add("tokenize", "Print the token ids of JSON strings that are read from standard input, one a line",
                 "  echo '\"When Mary and John\"' | trimtab tokenize --model gpt2/");
    o.model(line.tokenize.model);
    add_text(o, line.common);
  }
  {
    auto o = add("inspect", "Show what is in a model folder, an intervention file or another safetensors file",
                 "  trimtab inspect gpt2/\n  trimtab inspect ioi.safetensors");
    o.file("what", "file or folder, or OWNER/NAME[@REVISION] of a model in the Hugging Face cache", line.inspect.what,
           true);
  }
  for (auto* const command : app.get_subcommands({})) add_common(options_of(d, command), line.common);
  {
    auto o = add("help", "Show the options of a command, with examples",
                 "  trimtab help fit\n  trimtab help --man | man -l -");
    auto* const topic =
        o.parsed("command", "COMMAND", "command to explain", [&d](const std::string& value) { d.topic = value; });
    std::vector<std::string> names;
    for (const auto* command : commands_of(app)) names.push_back(command->get_name());
    o.offer(topic, names);
    o.flag("--man", "print the manual page of all commands, for man(1)", d.manual);
  }
  {
    auto o = add("completion", "Print a script that completes commands, options and values in a shell",
                 "  eval \"$(trimtab completion bash)\"     # in ~/.bashrc\n"
                 "  source <(trimtab completion zsh)       # in ~/.zshrc, after compinit\n"
                 "  trimtab completion fish | source       # in ~/.config/fish/config.fish");
    const std::vector<std::string> shells = {"bash", "fish", "zsh"};
    auto* const shell = o.parsed(
        "shell", "bash|fish|zsh", "the shell",
        [&d, shells](const std::string& value) {
          if (std::ranges::find(shells, value) == shells.end()) refuse("the shell", value, "bash, fish or zsh");
          d.shell = value;
        },
        true);
    o.offer(shell, shells);
  }
}

namespace {

/// The error for a command line that CLI11 refuses. An unknown option comes first: it is probably a typing error, and
/// the cause of whatever else is missing.
std::string complaint(const CLI::App& app, const CLI::ParseError& problem) {
  const auto chosen = app.get_subcommands();
  const auto& at = chosen.empty() ? app : *chosen.front();
  for (const auto& argument : app.remaining(true))
    if (argument.starts_with("--")) return "there is no option '" + argument + "'" + guess_for(at, argument);
  return problem.what();
}

/// The words of a command line, changed so that CLI11 reads them literally. Otherwise it takes the word after `--name=`
/// for the value, expands `[a,b]` and `{}` in a list of files, and takes a file called `fit` there for a command.
std::vector<std::string> spelt_out(const CLI::App& app, const std::vector<std::string>& given) {
  std::vector<std::string> words;
  const CLI::App* command = nullptr;
  bool value_follows = false, options_end = false;
  for (const auto& word : given) {
    words.push_back(word);
    if (std::exchange(value_follows, false)) continue;
    const bool is_option = not options_end and word.starts_with('-') and word != "-";
    if (not is_option and command == nullptr) {
      command = command_of(app, word);
    } else if (not is_option) {
      if (takes_list(*command)) words.back().insert(0, 1, is_listed);
    } else if (const auto equals = word.find('='); word == "--") {
      options_end = true;
    } else if (const auto* option = option_of(command ? *command : app, word.substr(0, equals)); option != nullptr) {
      const bool has_nothing = equals == word.size() - 1;
      if (has_nothing and not takes_value(option))
        throw usage_error(word.substr(0, equals) + " takes no value; leave out the '='");
      if (has_nothing) words.back().pop_back(), words.emplace_back();
      value_follows = takes_value(option) and equals == word.npos;
    }
  }
  return words;
}

/// The text of `trimtab help`. `overview` is made before parsing: after it has read a command, CLI11 gives the help of
/// that command instead.
std::string help_of(const description& d, const std::string& overview) {
  if (d.manual) return manual_page(d.app);
  if (d.topic.empty()) return overview;
  const auto* const command = command_of(d.app, d.topic);
  if (command == nullptr) throw usage_error("there is no command '" + d.topic + "'" + guess_for(d.app, d.topic));
  return command->help("trimtab");
}

/// Throws `usage_error` for options that do not go together.
void require_consistent(const generate_command& c) {
  if (int{c.prompt.has_value()} + int{not c.ids.empty()} + int{not c.prompts.empty()} != 1)
    throw usage_error("give one of --prompt, --ids and --prompts");
  if (c.steer.strength and not c.strengths.empty()) throw usage_error("give either --strength or --strengths");
  if (not c.steer.intervention.empty()) return;
  if (not c.strengths.empty()) throw usage_error("--strengths goes with --intervention");
  if (c.positions.phase != steered_phase::all) throw usage_error("--phase goes with --intervention");
  if (c.positions.as_processed) throw usage_error("--as-processed goes with --intervention");
}

/// Throws for options of `explain` that do not belong to the methods; `all` becomes their names.
void take_methods(explain_command& command, const CLI::App& app) {
  auto& methods = command.methods;
  const auto has = [&](const std::string& method) { return std::ranges::find(methods, method) != methods.end(); };
  if (command.all_methods) {
    const bool attends = has("attention");
    methods = scoring_methods;
    if (attends) methods.push_back("attention");
  }
  const auto given = [&](const char* option) { return app.get_option(option)->count() > 0; };
  if (has("attention")) {
    if (methods.size() > 1) throw usage_error("attention scores no places; leave out the other --method");
    if (command.heads.empty()) throw usage_error("--method attention needs --heads, such as 5.1,9.6");
    for (const auto* option : {"--sites", "--layers", "--positions", "--roles", "--per-head", "--metric", "--against",
                               "--curve", "--holdout"})
      if (given(option)) throw usage_error(std::string(option) + " does not go with --method attention");
  } else if (not command.heads.empty()) {
    throw usage_error("--heads goes with --method attention");
  }
  const auto belongs = [&](const char* option, const std::vector<std::string>& owners) {
    if (given(option) and std::ranges::none_of(owners, has))
      throw usage_error(std::string(option) + " goes with --method " + text::joined(owners, " or "));
  };
  belongs("--direction", {"patching", "attribution-patching"});
  belongs("--ablate", {"ablation"});
  belongs("--ig-steps", {"integrated"});
  belongs("--ig-rule", {"integrated"});
  if (not command.roles.empty() and command.positions != "role")
    throw usage_error("--roles goes with --positions role");
  if (not command.holdout.empty()) command.curve = true;
}

/// Throws `usage_error` for options that do not go with the method; vectors by statistics are the default of theirs.
void take_method(fit_command& c, const CLI::App& app) {
  const bool by_statistics = c.method != "gradient";
  if (c.positive.empty() != c.negative.empty()) throw usage_error("--positive and --negative go together");
  if (not by_statistics and not c.positive.empty())
    throw usage_error("--positive and --negative go with --method mean-difference or pca");
  if (not by_statistics) return;
  for (const auto* option :
       {"--lr", "--warmup", "--cosine", "--steps", "--epochs", "--batch-size", "--chunk", "--subgradient", "--init",
        "--polish", "--plan", "--retain", "--trace", "--checkpoint", "--resume"})
    if (app.get_option(option)->count() > 0) throw usage_error(std::string(option) + " goes with --method gradient");
  if (app.get_option("--policy")->count() == 0) c.policy = policy::steer_vec::text;
}

}  // namespace

command_line parse(int argc, const char* const* argv) {
  command_line line;
  description d;
  describe(d, line);
  CLI::App& app = d.app;
  const auto overview = app.help();

  const std::string first = argc > 1 ? argv[1] : "-";
  if (first == "__complete") {
    line.help = completions(d, {argv + 2, argv + argc});
    return line;
  }
  if (command_of(app, first) == nullptr and not first.starts_with('-'))
    throw usage_error("there is no command '" + first + "'" + guess_for(app, first));
  const auto words = spelt_out(app, with_like(d, {argv + std::min(argc, 1), argv + argc}, line.fit.changed));
  try {
    app.parse(std::vector(words.rbegin(), words.rend()));
  } catch (const CLI::CallForVersion&) {
    line.help = "trimtab " + std::string(version) + "\n";
    return line;
  } catch (const CLI::Success&) {
    line.help = app.help();
    return line;
  } catch (const CLI::ParseError& problem) {
    throw usage_error(complaint(app, problem));
  }

  const auto name = app.get_subcommands().front()->get_name();
  if (name == "help" or name == "completion") {
    line.help = name == "help" ? help_of(d, overview) : completion_script(d.shell);
    return line;
  }
  line.name = name;
  fit_command* const fits = line.name == "fit" ? &line.fit : line.name == "sweep" ? &line.sweep.fit : nullptr;
  if (fits != nullptr) {
    require_data(fits->data, d.files);
    fits->given = given_in(d, *command_of(app, name));
    fits->command = name;
  }
  for (const auto& [command, file] :
       {std::pair("fit", &line.fit.data.retain), std::pair("eval", &line.eval.data.retain),
        std::pair("loss", &line.loss.data.retain), std::pair("sweep", &line.sweep.fit.data.retain)})
    if (name == command and file->empty() and command_of(app, name)->get_option("--lambda-r")->count() > 0)
      throw usage_error("--lambda-r goes with --retain, the file of the prompts that are to stay as they are");
  if (line.name == "fit") take_method(line.fit, *command_of(app, "fit"));
  if (line.name == "certify") {
    require_data(line.certify.data, d.files);
    if (not line.certify.out.empty() and not line.certify.polish)
      throw usage_error("--out goes with --polish, which changes the intervention");
    for (const auto* option : {"--lambda-f", "--lambda-m", "--margin", "--psi", "--kl", "--kl-direction",
                               "--minimality", "--strengths", "--lambda-r"})
      if (command_of(app, "certify")->get_option(option)->count() > 0) line.certify.given.insert(option);
  }
  if (line.name == "eval") require_data(line.eval.data, d.files);
  if (line.name == "loss") {
    require_data(line.loss.data, d.files);
    if (not line.loss.data.test_text.empty()) throw usage_error("loss is of train prompts; leave out --test");
  }
  if (line.name == "task") {
    auto& data = line.task.data;
    if (data.task.empty() == data.train.empty())
      throw usage_error("prompts come either from a task, ioi or ccc, or from --data; give one of the two");
    if (data.task.empty() and data.shape.is_chosen())
      throw usage_error("--templates and --lengths go with a task, not with --data");
  }
  if (line.name == "explain") {
    require_data(line.explain.data, d.files);
    take_methods(line.explain, *command_of(app, "explain"));
  }
  if (line.name == "report") {
    auto& data = line.report.data;
    if (not data.task.empty() or not data.train.empty() or not data.test_text.empty()) require_data(data, d.files);
    if (line.report.out.empty() and line.report.heatmap.file.empty())
      throw usage_error("report needs --out PAGE.html, --heatmap FILE, or both");
  }
  if (line.name == "fit" and line.fit.size.epochs > 0 and command_of(app, "fit")->get_option("--steps")->count() == 0)
    line.fit.steps = most_steps;  // the epochs end the fit
  if (fits != nullptr and not fits->at.empty())
    for (const auto* option :
         {"--policy", "--sites", "--layers", "--positions", "--roles", "--no-bias", "--gate", "--inner", "--rank"})
      if (command_of(app, line.name)->get_option(option)->count() > 0)
        throw usage_error(std::string("--at replaces ") + option + "; give only one of the two");
  if (fits != nullptr and line.sweep.policies.empty())
    for (const auto& [option, value] : fits->variant)
      if (policy::values_of(fits->policy, option).empty()) {
        std::vector<std::string> owners;
        for (const auto& one : policy_words())
          if (not policy::values_of(one, option).empty()) owners.push_back(one);
        throw usage_error((option == "bias" ? "--no-bias" : "--" + option) + " goes with --policy " +
                          text::joined(owners, " or ") + "; " + fits->policy + " has no such option");
      }
  if (fits != nullptr and not fits->roles.empty() and fits->positions != "role")
    throw usage_error("--roles goes with --positions role");
  if (line.name == "sweep") {
    const auto& c = line.sweep;
    if (command_of(app, "sweep")->get_option("--init-seed")->count() > 0)
      throw usage_error("in a sweep the seed of the data is that of --init, too; leave out --init-seed");
    if (not fits->at.empty() and not(c.policies.empty() and c.positions.empty()))
      throw usage_error(
          "--at says which policies and positions there are; leave out --vary policy and --vary positions");
    if (c.path_values > 0 and not c.axes.lambda_m.empty())
      throw usage_error("--path varies the weight of minimality; leave out --vary lambda-m");
    if (c.path_values > 0 and not(c.axes.steps.empty() and c.axes.start.empty() and fits->init == 0))
      throw usage_error("a path starts from the identity and ends its fits itself; leave out --vary start and steps");
    if (c.path_values > 0 and c.path_end >= 1)
      throw usage_error("--path-end is a share of the largest weight, below 1");
    if (not c.holdout.empty() and not fits->data.task.empty())
      throw usage_error("--holdout goes with --data; a task has fresh prompts of its own");
  }
  if (line.name == "fit" and line.fit.checkpoint.empty() and
      line.fit.checkpoint_every != fit_command{}.checkpoint_every)
    throw usage_error("--checkpoint-every goes with --checkpoint, the file to write");
  for (const auto& steer : {line.logits.steer, line.generate.steer})
    if (steer.strength and steer.intervention.empty()) throw usage_error("--strength goes with --intervention");
  if (line.name == "generate") require_consistent(line.generate);
  using enum arithmetic;
  const auto precision = line.common.precision;
  if (line.common.backend == machine::eigen and (precision == in_tf32 or precision == in_bf16))
    throw usage_error("--precision " + precision_name(precision) + " goes with --backend cuda");
  if (line.common.backend == machine::cuda and precision == in_double)
    throw usage_error("--precision double goes with --backend eigen; cuda computes in float, tf32 or bf16");
  if (const auto weights = line.common.weights;
      line.common.backend == machine::cuda and (weights == weight_type::float16 or weights == weight_type::bfloat16))
    throw usage_error("--weights float16 and bfloat16 go with --backend eigen; --precision bf16 is cuda's");
  if (line.name == "bake" and line.common.weights != weight_type::as_in_file)
    throw usage_error("bake reads the weights as they are stored; --dtype says in which type it writes them");
  if (line.name == "bake" and (line.common.backend == machine::cuda or precision != in_float))
    throw usage_error("bake computes in double on the CPU; leave out --backend and --precision");
  if (not line.import_from.producer.empty() and line.import_from.format != "gguf")
    throw usage_error("--producer goes with --format gguf");
  if (line.name == "logits" and line.logits.prompt.has_value() != line.logits.ids.empty())
    throw usage_error("give either --prompt or --ids");
  for (const auto& [picture, command] :
       {std::pair(&line.fit.heatmap, "fit"), std::pair(&line.explain.heatmap, "explain"),
        std::pair(&line.report.heatmap, "report")})
    if (line.name == command and picture->width and picture->file.empty())
      throw usage_error("--heatmap-width goes with --heatmap, the file to write");
  require_own_files(d.files);
  return line;
}

}  // namespace trimtab::cli
