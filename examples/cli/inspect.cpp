// SPDX-License-Identifier: Apache-2.0

#include "commands.hpp"
#include "figures.hpp"
#include "provenance.hpp"

#include <trimtab/io/huggingface/end_tokens.hpp>
#include <trimtab/io/huggingface/hub_cache.hpp>
#include <trimtab/io/huggingface/model_folder.hpp>
#include <trimtab/io/huggingface/tokenizer_files.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/model/weights_hash.hpp>
#include <trimtab/report/citation.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/terminal/terminal.hpp>
#include <trimtab/report/terminal/terminal_map.hpp>
#include <trimtab/text/joined.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// `trimtab inspect`: what a model folder, an intervention file or any other safetensors file holds.

namespace trimtab::cli {

namespace {

/// Which entries of a file count, which were replaced by a default, and which nothing uses.
void add_entries(const std::string& name, const io::json_entries& entries, output& to) {
  to.json[name] = {{"read", entries.read}, {"defaulted", entries.defaulted}, {"not_used", entries.not_used}};
  const auto keys = [](const io::json& of) {
    return text::joined(of.items(), ", ",
                        [](const auto& entry) { return entry.key() + " " + io::abbreviated(entry.value()); });
  };
  const auto add = [&](const std::string& what, const std::string& list) {
    if (not list.empty()) to.text += columns({name, what + ": " + list});
  };
  add("read", keys(entries.read));
  add("defaulted", keys(entries.defaulted));
  add("not used", text::joined(entries.not_used, ", "));
}

/// For an entry of config.json that is read elsewhere than the model's sizes.
void move_to_read(const std::string& key, io::json_entries& entries) {
  if (std::erase(entries.not_used, key) > 0) entries.read[key] = "see end_tokens";
}

output inspect_model(const path& folder) {
  const auto model = io::model_folder(folder);
  const auto& config = model.config();
  output found;
  found.json = {{"kind", "model"},
                {"architecture", config.architecture},
                {"parallel_residual", config.parallel_residual},
                {"layers", config.layers},
                {"width", config.width},
                {"heads", config.heads},
                {"hidden", config.hidden},
                {"context", config.context},
                {"vocabulary", config.vocabulary},
                {"rotary_channels", config.rotary_channels},
                {"nonlinearity", io::name_of(config.nonlinearity)},
                {"scale_attention", config.scale_attention},
                {"scale_attention_by_layer", config.scale_attention_by_layer},
                {"weights_hash", hash_of_weights<float>(model)},
                {"sites", site::names(config.parallel_residual)}};
  for (const auto& [key, value] : found.json.items())
    found.text += columns({key, value.is_string() ? value.get<std::string>() : value.dump()});

  auto warnings = model.warnings();
  std::map<std::string, int> named;
  auto& tokenizer = found.json["tokenizer"];
  try {
    auto stored = io::open_tokenizer(folder);
    named = std::move(stored.named);
    std::ranges::move(stored.warnings, std::back_inserter(warnings));
    tokenizer = {{"vocabulary", stored.tokenizer.vocabulary_size()},
                 {"before", stored.tokenizer.before()},
                 {"after", stored.tokenizer.after()},
                 {"named", named},
                 {"files", stored.files},
                 {"not_applied", stored.not_applied}};
    found.text += columns({"tokenizer", std::to_string(stored.tokenizer.vocabulary_size()) + " tokens",
                           "before a prompt: " + tokenizer["before"].dump(),
                           "after a text: " + tokenizer["after"].dump(), tokenizer["named"].dump()});
    add_entries("tokenizer_config", stored.config, found);
  } catch (const error& problem) {
    tokenizer = {{"error", problem.what()}};
    found.text += columns({"tokenizer", problem.what()});
  }
  auto entries = model.file().entries;
  auto& end = found.json["end_tokens"];
  try {
    const auto stated = io::read_end_tokens(folder, named);
    end = {{"ids", stated.ids}, {"stated_by", stated.stated_by}};
    found.text += columns({"end_tokens", end["ids"].dump(), stated.stated_by});
    found.json["generation"] = {{"not_used", stated.not_used}};
    if (not stated.not_used.empty())
      warnings.push_back("'" + folder.string() + "' says of generation, and nothing uses, " +
                         text::joined(stated.not_used, ", "));
    if (stated.stated_by == (folder / "config.json").string()) move_to_read("eos_token_id", entries);
  } catch (const error& problem) {
    end = {{"error", problem.what()}};
    found.text += columns({"end_tokens", problem.what()});
  }
  add_entries("config", entries, found);
  found.json["warnings"] = warnings;
  for (const auto& warning : warnings) found.text += columns({"warnings", warning});
  return found;
}

/// A parameter at each layer and place, several numbers by their Euclidean norm.
report::heat_map map_of(const saved_intervention& i, const saved_parameter& p) {
  using enum tensor_axis;
  const bool by_position = p.has(position);
  const index_t heads = p.extent(head), places = p.extent(position), each = p.extent(row) * p.extent(channel);
  report::heat_map map{.title = p.tensor + (each > 1 ? ", the Euclidean norm at each place" : "")};
  map.columns = by_position ? report::names_of(i.positions) : std::vector<std::string>{"all tokens"};
  for (const index_t l : i.layers)
    for (index_t h = 0; h < heads; ++h) {
      map.rows.push_back(std::to_string(l) + (heads > 1 ? "." + std::to_string(h) : ""));
      auto& cells = map.values.emplace_back();
      for (index_t at = 0; at < places; ++at)
        cells.push_back(report::size_of(std::span(p.numbers.values)
                                            .subspan(static_cast<std::size_t>(((l * places + at) * heads + h) * each),
                                                     static_cast<std::size_t>(each))));
    }
  return by_position ? report::in_reading_order(std::move(map), i.positions) : map;
}

output inspect_intervention(const path& file) {
  const auto f = io::read_intervention(file);
  const auto keys = f.keys();
  output found;
  auto& json = found.json;
  json = {{"kind", "intervention"}, {"policy", f.policies()}};
  found.text = columns({"policy", f.policies()});
  if (keys.size() == 1) {
    json["position_key"] = keys.front().text();
    json["positions"] = keys.front().count();
    if (not keys.front().roles().empty()) json["roles"] = keys.front().roles();
  }
  for (const auto& key : keys) found.text += columns({"positions", key.text() + ", " + std::to_string(key.count())});
  json["layers"] = f.layer_count();
  found.text += columns({"layers", std::to_string(f.layer_count())});
  json["interventions"] = ordered_json::array();
  std::map<std::string, const named_tensor*> tensors;
  for (const auto& i : f.interventions) {
    ordered_json one = {{"site", i.site},
                        {"policy", i.policy},
                        {"settings", ordered_json::object()},
                        {"layers", i.layers},
                        {"position_key", i.positions.text()},
                        {"positions", i.positions.count()}};
    std::string settings;
    if (i.settings)
      for (const auto& [name, value] : *i.settings) {
        one["settings"][name] = value;
        settings += (settings.empty() ? "" : ", ") + name + " " + value;
      }
    json["interventions"].push_back(one);
    found.text += columns({i.site, i.policy + (settings.empty() ? "" : " (" + settings + ")"),
                           counted(i.layers.size(), "layer"), i.positions.text()});
    for (const auto& p : i.parameters) tensors[p.tensor] = &p.numbers;
  }
  for (const auto& [name, of_name] : tensors) {
    const named_tensor& tensor = *of_name;
    const auto nonzero = std::ranges::count_if(tensor.values, [](double x) { return x != 0; });
    double l1 = 0, largest = 0;
    for (double x : tensor.values) {
      l1 += std::abs(x);
      largest = std::max(largest, std::abs(x));
    }
    json["tensors"][name] = {{"shape", tensor.shape}, {"nonzero", nonzero}, {"l1", l1}, {"largest", largest}};
    found.text += columns({name, io::shape_text(tensor.shape), std::to_string(nonzero) + " not zero",
                           "l1 " + rounded(l1), "largest " + rounded(largest)});
  }
  for (const auto& i : f.interventions)
    for (const auto& p : i.parameters)
      found.text +=
          "\n" + report::text_of(map_of(i, p), report::wants_colour(STDOUT_FILENO), report::width_of(STDOUT_FILENO));
  found.text += "\n";
  if (f.model) {
    json["model"] = {{"architecture", f.model->architecture},
                     {"residual", f.model->residual},
                     {"layers", f.model->layers},
                     {"width", f.model->width},
                     {"vocabulary", f.model->vocabulary},
                     {"hash", f.model->hash}};
    found.text += columns({"model", json["model"].dump()});
  }
  json["made"] = f.made;
  json["repeat"] = line_that_repeats(f.made, file.string());
  json["bibtex"] = report::citation();
  for (const auto& [key, value] : f.made)
    if (key != "arguments") found.text += columns({key, value});
  if (const auto line = line_that_repeats(f.made, file.string()); not line.empty())
    found.text += columns({"repeat it", line});
  found.text += "\n" + report::citation();
  return found;
}

output inspect_tensors(const io::safetensors_file& file) {
  output found;
  found.json = {{"kind", "safetensors"}, {"metadata", ordered_json::object()}, {"tensors", ordered_json::object()}};
  for (const auto& [key, value] : file.metadata()) {
    found.json["metadata"][key] = value;
    found.text += columns({key, value});
  }
  for (const auto& [name, entry] : file.tensors()) {
    found.json["tensors"][name] = {{"dtype", io::name_of(entry.type)}, {"shape", entry.shape}};
    found.text += columns({name, std::string(io::name_of(entry.type)), io::shape_text(entry.shape)});
  }
  return found;
}

}  // namespace

output inspect(const inspect_command& command) {
  const auto what = command.what.extension() == ".safetensors" ? command.what : io::model_path(command.what);
  std::error_code ignored;
  if (std::filesystem::exists(what / "sweep.json", ignored))
    throw error(error_kind::bad_argument, "'" + what.string() +
                                              "' is the folder of a sweep; give one of its points, such as '" +
                                              (what / "point-0000.safetensors").string() + "'");
  if (std::filesystem::is_directory(what, ignored)) return inspect_model(what);
  const auto file = io::safetensors_file(what);
  const auto format = file.metadata().find("format");
  const bool is_intervention = format != file.metadata().end() and (format->second == io::intervention_format or
                                                                    format->second == io::intervention_format_1);
  return is_intervention ? inspect_intervention(what) : inspect_tensors(file);
}

}  // namespace trimtab::cli
