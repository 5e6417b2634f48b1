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
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The weights of a model folder by name, whether they lie in `model.safetensors` or in several shards that
/// `model.safetensors.index.json` lists as {"weight_map": {tensor: shard}}. Checkpoints of one family differ in whether
/// its prefix (`transformer.`, `gpt_neox.`) stands before the names, and in buffers that older versions stored beside
/// the weights: names here have no prefix, and buffers are left out.

namespace trimtab::io {

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

}  // namespace detail

class weight_files {
 public:
  struct place {
    std::size_t file = 0;
    std::string full_name = {};  ///< with the prefix, if it has one
  };

  /// Opens the weights of `folder`. Throws `error(io)` or `error(bad_file)`.
  weight_files(const std::filesystem::path& folder, std::string_view prefix) {
    const auto index = folder / "model.safetensors.index.json";
    if (is_present(folder / "model.safetensors")) {
      add_file(folder / "model.safetensors", prefix);
    } else if (is_present(index)) {
      add_shards(folder, index, prefix);
    } else {
      throw error(error_kind::io, "'" + folder.string() + "' holds neither model.safetensors nor " +
                                      "model.safetensors.index.json; weights in other formats must be converted first");
    }
  }

  /// Where each weight lies, by its name without prefix.
  const auto& places() const { return places_; }
  bool contains(std::string_view name) const { return places_.contains(name); }
  const std::vector<index_t>& shape(std::string_view name) const { return at(name).shape(place_of(name).full_name); }
  dtype type(std::string_view name) const { return at(name).type(place_of(name).full_name); }
  std::vector<std::byte> bytes(std::string_view name) const { return at(name).bytes(place_of(name).full_name); }
  template <readable_scalar T>
  host_matrix<T> read(std::string_view name, non_finite policy) const {
    return at(name).template read<T>(place_of(name).full_name, policy);
  }

 private:
  static std::string shown(std::string_view name) { return text::in_quotes(name, '\''); }

  const place& place_of(std::string_view name) const { return places_.find(name)->second; }
  const safetensors_file& at(std::string_view name) const { return files_[place_of(name).file]; }

  void add_file(const std::filesystem::path& path, std::string_view prefix) {
    files_.emplace_back(path);
    for (const auto& [full_name, entry] : files_.back().tensors()) {
      const auto name = full_name.substr(full_name.starts_with(prefix) ? prefix.size() : 0);
      if (detail::is_buffer(name)) continue;
      const auto [position, is_new] = places_.emplace(name, place{files_.size() - 1, full_name});
      if (not is_new) {
        const auto& [first_file, first_name] = position->second;
        throw error(error_kind::bad_file, "'" + path.string() + "' holds " + shown(full_name) + ", but so does '" +
                                              files_[first_file].path().string() + "' as " + shown(first_name));
      }
    }
  }

  void add_shards(const std::filesystem::path& folder, const std::filesystem::path& index, std::string_view prefix) {
    const auto contents = json_object(read_json_file(index), index.string(), error_kind::bad_file);
    const auto weight_map = contents.object("weight_map");
    std::map<std::string, std::size_t> shards;  // and their places in files_
    for (const auto& [name, shard] : weight_map.value().items()) shards[weight_map.text(name)] = 0;
    for (auto& [shard, number] : shards) {
      detail::check_shard_name(shard, index.string());
      number = files_.size();
      add_file(folder / shard, prefix);
    }
    for (const auto& [name, shard] : weight_map.value().items())
      if (not files_[shards[shard]].contains(name))
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
};

}  // namespace trimtab::io
