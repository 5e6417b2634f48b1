// SPDX-License-Identifier: Apache-2.0

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
#include <span>
#include <system_error>
#include <utility>
#include <vector>

/// `trimtab task`: the prompts of a task, or some drawn from a file, as files.

namespace trimtab::cli {

namespace {

/// The first prompts of a list that are to be kept, and how many were looked at to find them.
struct kept_set {
  std::vector<prompt_pair> pairs = {};
  std::size_t drawn = 0;
};

kept_set first_kept(kept_prompts which, const any_model& model, std::span<const prompt_pair> from, std::size_t wanted) {
  kept_set set;
  for (const auto& pair : from) {
    if (set.pairs.size() == wanted) break;
    ++set.drawn;
    if (is_kept(which, model, pair)) set.pairs.push_back(pair);
  }
  return set;
}

/// The sets that a task or a file gives: train, test, and other lengths.
using kept_sets = std::array<kept_set, 3>;

/// Those of a task. Where some prompts are left out, up to 16 times as many are drawn.
kept_sets of_task(const any_model& model, const data_options& data, std::uint64_t seed, int other_lengths) {
  const auto plain = task::ioi_options{};
  const int wanted[] = {data.train_count.value_or(plain.train), data.test_count.value_or(plain.test), other_lengths};
  kept_sets found;
  for (int times = 1; times <= (data.only == kept_prompts::all ? 1 : 16); times *= 2) {
    auto more = data;
    more.train_count = times * wanted[0];
    more.test_count = times * wanted[1];
    task::prompt_sets sets;
    try {
      sets = make_task(model, more, seed, times * wanted[2]);
    } catch (const error& problem) {
      if (times > 1 and problem.kind() == error_kind::bad_data) break;  // there are no more
      throw;
    }
    bool enough = true;
    std::size_t k = 0;
    for (const auto* pairs : {&sets.train, &sets.test, &sets.test_other_lengths}) {
      const auto count = std::min(pairs->size(), static_cast<std::size_t>(wanted[k]));
      found[k] = first_kept(data.only, model, *pairs, count);
      enough = enough and found[k++].pairs.size() == count;
    }
    if (enough) break;
  }
  return found;
}

/// Those of a file, drawn without replacement. Where it has too few, both sets get their share.
kept_sets of_file(const any_model& model, const data_options& data, std::uint64_t seed) {
  const auto plain = task::ioi_options{};
  auto train = static_cast<std::size_t>(data.train_count.value_or(plain.train));
  const auto test = static_cast<std::size_t>(data.test_count.value_or(plain.test));
  auto pairs = read_pairs(model, data.train, {});
  random_generator random(seed);
  random.shuffle(pairs);
  const auto there = first_kept(data.only, model, pairs, train + test).pairs.size();
  if (there < train + test) train = there * train / (train + test);
  kept_sets found;
  found[0] = first_kept(data.only, model, pairs, train);
  found[1] = first_kept(data.only, model, std::span(pairs).subspan(found[0].drawn), test);
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
    const auto& [pairs, drawn] = sets[k++];
    io::write_prompts(file, pairs);
    found.json["files"].push_back({{"file", file.string()}, {"prompts", pairs.size()}});
    found.text += text::one_line(file.string()) + ": " + counted(pairs.size(), "prompt");
    if (data.only != kept_prompts::all) {
      found.json["files"].back()["drawn"] = drawn;
      found.text += " of " + std::to_string(drawn) + " that were drawn";
    }
    found.text += "\n";
  }
  return found;
}

}  // namespace trimtab::cli
