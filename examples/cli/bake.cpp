// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "data.hpp"
#include "figures.hpp"
#include "load.hpp"
#include "talk.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/io/files/new_folder.hpp>
#include <trimtab/io/fold_record.hpp>
#include <trimtab/io/huggingface/hub_cache.hpp>
#include <trimtab/io/intervention_tensors.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

/// `trimtab bake`: writes a model's folder with an intervention folded into its weights, and says how far its logits are
/// from those of the steered model.

namespace trimtab::cli {

namespace {

/// Prompts of random ids, the same for every model of one vocabulary; as long as absolute positions say, if any do.
std::vector<prompt_pair> random_prompts(const model_config& config, const std::optional<position_key>& absolute) {
  constexpr std::size_t count = 8;
  const auto length = std::min<index_t>(config.context, absolute ? absolute->count() : 16);
  random_generator random(1);
  std::vector<prompt_pair> prompts(count);
  for (auto& prompt : prompts)
    for (index_t i = 0; i < length; ++i)
      prompt.ids.push_back(static_cast<int>(random.below(static_cast<std::size_t>(config.vocabulary))));
  return prompts;
}

/// Refuses an intervention that a folder has already, at this strength.
void require_not_folded(const path& folder, const std::string& hash, double strength, const std::string& advice) {
  const auto records = io::read_fold_records(folder);
  if (std::ranges::any_of(records, [&](const auto& record) { return record.is_of(hash, strength); }))
    throw error(error_kind::mismatch, "'" + folder.string() + "' has this intervention in its weights already, at " +
                                          "strength " + strength_text(strength) + advice);
}

}  // namespace

output bake(const bake_command& command, const common_options& common) {
  auto in_double = common;
  in_double.precision = arithmetic::in_double;
  const auto file = io::read_intervention(command.intervention);
  const auto hash = io::hash_of(file);
  const io::model_folder source(io::model_path(command.model), {.allow_non_finite = common.allow_non_finite});
  if (not common.allow_other_weights)
    require_not_folded(source.path(), hash, command.strength, "; --allow-other-weights folds it in once more");
  require_not_folded(command.out, hash, command.strength, "; there is nothing to do, or give another folder");
  io::new_folder target(command.out);

  auto model = load_model(command.model, in_double);
  auto steered = read_steering(*model, command.intervention, in_double);
  const auto& config = source.config();
  io::fold_record record{.intervention = hash,
                         .strength = command.strength,
                         .policy = file.policies(),
                         .stored = command.type ? std::string(io::name_of(*command.type)) : "stored",
                         .model = model->hash_of_weights()};
  const fold_options how{.strength = command.strength,
                         .attention_bias = source.file().attention_bias,
                         .tied_embeddings = source.file().tied_embeddings};
  try {
    record.places =
        steered.composition->write_folded(steered.values, how, source, target.path(), {.type = command.type});
  } catch (const error& problem) {
    if (problem.kind() != error_kind::mismatch) throw;
    throw error(problem.kind(), "'" + command.intervention.string() + "': " + problem.what());
  }
  auto records = io::read_fold_records(source.path());
  records.push_back(record);
  io::write_fold_records(target.path(), records);

  const auto prompts = random_prompts(config, absolute_of(file.keys()));
  std::vector<host_matrix<double>> wanted;
  for (const auto& prompt : prompts)
    wanted.push_back(steered.composition->logits(steered.values, prompt, command.strength, scored::all));
  steered = {}, model.reset();  // before the other model takes as much memory
  const auto baked = load_cpu(target.path(), config, in_double,
                              {.allow_non_finite = common.allow_non_finite, .tokenizer = common.tokenizer});
  double largest = 0;
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const auto found = baked->logits(prompts[n].ids, scored::all);
    for (std::size_t i = 0; i < found.values.size(); ++i)
      largest = std::max(largest, std::abs(found.values[i] - wanted[n].values[i]));
  }
  target.give_name();

  output result;
  result.json["folded"] = io::json_of(record.places);
  result.json["largest_logit_change"] = largest;
  result.text = "folded " + file.policies() + " at strength " + strength_text(command.strength) + " into '" +
                command.out.string() + "'\n";
  for (const auto& place : record.places)
    result.text += columns({"  " + place.site, "layer " + std::to_string(place.layer), place.policy});
  if (record.places.empty()) result.text += "  nothing: all parameters are 0\n";
  result.text += "largest change of a logit against the steered model, over " + std::to_string(prompts.size()) +
                 " random prompts: " + rounded(largest) + "\n";
  return result;
}

}  // namespace trimtab::cli
