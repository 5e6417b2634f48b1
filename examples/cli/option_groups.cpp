// SPDX-License-Identifier: Apache-2.0

#include "option_groups.hpp"

#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <cmath>

namespace trimtab::cli {

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

void add_prompt(options_of o, std::optional<std::string>& prompt, std::vector<int>& ids) {
  o.parsed("--prompt", "TEXT", "the text to continue", [&](const std::string& value) { prompt = value; });
  o.parsed("--ids", "N,N,...", "token ids to continue, in place of --prompt", [&](const std::string& value) {
    ids.clear();
    for (const auto& item : items(value)) ids.push_back(number_of<int>("--ids", item, "token ids such as 1,2,3"));
  });
}

void add_shape(options_of& o, data_options& to) {
  o.parsed("--templates", "N,N,...",
           "with --task the templates to fill, by their number; default all of the usual length",
           [&to](const std::string& value) {
             to.shape.templates.clear();
             for (const auto& item : items(value))
               to.shape.templates.push_back(number_of<int>("--templates", item, "numbers of templates such as 0,3"));
           });
  o.parsed("--lengths", "N,N,...|all",
           "with --task the numbers of tokens of the prompts, or all lengths mixed; default the most common one",
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

void add_objective(options_of o, objective_options& to, bool takes_share) {
  o.group("Objective");
  const auto standard = [&](const std::string& value) {
    return takes_share ? ", default " + value : std::string(", default that of the fit");
  };
  o.real("--lambda-f", "weight of faithfulness" + standard("1"), to.lambda_f, 0);
  if (takes_share)
    o.parsed("--lambda-m", "X|Xmax",
             "weight of minimality; 0.01max, the default, is a share of the weight from which on nothing is learned; "
             "for policies "
             "that do not start at the untouched model, a number that suits the policy",
             [&to](const std::string& value) {
               const std::string expected = "a number that is not negative, or such a share of the largest, 0.01max";
               const bool is_share = value.ends_with("max");
               const auto x =
                   number_of<double>("--lambda-m", value.substr(0, value.size() - (is_share ? 3 : 0)), expected);
               if (x < 0) refuse("--lambda-m", value, expected);
               to.lambda_m = is_share ? std::nullopt : std::optional(x);
               to.lambda_m_share = is_share ? std::optional(x) : std::nullopt;
             });
  else
    o.real("--lambda-m", "weight of minimality" + standard("the policy's"), to.lambda_m, 0);
  o.real("--lambda-n",
         "weight of norm preservation, how much interventions change the length of activations" + standard("0"),
         to.lambda_n, 0);
  o.real("--margin", "margin of effectiveness" + standard("1"), to.margin, -INFINITY);
  o.choice("--psi", "shape of effectiveness" + standard("hinge"), to.psi, psi_words);
  o.choice("--kl",
           "vocabulary of faithfulness: without the two answers (masked) or with them (full)" + standard("masked"),
           to.kl, kl_words);
  o.choice("--kl-direction", "direction of the KL divergence; forward is KL(untouched, steered)" + standard("forward"),
           to.kl_direction, kl_direction_words);
  o.choice("--minimality",
           "norm of the parameters: sum or mean of absolute values, or one norm a place (group)" + standard("sum"),
           to.minimality, minimality_words);
  o.parsed("--strengths", "X,X,...", "strengths of the objective" + standard("1,-1"), [&to](const std::string& value) {
    to.strengths.clear();
    for (const auto& item : items(value)) {
      const auto beta = number_of<double>("--strengths", item, "a list of numbers such as 1,-1");
      if (std::ranges::find(to.strengths, beta) != to.strengths.end())
        refuse("--strengths", value, "different numbers");
      to.strengths.push_back(beta);
    }
  });
}

void add_retained(options_of o, path& file, objective_options& to, bool of_a_fit) {
  o.group("Objective");
  o.file("--retain",
         "file of prompts, as for generate --prompts, whose next token is to stay as it is" +
             std::string(of_a_fit ? ", default that of the fit" : ""),
         file);
  o.real("--lambda-r",
         "weight of retention, the KL divergence over all tokens on the prompts of --retain, default " +
             std::string(of_a_fit ? "that of the fit" : "1"),
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
  o.real("--lr", "learning rate; default that of the policy, with several policies the smallest of theirs",
         c.learning_rate, 0, false);
  o.count("--steps", "optimizer steps, default 200", c.steps, 1, most_steps);
  o.flag("--subgradient", "add minimality to Adam's gradient instead of taking a proximal step", c.subgradient);
}

void add_bound(options_of o, size_options& to, const std::string& what) {
  o.parsed("--memory", "SIZE",
           "memory that the process may take, such as 500M or 2Gi; a " + what +
               " that needs more is refused. Default: 80 % of what is available",
           [&to](const std::string& value) { to.memory = bytes_of("--memory", value); });
  o.flag("--plan", "tell the memory, operations and time that the " + what + " will take, and fit nothing", to.plan);
}

void add_bound(options_of o, std::optional<index_t>& memory) {
  o.parsed("--memory", "SIZE",
           "memory that the process may take, such as 500M or 2Gi; no figure depends on it. Default: 80 % of what is "
           "available",
           [&memory](const std::string& value) { memory = bytes_of("--memory", value); });
}

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

}  // namespace trimtab::cli
