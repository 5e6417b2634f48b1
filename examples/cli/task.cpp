// SPDX-License-Identifier: Apache-2.0

#include "answers.hpp"
#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"

#include <trimtab/core/random.hpp>
#include <trimtab/io/prompt_file.hpp>
#include <trimtab/task/ioi.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

/// `trimtab task`: the prompts of a task, or some drawn from a file, as files.

namespace trimtab::cli {

namespace {

/// The first prompts of a list that are to be kept.
struct kept_set {
  std::vector<prompt_pair> pairs = {};
  std::size_t drawn = 0;  ///< how many were looked at to find them
  std::size_t said = 0;   ///< of how many the model says the correct answer
};

/// Keeps prompts by the model's answers, and asks for each of them once.
class prompt_filter {
 public:
  prompt_filter(kept_prompts which, const any_model& model) : which_(which), model_(model) {}

  /// With `or_none` it ends as soon as too few remain, without asking about them.
  kept_set first_kept(std::span<const prompt_pair> from, std::size_t wanted, bool or_none = false) {
    kept_set set;
    for (const auto& pair : from) {
      if (set.pairs.size() == wanted) break;
      if (or_none and set.pairs.size() + (from.size() - set.drawn) < wanted) break;
      ++set.drawn;
      const bool any = which_ == kept_prompts::all;
      const auto answer = any ? untouched_answer{} : answer_to(pair);
      if (not any and answer.is_right != (which_ == kept_prompts::right)) continue;
      set.pairs.push_back(pair);
      set.said += answer.is_said;
    }
    return set;
  }

 private:
  const untouched_answer& answer_to(const prompt_pair& pair) {
    auto key = pair.ids;
    for (const auto& answers : {pair.correct_ids(), pair.wrong_ids()}) {
      key.push_back(-1);
      key.insert(key.end(), answers.begin(), answers.end());
    }
    const auto [found, is_new] = answers_.try_emplace(std::move(key));
    if (is_new) found->second = answer_of(model_, pair);
    return found->second;
  }

  kept_prompts which_;
  const any_model& model_;
  std::map<std::vector<int>, untouched_answer> answers_ = {};
};

/// The sets that a task or a file gives: train, test, and other lengths.
using kept_sets = std::array<kept_set, 3>;

/// Those of a task. Where some prompts are left out, up to 16 times as many are drawn, until there are enough.
kept_sets of_task(const any_model& model, const data_options& data, std::uint64_t seed, int other_lengths) {
  const auto plain = task::ioi_options{};
  const int wanted[] = {data.train_count.value_or(plain.train), data.test_count.value_or(plain.test), other_lengths};
  prompt_filter filter(data.only, model);
  const auto draw = [&](int times) {
    auto more = data;
    more.train_count = times * wanted[0];
    more.test_count = times * wanted[1];
    return make_task(model, more, seed, times * wanted[2]);
  };
  // With `or_none`, nothing unless every set has enough.
  const auto kept_of = [&](const task::prompt_sets& sets, bool or_none) -> std::optional<kept_sets> {
    kept_sets found;
    std::size_t k = 0;
    for (const auto* pairs : {&sets.train, &sets.test, &sets.test_other_lengths}) {
      const auto count = std::min(pairs->size(), static_cast<std::size_t>(wanted[k]));
      found[k] = filter.first_kept(*pairs, count, or_none);
      if (or_none and found[k].pairs.size() < count) return {};
      ++k;
    }
    return found;
  };
  auto sets = draw(1);
  for (int times = 2; data.only != kept_prompts::all and times <= 16; times *= 2) {
    if (auto found = kept_of(sets, true)) return *std::move(found);
    try {
      sets = draw(times);
    } catch (const error& problem) {
      if (problem.kind() == error_kind::bad_data) break;  // there are no more
      throw;
    }
  }
  return *kept_of(sets, false);
}

/// Those of a file, drawn without replacement. Where it has too few, both sets get their share.
kept_sets of_file(const any_model& model, const data_options& data, std::uint64_t seed) {
  const auto plain = task::ioi_options{};
  auto train = static_cast<std::size_t>(data.train_count.value_or(plain.train));
  const auto test = static_cast<std::size_t>(data.test_count.value_or(plain.test));
  auto pairs = read_pairs(model, data.train, {});
  random_generator random(seed);
  random.shuffle(pairs);
  prompt_filter filter(data.only, model);
  const auto there = filter.first_kept(pairs, train + test).pairs.size();
  if (there < train + test) train = there * train / (train + test);
  kept_sets found;
  found[0] = filter.first_kept(pairs, train);
  found[1] = filter.first_kept(std::span(pairs).subspan(found[0].drawn), test);
  return found;
}

}  // namespace

output task(const task_command& command, const common_options& common) {
  const auto model = load_model(command.model, common);
  const auto& data = command.data;
  const auto seed = data.seed.value_or(1);
  const auto sets =
      data.task.empty() ? of_file(*model, data, seed) : of_task(*model, data, seed, command.other_lengths);
  std::error_code failed;
  std::filesystem::create_directories(command.out, failed);
  if (failed) throw error(error_kind::io, "cannot make the folder '" + command.out.string() + "': " + failed.message());
  output found;
  found.json["files"] = ordered_json::array();
  std::size_t k = 0;
  for (const auto* name : {"train.jsonl", "test.jsonl", "other-lengths.jsonl"}) {
    const auto file = command.out / name;
    const auto& [pairs, drawn, said] = sets[k++];
    io::write_prompts(file, pairs);
    found.json["files"].push_back({{"file", file.string()}, {"prompts", pairs.size()}});
    found.text += text::one_line(file.string()) + ": " + counted(pairs.size(), "prompt");
    if (data.only != kept_prompts::all) {
      found.json["files"].back()["drawn"] = drawn;
      found.json["files"].back()["said"] = said;
      found.text += " of " + std::to_string(drawn) + " that were drawn";
    }
    found.text += "\n";
  }
  return found;
}

}  // namespace trimtab::cli
