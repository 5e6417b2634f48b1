// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/version.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/model/hash.hpp>
#include <trimtab/steer/fold.hpp>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

/// `trimtab.json` in a model's folder says which interventions were folded into its weights:
///
///     {"format": "trimtab-folded-1", "version", "folded": [{"intervention": hash, "strength", "policy", "stored": type,
///      "model": hash of the weights before, "places": [{"site", "policy", "layer"}]}, ...]}
///
/// the first one first.

namespace trimtab::io {

struct fold_record {
  std::string intervention = {};  ///< its hash
  double strength = 0;
  std::string policy = {};  ///< "activ-scalar + steer-vec"
  std::string stored = {};  ///< "stored", or the type of all weights
  std::string model = {};   ///< the hash of the weights before
  std::vector<folded_place> places = {};

  bool is_of(const std::string& hash, double beta) const { return intervention == hash and strength == beta; }
};

inline constexpr char fold_record_file[] = "trimtab.json";

/// The hash of what an intervention does: sites, policies, layers, positions and numbers, however it was made.
inline std::string hash_of(const intervention_file& file) {
  byte_hash hash;
  for (const saved_intervention& i : file.interventions) {
    hash.add(detail::json_of(i).dump());
    for (const saved_parameter& p : i.parameters) hash.add(std::as_bytes(std::span(p.numbers.values)));
  }
  return hash.text();
}

/// What was folded into the weights of a folder; nothing without `trimtab.json`. Throws `io` and `bad_file`.
inline std::vector<fold_record> read_fold_records(const std::filesystem::path& folder) {
  const auto path = folder / fold_record_file;
  if (not is_present(path)) return {};
  const json_object file(read_json_file(path), path.string(), error_kind::bad_file);
  if (file.text("format") != "trimtab-folded-1") file.refuse("format", "\"trimtab-folded-1\"");
  if (not file.has("folded") or not file.value().at("folded").is_array()) file.refuse("folded", "an array of objects");
  std::vector<fold_record> records;
  for (const json& entry : file.value().at("folded")) {
    const json_object object(entry, path.string(), error_kind::bad_file);
    fold_record& record = records.emplace_back();
    record = {object.text("intervention"), object.number("strength"), object.text("policy"), object.text("stored"),
              object.text("model")};
    if (not object.has("places") or not object.value().at("places").is_array())
      object.refuse("places", "an array of objects");
    for (const json& one : object.value().at("places")) {
      const json_object place(one, path.string(), error_kind::bad_file);
      const double layer = place.number("layer");
      if (not(layer >= 0 and layer < 0x1p31)) place.refuse("layer", "the number of a layer");
      record.places.push_back({place.text("site"), place.text("policy"), static_cast<index_t>(layer)});
    }
  }
  return records;
}

inline json json_of(const std::vector<folded_place>& places) {
  auto list = json::array();
  for (const folded_place& place : places)
    list.push_back({{"site", place.site}, {"policy", place.policy}, {"layer", place.layer}});
  return list;
}

/// Writes the file into a folder. Throws `io`.
inline void write_fold_records(const std::filesystem::path& folder, const std::vector<fold_record>& records) {
  auto list = json::array();
  for (const fold_record& record : records)
    list.push_back({{"intervention", record.intervention},
                    {"strength", record.strength},
                    {"policy", record.policy},
                    {"stored", record.stored},
                    {"model", record.model},
                    {"places", json_of(record.places)}});
  write_file_atomically(folder / fold_record_file,
                        json{{"format", "trimtab-folded-1"}, {"version", version}, {"folded", list}}.dump(2) + "\n");
}

}  // namespace trimtab::io
