// SPDX-License-Identifier: Apache-2.0

#include "data.hpp"

#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/intervention_tensors.hpp>
#include <trimtab/io/prompt_file.hpp>
#include <trimtab/task/ccc.hpp>
#include <trimtab/task/ioi.hpp>
#include <trimtab/text/utf8.hpp>

#include <charconv>

namespace trimtab::cli {

namespace {

task::prompt_sets make_task(const any_model& model, const std::string& name, std::uint64_t seed, int other_lengths) {
  const auto encoder = model_encoder{model};
  if (name == "ioi") return task::ioi(encoder, {.test_other_lengths = other_lengths, .seed = seed});
  return task::ccc(encoder, {.test_other_lengths = other_lengths, .seed = seed});
}

}  // namespace

std::vector<named_prompts> read_data(const any_model& model, const data_options& data, std::uint64_t seed,
                                     const position_key& by) {
  const bool any_length = by.by() != position_key::kind::absolute;
  std::vector<named_prompts> sets;
  if (data.task.empty()) {
    sets.push_back({"train", read_pairs(model, data.train, by)});
    const auto& train = sets.front().pairs;
    if (not data.test.empty())
      sets.push_back({"test", read_pairs(model, data.test, any_length ? by : by.resolved(train))});
    return sets;
  }
  const auto plain = task::ioi_options{};
  auto task = make_task(model, data.task, seed, any_length ? plain.test_other_lengths : 0);
  sets.push_back({"train", std::move(task.train)});
  sets.push_back({"test", std::move(task.test)});
  if (any_length) sets.push_back({"test_other_lengths", std::move(task.test_other_lengths)});
  return sets;
}

std::vector<prompt_pair> read_pairs(const any_model& model, const path& file, const position_key& by) {
  const auto& config = model.config();
  const bool one_length = by.by() == position_key::kind::absolute;
  auto pairs = io::read_prompts(file, model_encoder{model},
                                {.vocabulary = config.vocabulary,
                                 .context = config.context,
                                 .length = one_length ? by.count() : 0,
                                 .one_length = one_length});
  try {
    (void)by.resolved(pairs);  // a role that no prompt has would leave all of them untouched
  } catch (const error& problem) {
    throw error(problem.kind(), "'" + file.string() + "': " + problem.what());
  }
  return pairs;
}

steered_model read_steering(const any_model& model, const path& file) {
  steered_model result{io::read_intervention(file), nullptr, {}};
  const auto& read = result.file;
  auto facts = model_facts{};
  if (read.model and not read.model->hash.empty()) facts.hash = model.weights_hash();
  require_fits(read, model.config(), facts, "'" + file.string() + "'");

  composition_choice choice{.policy = read.policy, .bias = false, .positions = read.positions};
  for (const auto& [name, tensor] : read.tensors) {
    const std::string site(io::site_of(name));
    choice.sites[site] = layers::list(read.layers_of(site));
    if (io::parameter_of(name) == "bias") choice.bias = true;
  }
  try {
    result.composition = model.compose(choice);
    result.values = result.composition->fit_to(read);
  } catch (const error& problem) {
    throw error(problem.kind(), "'" + file.string() + "': " + problem.what());
  }
  return result;
}

std::uint64_t seed_of(const data_options& data, const intervention_file& file, const path& name) {
  std::uint64_t seed = 1;
  if (data.seed) return *data.seed;
  if (const auto made = file.made.find("seed"); made != file.made.end())
    if (const auto end = made->second.data() + made->second.size();
        std::from_chars(made->second.data(), end, seed) != std::from_chars_result{end, std::errc()})
      throw error(error_kind::bad_file, "'" + name.string() + "' has the seed " + text::in_quotes(made->second) +
                                            " in its metadata, which is no whole number below 2^64; give --seed");
  return seed;
}

void require_writable(const path& file) {
  if (not file.empty()) io::require_writable(file);
}

std::string strength_text(double strength) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, strength == 0 ? 0.0 : strength).ptr;
  return std::string(strength > 0 ? "+" : "").append(digits, end);
}

}  // namespace trimtab::cli
