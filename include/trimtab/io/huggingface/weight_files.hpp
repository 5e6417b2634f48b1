// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The weights of a model folder by name, whether they lie in `model.safetensors` or in several shards that
/// `model.safetensors.index.json` lists as {"weight_map": {tensor: shard}}. Checkpoints of one family differ in whether
/// its prefix (`transformer.`, `gpt_neox.`) stands before the names, in buffers that older versions stored beside the
/// weights, and in what a training added to them, such as the head of a classifier: names here have no prefix, buffers
/// are left out, and tensors of no part of the model are listed apart.

namespace trimtab::io {

/// What the names of a family's weights begin with.
struct weight_names {
  std::string_view prefix = {};                  ///< of the whole transformer; a folder may leave it out
  std::string_view blocks = {};                  ///< of every block, before its number: "h."
  std::span<const std::string_view> parts = {};  ///< of the embeddings, the last norm and the unembedding: "wte."
  std::string_view unembedding = {};             ///< a whole name, which an index may list though no shard has it

  std::string_view without_prefix(std::string_view name) const {
    return name.substr(name.starts_with(prefix) ? prefix.size() : 0);
  }
  /// Whether a name without prefix belongs to a part of the model, of whichever block: "h.7.attn.lora_A" does.
  bool is_of_model(std::string_view name) const {
    if (name.starts_with(blocks)) {
      const auto number = name.substr(blocks.size());
      const auto dot = number.find_first_not_of("0123456789");
      return dot != 0 and dot != number.npos and number[dot] == '.';
    }
    return std::ranges::any_of(parts, [&](std::string_view part) { return name.starts_with(part); });
  }
};

namespace detail {

/// Whether `name` is a causal mask or a table of rotary frequencies. The leading dot matters: `.attn.bias` is GPT-2's
/// mask, while `.attn.c_attn.bias` is a weight.
inline bool is_buffer(std::string_view name) {
  constexpr auto buffers = std::to_array<std::string_view>(
      {".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"});
  return std::ranges::any_of(
      buffers, [&](std::string_view ending) { return name.ends_with(ending) or name == ending.substr(1); });
}

/// Throws `bad_file` for a shard name from an index file that could lead out of the folder or end early.
inline void check_shard_name(const std::string& shard, const std::string& index) {
  const bool is_strange = shard.starts_with('.') or shard.find_first_of("/\\") != shard.npos or
                          text::has_control(shard) or shard.size() > 255;
  if (not shard.ends_with(".safetensors") or is_strange)
    throw error(error_kind::bad_file, "'" + index + "' names the shard " + abbreviated(shard) +
                                          "; expected the plain name of a .safetensors file in the same folder");
}

/// The rest of the sentence for a folder without safetensors: how its weights can be converted.
inline std::string advice_without_safetensors(const std::filesystem::path& folder) {
  if (not is_present(folder / "pytorch_model.bin") and not is_present(folder / "pytorch_model.bin.index.json"))
    return "; weights in other formats must be converted first";
  const auto name = "'" + folder.string() + "'";
  return ", only weights in PyTorch's format; convert them in Python: from transformers import AutoModelForCausalLM; "
         "AutoModelForCausalLM.from_pretrained(" +
         name + ").save_pretrained(" + name + ", safe_serialization=True)";
}

}  // namespace detail

/// The names of the shards in an index, as it has them. Throws `error(io)` or `error(bad_file)`.
inline std::set<std::string> shards_in(const std::filesystem::path& index) {
  const auto contents = json_object(read_json_file(index), index.string(), error_kind::bad_file);
  const auto weight_map = contents.object("weight_map");
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : weight_map.value().items()) shards.insert(weight_map.text(tensor));
  return shards;
}

class weight_files {
 public:
  struct place {
    std::size_t file = 0;
    std::string full_name = {};  ///< with the prefix, if it has one
  };

  /// Opens the weights of `folder`. Throws `error(io)` or `error(bad_file)`.
  weight_files(const std::filesystem::path& folder, const weight_names& names) {
    const auto index = folder / "model.safetensors.index.json";
    if (is_present(folder / "model.safetensors")) {
      add_file(folder / "model.safetensors", names);
    } else if (is_present(index)) {
      add_shards(folder, index, names);
    } else {
      throw error(error_kind::io, "'" + folder.string() + "' holds neither model.safetensors nor " +
                                      "model.safetensors.index.json" + detail::advice_without_safetensors(folder));
    }
  }

  /// Where each weight lies, by its name without prefix.
  const auto& places() const { return places_; }
  /// The full names of the tensors that belong to no part of the model, file by file.
  const std::vector<std::string>& others() const { return others_; }
  bool contains(std::string_view name) const { return places_.contains(name); }
  const std::vector<index_t>& shape(std::string_view name) const { return at(name).shape(place_of(name).full_name); }
  dtype type(std::string_view name) const { return at(name).type(place_of(name).full_name); }
  std::vector<std::byte> bytes(std::string_view name) const { return at(name).bytes(place_of(name).full_name); }
  template <readable_scalar T>
  host_matrix<T> read(std::string_view name, non_finite policy) const {
    return at(name).template read<T>(place_of(name).full_name, policy);
  }

  /// Reads the weight's bytes from an offset on, as long as this object is there; several threads may at once.
  std::function<void(std::size_t, std::span<std::byte>)> reader(std::string_view name) const {
    return at(name).reader(place_of(name).full_name);
  }

  /// Gives the weight `from`, which must be there, the name `to`, which must not.
  void rename(std::string_view from, std::string to) {
    auto weight = places_.extract(places_.find(from));
    weight.key() = std::move(to);
    places_.insert(std::move(weight));
  }

 private:
  static std::string shown(std::string_view name) { return text::in_quotes(name, '\''); }

  const place& place_of(std::string_view name) const { return places_.find(name)->second; }
  const safetensors_file& at(std::string_view name) const { return files_[place_of(name).file]; }

  void add_file(const std::filesystem::path& path, const weight_names& names) {
    files_.emplace_back(path);
    for (const auto& [full_name, entry] : files_.back().tensors()) {
      const auto name = names.without_prefix(full_name);
      if (detail::is_buffer(name)) continue;
      if (not names.is_of_model(name)) {
        others_.push_back(full_name);
        continue;
      }
      const auto [position, is_new] = places_.emplace(name, place{files_.size() - 1, full_name});
      if (not is_new) {
        const auto& [first_file, first_name] = position->second;
        throw error(error_kind::bad_file, "'" + path.string() + "' holds " + shown(full_name) + ", but so does '" +
                                              files_[first_file].path().string() + "' as " + shown(first_name));
      }
    }
  }

  void add_shards(const std::filesystem::path& folder, const std::filesystem::path& index, const weight_names& names) {
    const auto contents = json_object(read_json_file(index), index.string(), error_kind::bad_file);
    const auto weight_map = contents.object("weight_map");
    std::map<std::string, std::size_t> shards;  // and their places in files_
    for (const auto& [name, shard] : weight_map.value().items()) shards[weight_map.text(name)] = 0;
    for (auto& [shard, number] : shards) {
      detail::check_shard_name(shard, index.string());
      number = files_.size();
      add_file(folder / shard, names);
    }
    // An index may list what saving then left out: buffers, and an unembedding that is tied. An untied one that is
    // missing is found missing like any weight.
    const auto is_needed = [&](std::string_view name) {
      return names.is_of_model(name) and not detail::is_buffer(name) and name != names.unembedding;
    };
    for (const auto& [name, shard] : weight_map.value().items())
      if (not files_[shards[shard]].contains(name) and is_needed(names.without_prefix(name)))
        throw error(error_kind::bad_file, "'" + index.string() + "' puts " + shown(name) + " into " +
                                              shown(shard.template get<std::string>()) + ", which does not hold it");
    for (const auto& [name, where] : places_)
      if (not weight_map.has(where.full_name))
        throw error(error_kind::bad_file, "'" + files_[where.file].path().string() + "' holds " +
                                              shown(where.full_name) + ", which '" + index.string() +
                                              "' does not list");
  }

  std::vector<safetensors_file> files_ = {};
  std::map<std::string, place, std::less<>> places_ = {};
  std::vector<std::string> others_ = {};
};

}  // namespace trimtab::io
