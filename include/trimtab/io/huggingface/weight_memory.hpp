// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/stored.hpp>
#include <trimtab/io/huggingface/model_config_file.hpp>
#include <trimtab/io/huggingface/model_layout.hpp>
#include <trimtab/io/huggingface/weight_files.hpp>
#include <trimtab/model/weights.hpp>

#include <concepts>
#include <filesystem>
#include <optional>

/// The memory that a folder's weights will take, from its headers: no weight is read.

namespace trimtab::io {

/// Bytes of the weights in a model that computes in T on the CPU and keeps its matrices as `type`. Where the folder
/// holds no weights they are taken for F32. Throws as `weight_files` does for files that cannot be read.
template <typename T>
index_t bytes_in_memory(const std::filesystem::path& folder, weight_type type) {
  const auto file = read_model_config_file(folder);
  const auto count = [&](auto layout) {
    std::optional<weight_files> files;
    if (is_present(folder / "model.safetensors") or is_present(folder / "model.safetensors.index.json"))
      files.emplace(folder, layout.names);
    const auto is_narrow = [&](const stored_weight& weight) {
      if (not std::same_as<T, float> or weight.shape.size() < 2) return false;
      if (type != weight_type::as_in_file) return type != weight_type::float32;
      if (not files or not files->contains(weight.name)) return false;
      return bytes_of(files->type(weight.name)) == 2;
    };
    index_t bytes = 0;
    const auto add = [&](const stored_weight& weight, bool narrow) {
      index_t numbers = 1;
      for (const index_t extent : weight.shape) numbers *= extent;
      bytes += numbers * static_cast<index_t>(narrow ? 2 : sizeof(T));
    };
    outer_weights<T> outer;
    layout.each_of_outer(file, [&](const stored_weight& weight, auto member) {
      add(weight, is_narrow(weight) and &member(outer) != &outer.position_embedding);
    });
    for (index_t layer = 0; layer < file.config.layers; ++layer)
      layout.each_of_block(file, layer, [&](const stored_weight& weight, auto) { add(weight, is_narrow(weight)); });
    return bytes;
  };
  return file.config.architecture == "gpt2" ? count(gpt2_layout{}) : count(gpt_neox_layout{});
}

}  // namespace trimtab::io
