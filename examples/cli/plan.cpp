// SPDX-License-Identifier: Apache-2.0

#include "plan.hpp"

#include "asked.hpp"
#include "data.hpp"
#include "memory.hpp"
#include "objective_of_file.hpp"
#include "talk.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/io/huggingface/hub_cache.hpp>
#include <trimtab/io/huggingface/weight_memory.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/text.hpp>
#include <trimtab/train/sweep.hpp>
#include <trimtab/train/tree_sum.hpp>
#include <trimtab/trimtab.hpp>  // whole, so that products are those of the library

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace trimtab::cli {

namespace {

/// The part of a peak of products that a step reaches, attention and row functions included.
constexpr double share_of_peak = 0.75;

/// Bytes of a model's weights in memory. Reads the folder's headers alone.
index_t bytes_of_weights(const path& model, const common_options& common) {
  const path folder = io::model_path(model);
  return common.precision == arithmetic::in_double ? io::bytes_in_memory<double>(folder, common.weights)
                                                   : io::bytes_in_memory<float>(folder, common.weights);
}

template <typename T>
fit_plan plan_in(const fit_command& command, index_t weights, const model_config& config,
                 const parameter_layout& layout, std::span<const prompt_pair> prompts) {
  const auto& strengths = command.objective.strengths;
  const index_t chunk =
      command.size.chunk > 0 ? command.size.chunk : usual_chunk<T>(config, layout, prompts, strengths);
  return plan_of_fit<T>(config, layout, prompts, strengths, chunk, command.size.batches,
                        steps_of(command, std::ssize(prompts)), weights, command.objective.hook_terms());
}

fit_plan plan_of(const fit_command& command, const common_options& common, index_t weights, const model_config& config,
                 const parameter_layout& layout, std::span<const prompt_pair> prompts) {
  return common.precision == arithmetic::in_double ? plan_in<double>(command, weights, config, layout, prompts)
                                                   : plan_in<float>(command, weights, config, layout, prompts);
}

/// λ_max takes a step of all prompts.
double flops_of_lambda_max(fit_command command, const common_options& common, const model_config& config,
                           const parameter_layout& layout, std::span<const prompt_pair> prompts) {
  command.steps = 1;
  command.size.epochs = 0;
  command.size.batches = {};
  return plan_of(command, common, 0, config, layout, prompts).flops;
}

/// "3.1 s", "12 min", "5.5 h"
std::string duration(double seconds) {
  if (seconds < 100) return report::number(seconds, 1) + " s";
  return seconds < 6000 ? report::number(seconds / 60, 0) + " min" : report::number(seconds / 3600, 1) + " h";
}

/// Floating-point operations that products of so many rows make in a second here, with the threads that were asked for.
/// The matrices together take 64 MB, so that few rows wait for the memory, as they do in a model; where a last cache
/// holds them all, the time of few rows comes out too short.
template <typename T>
double measured_rate(index_t rows, int threads) {
  const eigen_backend<T> cpu(threads > 0 ? threads : eigen::available_threads());
  constexpr index_t size = 1024, most_rows = 192;
  constexpr std::size_t least_turns = 5;
  constexpr double least_seconds = 0.25;  // the rate of a moment is too uncertain on a machine that others share
  rows = std::clamp<index_t>(rows, 1, most_rows);
  host_matrix<T> numbers(size, size);
  std::ranges::fill(numbers.values, T(0.1));  // which takes all of T's digits, as weights do
  std::vector<typename eigen_backend<T>::linear> maps;
  for (int k = 0; k < 16; ++k) maps.push_back(cpu.prepare(numbers.view(), {}));
  auto from = cpu.allocate(rows * size), to = cpu.allocate(rows * size);
  std::vector<double> seconds;
  const auto turn = [&] {
    const stopwatch watch;
    for (const auto& map : maps) cpu.multiply(map, from.view(rows, size), to.view(rows, size));
    return watch.seconds();
  };
  turn();  // touches the memory
  for (const stopwatch all; seconds.size() < least_turns or all.seconds() < least_seconds;) seconds.push_back(turn());
  const auto middle = seconds.begin() + std::ssize(seconds) / 2;
  std::ranges::nth_element(seconds, middle);
  return 2.0 * static_cast<double>(rows * size * size) * static_cast<double>(maps.size()) / *middle;
}

/// `rows` of a pass, all strengths together.
double seconds_of(double flops, index_t rows, const common_options& common) {
  const double rate = common.precision == arithmetic::in_double ? measured_rate<double>(rows, common.threads)
                                                                : measured_rate<float>(rows, common.threads);
  return flops / (share_of_peak * rate);
}

std::string size_text(index_t bytes) { return bytes_text(static_cast<double>(bytes)); }

ordered_json memory_json(const fit_plan& plan) {
  auto memory = ordered_json::object();
  for (const auto& [part, bytes] : plan.memory) memory[part] = bytes;
  return memory;
}

std::string memory_text(const fit_plan& plan) {
  std::string text = "memory: " + size_text(plan.bytes());
  for (const auto& [part, bytes] : plan.memory)
    text += (part == plan.memory.front().first ? " (" : ", ") + part + " " + size_text(bytes);
  return text + ")\n";
}

std::string work_text(index_t steps, double flops, double seconds) {
  return report::counted(static_cast<std::size_t>(steps), "step") + ", " + report::number(flops / 1e12, 3) +
         " Tflop, about " + duration(seconds) + " on the CPU of this machine\n";
}

std::string touched_text(const fit_plan& plan) {
  std::string text;
  for (const auto& [site, layers] : plan.touched) {
    text += site + ": tokens touched, by layer:";
    for (index_t tokens : layers) text += " " + std::to_string(tokens);
    text += "\n";
  }
  return text;
}

/// A line where the plan is beyond the bound.
std::string complaint_of(const fit_plan& plan, const std::optional<index_t>& memory, const std::string& what) {
  const index_t bound = memory_bound(memory);
  if (plan.bytes() <= bound) return {};
  return "that is more than the " + size_text(bound) + " that the " + what + " may take\n";
}

}  // namespace

index_t steps_of(const fit_command& command, index_t prompts) {
  if (command.size.epochs == 0) return command.steps;
  return std::min(command.steps, command.size.epochs * command.size.batches.an_epoch(prompts));
}

output plan_eval(const eval_command& command, const common_options& common) {
  const auto folder = open_folder(command.model, common);
  const auto& config = folder->config();
  const auto file = io::read_intervention(command.intervention);
  require_fits(file, config, {}, "'" + command.intervention.string() + "'");
  const auto sets =
      read_data(*folder, command.data, seed_of(command.data, file, command.intervention), file.keys(), "data");
  const auto stays =
      retained_in_fit(file, command.intervention, command.data.retain, command.objective, unsaid::has_its_default);
  const auto retained = read_retained(*folder, stays, file.keys(), sets.front().pairs);
  const auto layout = lay_out(config, chosen_in(file))->layout(sets.front().pairs);
  const auto strengths =
      std::ssize(objective_of(file, command.intervention, command.objective, unsaid::has_its_default).strengths);
  const index_t weights = bytes_of_weights(command.model, common), program = memory_of_program();
  const index_t left = memory_bound(command.memory) - weights - program;
  const index_t first = first_layer_of_pass(layout, config);
  fit_plan plan{.memory = {{"weights", weights}}};
  index_t largest = 0;
  std::size_t prompts = 0;
  const bool in_double = common.precision == arithmetic::in_double;
  const auto fits = in_double ? &prompts_that_fit<double> : &prompts_that_fit<float>;
  const auto bytes = in_double ? &bytes_of_evaluation<double> : &bytes_of_evaluation<float>;
  const auto add = [&](std::span<const prompt_pair> rest, double times) {
    prompts += rest.size();
    while (not rest.empty()) {
      std::size_t count = 1;  // where not even one fits, the complaint says so
      if (bytes(config, layout, 1, std::ssize(rest.front().ids), strengths) <= left)
        count =
            static_cast<std::size_t>(fits(config, layout, rest, strengths, evaluate_options{}.prompts_at_once, left));
      const auto texts = with_continuations(rest.first(count));
      index_t tokens = 0;
      for (const prompt_pair& text : texts) {
        const index_t length = std::ssize(text.ids);
        tokens += length;
        plan.flops += times * 2 *
                      (multiply_adds(config, length, 0, 0) +
                       static_cast<double>(strengths) * multiply_adds(config, length, 0, first) +
                       static_cast<double>((1 + strengths) * config.width * config.vocabulary));
      }
      plan.rows = std::max(plan.rows, tokens * strengths);
      largest = std::max(largest, bytes(config, layout, std::ssize(texts), tokens, strengths));
      rest = rest.subspan(count);
    }
  };
  for (const auto& set : sets) add(set.pairs, 2);  // once for the figures, once for the terms of the objective
  const auto measured = std::ranges::count_if(sets, [](const auto& set) { return not set.pairs.empty(); });
  add(retained, 1 + static_cast<double>(measured));  // alone, and in the objective of each set
  plan.memory.emplace_back("activations", largest);
  plan.memory.emplace_back("program", program);
  plan.touched = touched_by(layout, sets.front().pairs, config);
  const double seconds = seconds_of(plan.flops, plan.rows, common);

  output found;
  found.json["rows"] = plan.rows;
  found.json["memory"] = memory_json(plan);
  found.json["flops"] = plan.flops;
  found.json["seconds"] = seconds;
  found.json["touched"] = plan.touched;
  found.text = report::counted(prompts, "prompt") + ", at most " + std::to_string(plan.rows) + " rows in a pass\n" +
               memory_text(plan) + "about " + duration(seconds) + " on the CPU of this machine\n" + touched_text(plan) +
               complaint_of(plan, command.memory, "evaluation");
  return found;
}

output plan_fit(const fit_command& given, const common_options& common) {
  const auto folder = open_folder(given.model, common);
  const auto command = with_sites(given, folder->config());
  const auto asked = asked_by(command);
  const auto sets = read_data(*folder, command.data, command.data.seed.value_or(1), keys_of(asked));
  auto train = sets.front().pairs;
  train = with_retained(train, read_retained(*folder, command.data.retain, keys_of(asked), train));
  const auto unread = lay_out(folder->config(), chosen_for(asked, sets.front().pairs));
  const auto layout = unread->layout(train);
  const index_t weights = bytes_of_weights(command.model, common);
  fit_plan plan = plan_of(command, common, weights, folder->config(), layout, train);
  if (share_of_largest(command.objective, *unread))
    plan.flops += flops_of_lambda_max(command, common, folder->config(), layout, train);
  plan.memory.emplace_back("program", memory_of_program());
  const double seconds = seconds_of(plan.flops, plan.rows / plan.chunks, common);
  const index_t steps = steps_of(command, std::ssize(train));

  output found;
  found.json["rows"] = plan.rows;
  found.json["chunk"] = plan.chunk;
  found.json["chunks"] = plan.chunks;
  found.json["steps"] = steps;
  found.json["memory"] = memory_json(plan);
  found.json["flops"] = plan.flops;
  found.json["seconds"] = seconds;
  found.json["touched"] = plan.touched;

  found.text = report::counted(train.size(), "prompt") + ", " + std::to_string(plan.rows) + " rows in a step, in " +
               report::counted(static_cast<std::size_t>(plan.chunks), "chunk") + " of at most " +
               report::counted(static_cast<std::size_t>(plan.chunk), "prompt") + "\n" + memory_text(plan) +
               work_text(steps, plan.flops, seconds);
  found.text += touched_text(plan) + complaint_of(plan, command.size.memory, "fit");
  return found;
}

index_t bytes_of_pass(const sweep_command& command, index_t beside) {
  return std::clamp<index_t>(memory_bound(command.fit.size.memory) - beside, 0, sweep_options{}.bytes);
}

output plan_sweep(const sweep_command& command, const common_options& common) {
  const auto folder = open_folder(command.fit.model, common);
  const index_t weights = bytes_of_weights(command.fit.model, common), program = memory_of_program();
  const index_t most = bytes_of_pass(command, weights + program);
  const auto part = [](const fit_plan& plan, const std::string& name) {
    return std::ranges::find(plan.memory, name, [](const auto& p) { return p.first; })->second;
  };
  fit_plan largest;  // of the pass that takes most
  std::size_t points = 0, passes = 0;
  const index_t in_a_row = std::max<index_t>(1, command.path_values);  // fits of a path, one after another
  index_t steps = 0;
  double flops = 0;
  for (const fit_command& fit : compositions_of(command, folder->config())) {
    const auto asked = asked_by(fit);
    std::map<std::pair<std::uint64_t, index_t>, fit_plan> plans;  // by seed and steps
    std::set<std::uint64_t> seeds;                                // whose λ_max is counted
    std::vector<const fit_plan*> of_points;
    std::vector<pass_size> sizes;
    std::vector<index_t> steps_of_points;
    for (const fit_settings& at : grid(command.axes, {.steps = fit.steps, .seed = command.fit.data.seed.value_or(1)})) {
      const auto [found, is_new] = plans.try_emplace({at.seed, at.steps});
      if (is_new) {
        const auto sets = read_data(*folder, fit.data, at.seed, keys_of(asked));
        auto train = sets.front().pairs;
        const auto chosen = chosen_for(asked, train);
        train = with_retained(train, read_retained(*folder, fit.data.retain, keys_of(asked), train));
        fit_command one = fit;
        one.steps = at.steps;
        const auto unread = lay_out(folder->config(), chosen);
        const auto layout = unread->layout(train);
        found->second = plan_of(one, common, weights, folder->config(), layout, train);
        const bool in_shares =
            command.lambda_m_of_max or command.path_values > 0 or
            (command.axes.lambda_m.empty() and share_of_largest(command.fit.objective, *unread).has_value());
        if (in_shares and seeds.insert(at.seed).second)
          flops += flops_of_lambda_max(one, common, folder->config(), layout, train);
      }
      const fit_plan& plan = found->second;
      of_points.push_back(&plan);
      sizes.push_back({part(plan, "activations") + part(plan, "logits") + part(plan, "parameters"), plan.rows});
      steps_of_points.push_back(at.steps);
      flops += static_cast<double>(in_a_row) * plan.flops;
      steps += in_a_row * at.steps;
    }
    points += of_points.size() * static_cast<std::size_t>(in_a_row);
    for (const auto& pass : passes_of(sizes, steps_of_points, {most, sweep_options{}.rows})) {
      passes += static_cast<std::size_t>(in_a_row);
      fit_plan together{.memory = {{"weights", weights}}};
      std::set<const fit_plan*> prompts;
      index_t untouched = 0;
      for (const char* name : {"activations", "logits", "parameters"}) {
        index_t sum = 0;
        for (const std::size_t k : pass) sum += part(*of_points[k], name);
        together.memory.emplace_back(name, sum);
      }
      for (const std::size_t k : pass) {
        together.rows += of_points[k]->rows;
        if (prompts.insert(of_points[k]).second) untouched += part(*of_points[k], "untouched");
      }
      together.memory.emplace_back("untouched", untouched);
      if (together.bytes() > largest.bytes()) largest = std::move(together);
    }
  }
  largest.memory.emplace_back("program", program);
  const double seconds = seconds_of(flops, largest.rows, common);

  output found;
  found.json["points"] = points;
  found.json["passes"] = passes;
  found.json["rows"] = largest.rows;
  found.json["steps"] = steps;
  found.json["memory"] = memory_json(largest);
  found.json["flops"] = flops;
  found.json["seconds"] = seconds;
  found.text = report::counted(points, "fit") + ", at most " + std::to_string(largest.rows) + " rows in a pass\n" +
               memory_text(largest) + work_text(steps, flops, seconds) +
               complaint_of(largest, command.fit.size.memory, "sweep");
  return found;
}

void require_room(const fit_command& command, const common_options& common, const any_folder& model,
                  const parameter_layout& layout, std::span<const prompt_pair> prompts) {
  if (common.backend == machine::cuda) return;  // the device has memory of its own
  const index_t weights = bytes_of_weights(command.model, common);
  const auto with_chunk = [&](index_t chunk) {
    fit_command cut = command;
    cut.size.chunk = chunk;
    return plan_of(cut, common, weights, model.config(), layout, prompts);
  };
  const fit_plan plan = with_chunk(command.size.chunk);
  const index_t beside = std::max<index_t>(0, memory_of_program() - plan.memory.front().second);  // but for the weights
  const index_t bound = memory_bound(command.size.memory, weights + beside);
  const auto fits = [&](const fit_plan& some) { return some.bytes() + beside <= bound; };
  if (fits(plan)) return;
  index_t least = 0, most = plan.chunk;  // the largest that fits, if any does, is `least`
  while (most - least > 1) {
    const index_t middle = (least + most) / 2;
    (fits(with_chunk(middle)) ? least : most) = middle;
  }
  throw error(error_kind::memory,
              "the fit needs " + size_text(plan.bytes() + beside) + " with " + std::to_string(plan.chunk) +
                  " prompts at once, and may take " + size_text(bound) + (command.size.memory ? " (--memory)" : "") +
                  (command.command == "sweep" ? "; use fewer prompts, or a larger --memory"
                   : least > 0                ? "; --chunk " + std::to_string(least) + " fits"
                               : "; not even one prompt at a time fits: use a smaller model, or a larger --memory"));
}

void require_evaluation(const model_config& config, const parameter_layout& layout,
                        std::span<const prompt_pair> prompts, const std::vector<double>& strengths,
                        const common_options& common, index_t memory) {
  const auto fits = common.precision == arithmetic::in_double ? &prompts_that_fit<double> : &prompts_that_fit<float>;
  for (std::size_t n = 0; memory > 0 and n < prompts.size(); ++n)
    fits(config, layout, prompts.subspan(n, 1), std::ssize(strengths), 1, memory);
}

void require_gradient_pass(const model_config& config, const parameter_layout& layout,
                           std::span<const prompt_pair> prompts, const objective_options& objective,
                           const common_options& common, index_t memory) {
  const auto bytes_in = common.precision == arithmetic::in_double ? &bytes_of_step<double> : &bytes_of_step<float>;
  const index_t bytes = bytes_in(config, layout, prompts, objective.strengths, objective.hook_terms()).total();
  if (memory == 0 or bytes <= memory) return;
  throw error(error_kind::memory, "whether it is a minimum is computed on all prompts at once, which takes " +
                                      size_text(bytes) + ", more than the " + size_text(memory) +
                                      " that are left for it; give fewer prompts, or a larger --memory");
}

ordered_json work_of_ranks(const fit_command& command, const common_options& common, const any_folder& model,
                           const parameter_layout& layout, std::span<const prompt_pair> prompts, int ranks) {
  const fit_plan plan = plan_of(command, common, 0, model.config(), layout, prompts);
  const index_t number = common.precision == arithmetic::in_double ? 8 : 4;
  const index_t in_step =
      command.size.batches.size == 0 ? std::ssize(prompts) : std::min(command.size.batches.size, std::ssize(prompts));
  std::vector<index_t> own;
  index_t most = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const auto [first, last] = share_of(rank, ranks, plan.chunks);
    own.push_back(std::min(last * plan.chunk, in_step) - std::min(first * plan.chunk, in_step));
    most = std::max(most, std::ssize(subtrees_of(first, last)) * layout.size() * number);
  }
  return {{"count", ranks}, {"prompts", own}, {"bytes_per_step", most}};
}

}  // namespace trimtab::cli
