// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/dtype.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/files/new_folder.hpp>
#include <trimtab/io/files/safetensors_writer.hpp>
#include <trimtab/io/huggingface/model_folder.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/model/weights.hpp>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Writes a Hugging Face folder: other weights for a model that is read from one. Configuration and tokenizer are
/// copied, and names, prefixes and types of the weights stay; they are written block by block.
///
///     const io::model_folder before("gpt2/");
///     io::save_pretrained("steered/", before, folded_weights(before, steering, values, {.strength = 1}));

namespace trimtab::io {

struct save_options {
  std::optional<dtype> type = {};           ///< of all weights; if not given, each keeps the type it was stored in
  std::size_t shard_bytes = 5'000'000'000;  ///< most bytes of weights in one file, if more than one weight is in it
};

/// The files of a model folder beside its configuration and its weights.
inline constexpr auto side_files = std::to_array<std::string_view>(
    {"generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
     "added_tokens.json", "chat_template.jinja", "vocab.json", "merges.txt", "encoder.json", "vocab.bpe"});

namespace detail {

/// The numbers of a weight in a type. Throws `bad_argument` for one that the type cannot hold.
inline std::vector<std::byte> bytes_as(dtype type, const host_matrix<double>& weight, const std::string& name) {
  std::vector<std::byte> bytes(weight.values.size() * bytes_of(type));
  visit_dtype(type, [&]<typename Stored>(std::type_identity<Stored>) {
    for (std::size_t i = 0; i < weight.values.size(); ++i) {
      const double x = weight.values[i];
      const auto stored = nearest<Stored>(x);
      using widened = std::conditional_t<std::is_arithmetic_v<Stored>, Stored, float>;
      if (is_finite(x) and not is_finite(static_cast<double>(static_cast<widened>(stored))))
        throw error(error_kind::bad_argument, "'" + name + "' has a weight of " + json(x).dump() + ", which " +
                                                  std::string(name_of(type)) +
                                                  " cannot hold; write a wider type (--dtype F32)");
      std::memcpy(bytes.data() + i * sizeof stored, &stored, sizeof stored);
    }
  });
  return bytes;
}

/// `config.json` with the type in which all weights are stored now, under the name that transformers has for it.
inline std::string config_with(const std::filesystem::path& config, std::optional<dtype> type) {
  auto text = input_file(config).text();
  if (not type) return text;
  const std::map<dtype, std::string> names{
      {dtype::f64, "float64"}, {dtype::f32, "float32"}, {dtype::f16, "float16"}, {dtype::bf16, "bfloat16"}};
  auto entries = parse_json(text, config.string());
  for (const auto* const key : {"dtype", "torch_dtype"})
    if (entries.contains(key)) entries[key] = names.at(*type);
  return entries.dump(2) + "\n";
}

/// The weights' files: which weight is in which, and in which type.
class weight_shards {
 public:
  weight_shards(const std::filesystem::path& folder, const model_folder& like, const save_options& options) {
    std::vector<std::map<std::string, tensor_entry>> shards(1);
    std::size_t in_last = 0, total = 0;
    std::map<std::string, std::size_t> shard_of;
    const auto plan = [&](const stored_weight& weight, auto) {
      if (not weight.is_stored) return;
      const tensor_entry tensor{options.type.value_or(like.files().type(weight.name)), weight.shape};
      std::size_t size = bytes_of(tensor.type);
      for (const index_t extent : weight.shape) size *= static_cast<std::size_t>(extent);
      if (in_last > 0 and in_last + size > options.shard_bytes) shards.emplace_back(), in_last = 0;
      in_last += size, total += size;
      const auto& name = like.files().places().find(weight.name)->second.full_name;
      shards.back()[name] = tensor;
      places_[weight.name] = {shards.size() - 1, name, tensor.type};
      shard_of[name] = shards.size() - 1;
    };
    like.each_of_outer(plan);
    for (index_t layer = 0; layer < like.config().layers; ++layer) like.each_of_block(layer, plan);

    std::vector<std::string> names{"model.safetensors"};
    if (shards.size() > 1) {
      names.clear();
      for (std::size_t k = 1; k <= shards.size(); ++k) {
        char name[64];
        std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", k, shards.size());
        names.emplace_back(name);
      }
      auto weight_map = json::object();
      for (const auto& [name, shard] : shard_of) weight_map[name] = names[shard];
      write_file_atomically(folder / "model.safetensors.index.json",
                            json{{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}}.dump(2) + "\n");
    }
    for (std::size_t k = 0; k < shards.size(); ++k)
      files_.emplace_back(folder / names[k], std::move(shards[k]),
                          std::map<std::string, std::string>{{"format", "pt"}});
  }

  void write(const stored_weight& weight, const host_matrix<double>& numbers) {
    const place& at = places_.at(weight.name);
    files_[at.file].write(at.name, bytes_as(at.type, numbers, at.name));
  }
  void finish() {
    for (safetensors_writer& file : files_) file.finish();
  }

 private:
  struct place {
    std::size_t file;
    std::string name;
    dtype type;
  };
  std::map<std::string, place> places_ = {};
  std::deque<safetensors_writer> files_ = {};
};

}  // namespace detail

/// Writes `weights` into an empty folder, as `like` has its own. Throws `io`, `bad_argument` for a weight that the type
/// cannot hold, and what reading `weights` throws.
template <weight_source<double> Source>
void write_pretrained(const std::filesystem::path& folder, const model_folder& like, const Source& weights,
                      const save_options& options = {}) {
  write_file_atomically(folder / "config.json", detail::config_with(like.path() / "config.json", options.type));
  for (const std::string_view name : side_files)
    if (is_present(like.path() / name)) write_file_atomically(folder / name, input_file(like.path() / name).text());
  detail::weight_shards shards(folder, like, options);
  const auto write_of = [&](const auto& part) {
    return [&](const stored_weight& weight, auto member) {
      if (weight.is_stored) shards.write(weight, as_stored(member(part), weight, like.config()));
    };
  };
  like.each_of_outer(write_of(weights.template outer<double>()));
  for (index_t layer = 0; layer < like.config().layers; ++layer)
    like.each_of_block(layer, write_of(weights.template block<double>(layer)));
  shards.finish();
}

/// The same into a new folder, which appears when it is whole. Also throws `mismatch` where there is one with files.
template <weight_source<double> Source>
void save_pretrained(const std::filesystem::path& target, const model_folder& like, const Source& weights,
                     const save_options& options = {}) {
  new_folder folder(target);
  write_pretrained(folder.path(), like, weights, options);
  folder.give_name();
}

}  // namespace trimtab::io
