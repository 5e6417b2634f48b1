// SPDX-License-Identifier: Apache-2.0

#include "own_files.hpp"

#include <trimtab/io/atomic_file.hpp>
#include <trimtab/io/input_file.hpp>
#include <trimtab/io/json.hpp>

#include <iterator>
#include <set>
#include <system_error>

namespace trimtab::cli {

namespace {

/// All that a model may be read from, there or not.
std::vector<named_file> files_of_model(path const& folder) {
  auto const weights = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  std::set<std::string> names = {"config.json",      "tokenizer.json", "tokenizer_config.json", "added_tokens.json",
                                 "vocab.json",       "merges.txt",     "encoder.json",          "vocab.bpe",
                                 weights.filename(), index.filename()};
  if (not io::is_present(weights) and io::is_present(index)) {
    auto const contents = io::json_object(io::read_json_file(index), index.string(), error_kind::bad_file);
    auto const shards = contents.object("weight_map");
    for (auto const& [tensor, shard] : shards.value().items()) names.insert(shards.text(tensor));
  }
  std::vector<named_file> files;
  for (auto const& name : names) files.push_back({"the model's " + name, folder / name});
  return files;
}

/// The one path of all that lead to a file's place.
path place_of(path const& file) {
  std::error_code failed, ignored;
  auto const target = io::link_target(file, ignored);
  auto const place = std::filesystem::weakly_canonical(std::filesystem::absolute(target, failed), failed);
  return failed ? target.lexically_normal() : place;
}

bool are_one(path const& a, path const& b) {
  std::error_code ignored;
  return place_of(a) == place_of(b) or std::filesystem::equivalent(a, b, ignored);
}

}  // namespace

void require_own_files(files_in_use const& used) {
  if (used.outputs.empty()) return;
  auto read = used.inputs;
  if (not used.model.empty()) std::ranges::move(files_of_model(used.model), std::back_inserter(read));
  for (auto output = used.outputs.begin(); output != used.outputs.end(); ++output) {
    auto others = read;
    others.insert(others.end(), output + 1, used.outputs.end());
    for (auto const& other : others) {
      bool const goes_on = output->name == "--checkpoint" and other.name == "--resume";
      if (not goes_on and are_one(output->file, other.file))
        throw usage_error(output->name + " and " + other.name + " name the same file, '" + output->file.string() +
                          "'; each needs its own");
    }
  }
}

}  // namespace trimtab::cli
