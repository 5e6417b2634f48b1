// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/position.hpp>
#include <trimtab/core/version.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/intervention_shape.hpp>
#include <trimtab/io/json.hpp>
#include <trimtab/io/safetensors.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// An intervention on disk: a safetensors file with the tensors of intervention_shape.hpp, rows of layers that are not
/// intervened on zero, and metadata
///
///     format        trimtab-intervention-1
///     policy        activ-scalar, steer-vec, dyn-scalar, ...
///     position_key  absolute, from_end (index 0 is the last token), role or shared
///     positions     P, how many
///     roles         for `role`: their names, ["subject", "end"]
///     model         {"architecture", "layers", "width", "vocabulary", "hash"} of the model it was made for
///     layers        {"attn_out": [4, 5]} where a site is not intervened on in all layers
///
/// and how it was made, in any other keys. A file from elsewhere may lack everything below `position_key` but roles.

namespace trimtab {

/// Which model an intervention is for.
struct model_facts {
  std::string architecture = {};
  index_t layers = 0;
  index_t width = 0;
  index_t vocabulary = 0;
  std::string hash = {};

  friend bool operator==(model_facts const&, model_facts const&) = default;
};

struct named_tensor {
  std::vector<index_t> shape = {};
  std::vector<double> values = {};

  friend bool operator==(named_tensor const&, named_tensor const&) = default;
};

/// What an intervention file says; consistent in itself, not yet compared with a model.
struct intervention_file {
  std::string policy = {};
  position_key positions = {};
  std::map<std::string, named_tensor> tensors = {};         ///< by `{site}.{parameter}`
  std::map<std::string, std::vector<index_t>> layers = {};  ///< by site, rising; every layer of a site without entry
  std::optional<model_facts> model = {};
  std::map<std::string, std::string> made = {};  ///< how: task, seed, ...

  index_t layer_count() const { return tensors.empty() ? 0 : tensors.begin()->second.shape.front(); }

  /// The layers in which the site is intervened on; none for a site that the file does not have.
  std::vector<index_t> layers_of(std::string const& site) const {
    if (auto const listed = layers.find(site); listed != layers.end()) return listed->second;
    std::vector<index_t> all;
    if (std::ranges::any_of(tensors, [&](auto const& t) { return io::site_of(t.first) == site; }))
      for (index_t l = 0; l < layer_count(); ++l) all.push_back(l);
    return all;
  }

  friend bool operator==(intervention_file const&, intervention_file const&) = default;
};

namespace io {

inline constexpr char intervention_format[] = "trimtab-intervention-1";

namespace detail {

/// Reads and checks one file.
class intervention_reader {
 public:
  explicit intervention_reader(std::filesystem::path const& path) : file_(path), name_(path.string()) {}

  intervention_file read() const {
    if (auto const format = metadata("format"); format != intervention_format)
      refuse("should have the format " + std::string(intervention_format) + " in its metadata, found " +
             (format.empty() ? "none" : abbreviated(json(format))));
    intervention_file result;
    result.policy = required("policy");
    auto const kind = position_kind(required("position_key"));
    for (auto const& [name, entry] : file_.tensors()) {
      check_name(name, result.policy);
      check_rank(name, entry.shape, kind);
      result.tensors[name] = {entry.shape, file_.read<double>(name).values};
    }
    if (result.tensors.empty()) refuse("holds no tensors");
    result.positions = positions(result, kind);
    if (auto const text = metadata("model"); not text.empty()) result.model = facts(object("model", text));
    if (auto const text = metadata("layers"); not text.empty()) read_layers(object("layers", text), result);
    for (auto const& [key, value] : file_.metadata())
      if (not is_format_key(key)) result.made[key] = value;
    return result;
  }

 private:
  [[noreturn]] void refuse(std::string const& what) const {
    throw error(error_kind::bad_file, "'" + name_ + "' " + what);
  }

  static bool is_format_key(std::string_view key) {
    for (auto const known : {"format", "policy", "position_key", "positions", "roles", "model", "layers"})
      if (key == known) return true;
    return false;
  }
  std::string metadata(std::string const& key) const {
    auto const found = file_.metadata().find(key);
    return found == file_.metadata().end() ? "" : found->second;
  }
  std::string required(std::string const& key) const {
    auto const text = metadata(key);
    if (text.empty()) refuse("lacks \"" + key + "\" in its metadata");
    return text;
  }
  json_object object(std::string const& key, std::string const& text) const {
    return {parse_json(text, name_ + ", metadata " + key), name_ + ", metadata " + key, error_kind::bad_file};
  }
  position_key::kind position_kind(std::string const& text) const {
    using kind = position_key::kind;
    for (auto const one : {kind::absolute, kind::from_end, kind::role, kind::shared})
      if (position_key::of(one, 1).text() == text) return one;
    refuse("has the position_key " + abbreviated(json(text)) + "; expected absolute, from_end, role or shared");
  }

  void check_name(std::string const& name, std::string const& policy) const {
    if (not find_site(site_of(name)))
      refuse("has the tensor " + abbreviated(json(name)) + ", but the sites are " + site_names() +
             ", and a tensor is called site.parameter");
    auto const known = parameters_of(policy);
    if (not known.empty() and std::ranges::find(known, parameter_of(name)) == known.end())
      refuse("has the tensor " + abbreviated(json(name)) + ", which does not belong to the policy " + policy);
  }
  /// Higher dimensions are compared when there is a model.
  void check_rank(std::string const& name, std::vector<index_t> const& shape, position_key::kind kind) const {
    auto const axes = axes_of(name, kind);
    auto const rank = std::ssize(axes.text);
    // A user's own parameter may be one number or one a channel: only the policy knows.
    if (std::ssize(shape) != rank and not(axes.extent_unknown and std::ssize(shape) == rank + 1))
      refuse("has the tensor '" + name + "' of shape " + shape_text(shape) + "; expected " + axes.description());
  }

  position_key positions(intervention_file const& f, position_key::kind kind) const {
    index_t const layers = f.layer_count();
    index_t count = 0;
    for (auto const& [name, tensor] : f.tensors) {
      if (tensor.shape.front() != layers)
        refuse("has tensors for " + std::to_string(layers) + " and for " + std::to_string(tensor.shape.front()) +
               " layers ('" + name + "')");
      index_t const here = axes_of(name, kind).has_positions ? tensor.shape[1] : 1;
      if (count == 0) count = here;
      if (here != count or here == 0)
        refuse("has the tensor '" + name + "' of shape " + shape_text(tensor.shape) + " for " + std::to_string(here) +
               " positions, but the others have " + std::to_string(count));
    }
    if (layers == 0) refuse("has tensors for no layer");
    if (kind == position_key::kind::shared and count != 1)
      refuse("has parameters for " + std::to_string(count) + " positions, but the position_key shared has one for all");
    if (auto const said = metadata("positions"); not said.empty() and said != std::to_string(count))
      refuse("says in its metadata that it has " + abbreviated(json(said)) + " positions, but its tensors have " +
             std::to_string(count));
    return position_key::of(kind, count, kind == position_key::kind::role ? roles(count) : std::vector<std::string>{});
  }
  std::vector<std::string> roles(index_t count) const {
    auto const list = parse_json(required("roles"), name_ + ", metadata roles");
    std::vector<std::string> names;
    if (list.is_array())
      for (auto const& entry : list)
        if (entry.is_string()) names.push_back(entry.get<std::string>());
    if (not list.is_array() or std::ssize(names) != count or names.size() != list.size())
      refuse("has the roles " + abbreviated(list) + "; expected an array of " + std::to_string(count) + " names");
    return names;
  }

  static model_facts facts(json_object const& model) {
    return {.architecture = model.text("architecture", ""),
            .layers = model.count("layers", 0),
            .width = model.count("width", 0),
            .vocabulary = model.count("vocabulary", 0),
            .hash = model.text("hash", "")};
  }

  void read_layers(json_object const& listed, intervention_file& f) const {
    for (auto const& [site, list] : listed.value().items()) {
      std::vector<index_t> chosen;
      bool fits = list.is_array();
      if (fits)
        for (auto const& entry : list) {
          fits = fits and entry.is_number_unsigned() and
                 entry.get<std::uint64_t>() < static_cast<std::uint64_t>(f.layer_count()) and
                 (chosen.empty() or chosen.back() < entry.get<index_t>());
          if (fits) chosen.push_back(entry.get<index_t>());
        }
      if (not fits) listed.refuse(site, "a rising array of layers from 0 to " + std::to_string(f.layer_count() - 1));
      f.layers[site] = std::move(chosen);
    }
    for (auto const& [name, tensor] : f.tensors) {
      auto const row = std::ssize(tensor.values) / f.layer_count();
      auto const chosen = f.layers_of(std::string(site_of(name)));
      for (index_t i = 0; i < std::ssize(tensor.values); ++i)
        if (tensor.values[static_cast<std::size_t>(i)] != 0 and not std::ranges::binary_search(chosen, i / row))
          refuse("has numbers in layer " + std::to_string(i / row) + " of '" + name +
                 "', which its metadata does not list among the layers");
    }
  }

  safetensors_file file_;
  std::string name_;
};

}  // namespace detail

/// Reads an intervention file. Throws `io`, or `bad_file` for one that is malformed or holds a number that is not
/// finite.
inline intervention_file read_intervention(std::filesystem::path const& path) {
  return detail::intervention_reader(path).read();
}

/// Numbers as a file holds them: F32 where that loses nothing, else F64, all alike.
inline std::map<std::string, stored_tensor> stored_tensors(std::map<std::string, named_tensor> const& tensors,
                                                           bool always_double = false) {
  bool fits_float = not always_double;
  for (auto const& [name, tensor] : tensors)
    for (double x : tensor.values) {
      if (not is_finite(x))
        throw error(error_kind::bad_argument, "'" + name + "' holds a number that is not finite and is not saved");
      fits_float = fits_float and static_cast<double>(static_cast<float>(x)) == x;
    }
  std::map<std::string, stored_tensor> stored;
  auto const put = [&]<typename T>(std::string const& name, named_tensor const& tensor, T) {
    host_matrix<T> numbers(1, std::ssize(tensor.values));
    std::ranges::transform(tensor.values, numbers.values.begin(), [](double x) { return static_cast<T>(x); });
    stored[name] = store(numbers, tensor.shape);
  };
  for (auto const& [name, tensor] : tensors) fits_float ? put(name, tensor, float{}) : put(name, tensor, double{});
  return stored;
}

namespace detail {

/// What is known of a model, as JSON: a size of 0 would be refused where it is read.
inline std::string text_of(model_facts const& model) {
  auto known = json::object();
  auto const note = [&](char const* key, auto const& value) {
    if (value != std::remove_cvref_t<decltype(value)>()) known[key] = value;
  };
  note("architecture", model.architecture);
  note("layers", model.layers);
  note("width", model.width);
  note("vocabulary", model.vocabulary);
  note("hash", model.hash);
  return known.dump();
}

}  // namespace detail

/// The content of an intervention file. Throws `bad_argument` for numbers that are not finite.
inline std::vector<std::byte> intervention_bytes(intervention_file const& f) {
  auto metadata = f.made;
  metadata["format"] = intervention_format;
  metadata["version"] = version;
  metadata["policy"] = f.policy;
  metadata["position_key"] = f.positions.text();
  metadata["positions"] = std::to_string(f.positions.count());
  if (f.positions.by() == position_key::kind::role) metadata["roles"] = json(f.positions.roles()).dump();
  if (not f.layers.empty()) metadata["layers"] = json(f.layers).dump();
  if (f.model) metadata["model"] = detail::text_of(*f.model);
  return safetensors_bytes(stored_tensors(f.tensors), metadata);
}

/// Writes an intervention file, replacing one that stands there only when all is written. Throws `io`, and what
/// `intervention_bytes` throws.
inline void write_intervention(std::filesystem::path const& path, intervention_file const& f) {
  write_file_atomically(path, intervention_bytes(f));
}

}  // namespace io
}  // namespace trimtab
