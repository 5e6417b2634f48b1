// SPDX-License-Identifier: Apache-2.0

#include "describe.hpp"

#include "option_groups.hpp"

#include <trimtab/core/version.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <cmath>

namespace trimtab::cli {

namespace {

/// A model with an intervention from a file, prompts, and the objective that both are weighed by.
void add_saved_fit(options_of o, auto& command, common_options& how) {
  add_model(o, command.model, how);
  o.file("--intervention", "intervention file", command.intervention, true);
  add_other_weights(o, how);
  add_data(o, command.data, how);
  add_objective(o, command.objective);
  add_retained(o, command.data.retain, command.objective, true);
}

void add_polish_steps(options_of o, index_t& most) {
  o.count("--polish-steps",
          "largest number of steps of --polish; default as many as it takes, up to 2000 for each of six smoothings of "
          "the hinge",
          most, 1, most_steps);
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
    o.flag("--polish",
           "go on from Adam's end to a minimum, for as many steps as it takes, which --plan does not count; exact with "
           "--precision double",
           c.polish);
    add_polish_steps(o, c.polish_steps);
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
               "takes shares of the largest weight that matters, such as 0.1max,0.01max or 0.1max..0.001max:5",
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
    o.folder("--out", "folder for every finished fit; a sweep that was interrupted goes on from there", c.out);
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
    o.folder("--out", "folder for everything, default study; a study that was interrupted goes on from there", c.out);
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
    add_saved_fit(o, c, line.common);
    o.group("Options");
    o.real("--target",
           "share of the whole intervention's flip rate that fewer places must reach at every strength, "
           "default 0.95",
           c.target, 0, false);
    o.count("--subsets", "most places of which all subsets are measured, default 12", c.subsets, 0, 24);
    o.flag("--polish", "go on to a minimum of the objective first; minima are exact with --precision double", c.polish);
    add_polish_steps(o, c.polish_steps);
    add_bound(o, c.memory);
    o.output("--out", "intervention file to write what was polished to", c.out);
  }
  {
    auto& c = line.eval;
    auto o =
        add("eval", "Measure an intervention on prompt pairs",
            "  trimtab eval --model gpt2/ --intervention ioi.safetensors --task ioi\n"
            "  trimtab eval --model gpt2/ --intervention ioi.safetensors --data my-prompts.jsonl --strengths 2,-2");
    add_saved_fit(o, c, line.common);
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
    o.folder("--out", "folder for train.jsonl, test.jsonl and other-lengths.jsonl", c.out, true);
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
    add_saved_fit(o, c, line.common);
    o.output("--gradient", "file to write the gradient of the objective without minimality to", c.gradient);
    add_bound(o, c.memory);
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
    o.count("--test", "with --task the number of prompts, default 64", c.data.test_count, 1, task::prompt_limit);
    add_shape(o, c.data);
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
        "not depend on it. Default: what the model takes and 1 GiB, or more where a single prompt needs more; 80 % "
        "of what is available where that is less",
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
    o.output("--report",
             "HTML page to write: the texts beside the untouched ones, answers marked, with their perplexity",
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
    o.folder("--out", "folder to write, which must be new or empty", c.out, true);
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

}  // namespace trimtab::cli
