// SPDX-License-Identifier: Apache-2.0

#include "own_files.hpp"

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/huggingface/hub_cache.hpp>
#include <trimtab/io/huggingface/save_pretrained.hpp>
#include <trimtab/io/huggingface/weight_files.hpp>

#include <range/v3/view/concat.hpp>
#include <range/v3/view/subrange.hpp>

#include <iterator>
#include <set>
#include <system_error>

namespace trimtab::cli {

namespace {

/// The folder of a model; if it cannot be found, the name as it is: loading the model will say so.
path folder_of(const path& model) {
  try {
    return io::model_path(model);
  } catch (const error&) {
    return model;
  }
}

/// All files that a model may be read from, whether they exist or not.
std::vector<named_file> files_of_model(const path& model) {
  const auto folder = folder_of(model);
  const auto weights = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  std::set<std::string> names = {"config.json", weights.filename(), index.filename()};
  names.insert(io::side_files.begin(), io::side_files.end());
  if (not io::is_present(weights) and io::is_present(index)) names.merge(io::shards_in(index));
  std::vector<named_file> files;
  for (const auto& name : names) files.push_back({"the model's " + name, folder / name});
  return files;
}

/// A path that is the same for all paths that lead to one file.
path place_of(const path& file) {
  std::error_code failed, ignored;
  const auto target = io::link_target(file, ignored);
  const auto place = std::filesystem::weakly_canonical(std::filesystem::absolute(target, failed), failed);
  return failed ? target.lexically_normal() : place;
}

bool are_one(const path& a, const path& b) {
  std::error_code ignored;
  return place_of(a) == place_of(b) or std::filesystem::equivalent(a, b, ignored);
}

}  // namespace

void require_own_files(const files_in_use& used) {
  if (used.outputs.empty()) return;
  auto read = used.inputs;
  if (not used.model.empty()) std::ranges::move(files_of_model(used.model), std::back_inserter(read));
  for (auto output = used.outputs.begin(); output != used.outputs.end(); ++output) {
    const auto later = ranges::make_subrange(output + 1, used.outputs.end());
    for (const auto& other : ranges::views::concat(read, later)) {
      const bool goes_on = output->name == "--checkpoint" and other.name == "--resume";
      if (not goes_on and are_one(output->file, other.file))
        throw usage_error(output->name + " and " + other.name + " name the same file, '" + output->file.string() +
                          "'; each needs its own");
    }
  }
}

}  // namespace trimtab::cli
