// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "figures.hpp"
#include "talk.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/io/control_vector.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/hook_file.hpp>
#include <trimtab/io/huggingface/hub_cache.hpp>
#include <trimtab/io/huggingface/model_folder.hpp>
#include <trimtab/io/intervention_tensors.hpp>
#include <trimtab/io/intervention_text.hpp>
#include <trimtab/model/weights_hash.hpp>
#include <trimtab/text/joined.hpp>

/// `trimtab export` and `trimtab import`: interventions in the formats of other programs.

namespace trimtab::cli {

namespace {

/// One entry for each intervention: {"site", "policy", "layers"}.
ordered_json interventions_json(const intervention_file& file) {
  auto list = ordered_json::array();
  for (const auto& i : file.interventions)
    list.push_back({{"site", i.site}, {"policy", i.policy}, {"layers", i.layers}});
  return list;
}

std::string interventions_text(const intervention_file& file) {
  std::string text;
  for (const auto& i : file.interventions)
    text += columns({"  " + i.site, i.policy,
                     "layers " + text::joined(i.layers, ",", [](index_t layer) { return std::to_string(layer); })});
  return text;
}

}  // namespace

output export_to(const export_command& command) {
  const auto file = io::read_intervention(command.intervention);
  output found;
  found.json = {{"format", command.format}, {"interventions", interventions_json(file)}};
  found.text = interventions_text(file);
  if (command.format == "hooks") {
    io::write_file_atomically(command.out, io::hook_bytes(file));
  } else if (command.format == "csv") {
    io::write_file_atomically(command.out, io::intervention_csv(file));
  } else if (command.format == "json") {
    io::write_file_atomically(command.out, io::intervention_json(file));
  } else {
    try {
      io::write_file_atomically(command.out, io::control_vector_bytes(file));
    } catch (const error& problem) {
      if (problem.kind() == error_kind::io) throw;
      throw error(problem.kind(), "'" + command.intervention.string() + "': " + problem.what());
    }
  }
  return found;
}

output import_from(const import_command& command, const common_options& common) {
  io::require_writable(command.out);
  const io::model_folder model(io::model_path(command.model), {.allow_non_finite = common.allow_non_finite});
  const auto& config = model.config();
  const model_facts facts{config.architecture, residual_text(config), config.layers,
                          config.width,        config.vocabulary,     hash_of_weights<float>(model)};
  const load_options how{.allow_other_weights = common.allow_other_weights};
  intervention_file file;
  if (command.format == "hooks") {
    file = io::read_hooks(command.from, config.layers);
    require_fits(file, config, facts, "'" + command.from.string() + "'", how);
  } else {
    const bool late = command.producer == "llama.cpp";
    file = io::read_control_vector(command.from, facts,
                                   late ? io::direction_numbers::one_late : io::direction_numbers::block, how);
    if (late) tell("llama.cpp's generator numbers its vectors one layer late: direction.N becomes layer N - 1");
    if (not command.producer.empty()) file.made["producer"] = command.producer;
  }
  io::write_intervention(command.out, file);
  output found;
  found.json = {{"format", command.format}, {"interventions", interventions_json(file)}};
  found.text = interventions_text(file);
  return found;
}

}  // namespace trimtab::cli
