// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/position.hpp>
#include <trimtab/core/site.hpp>
#include <trimtab/io/declared_parameters.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/files/dtype.hpp>
#include <trimtab/io/files/gguf.hpp>
#include <trimtab/io/files/safetensors_header.hpp>
#include <trimtab/io/intervention_data.hpp>
#include <trimtab/text/joined.hpp>
#include <trimtab/text/utf8.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

/// Control vectors of llama.cpp, GGUF files with a tensor `direction.N` [D] for each block N >= 1 after whose output it
/// is added to every token: `steer_vec` with shared positions at `resid_post`.

namespace trimtab::io {

namespace detail {

/// llama.cpp's names of the families, and those of transformers, which other writers give.
inline std::vector<std::string> family_names(const std::string& architecture) {
  if (architecture == "gpt_neox") return {"gptneox", architecture};
  return {architecture};
}

/// The numbers of one layer of a tensor.
inline std::span<const double> numbers_in(const saved_parameter& p, index_t layer) {
  const auto size = p.numbers.values.size() / static_cast<std::size_t>(p.numbers.shape.front());
  return std::span(p.numbers.values).subspan(static_cast<std::size_t>(layer) * size, size);
}
inline bool is_zero(const saved_parameter& p, index_t layer) {
  return std::ranges::all_of(numbers_in(p, layer), [](double x) { return x == 0; });
}

/// The block after which a vector at a site has the same effect; -1 where no block's output stands for it.
inline index_t block_after(const intervention_file& file, const saved_intervention& i, index_t layer) {
  const bool parallel = file.model and file.model->residual == "parallel";
  if (i.site == site::resid_post::text or i.site == site::mlp_out::text) return layer;
  if (i.site == site::attn_out::text and parallel) return layer;
  if (i.site == site::resid_pre::text) return layer - 1;
  return -1;
}

}  // namespace detail

/// What an intervention at strength 1 adds after each block, by block. Throws `mismatch` for what no control vector
/// holds, with the reason.
inline std::map<index_t, std::vector<double>> stream_vectors(const intervention_file& file) {
  std::map<index_t, std::vector<double>> vectors;
  for (const saved_intervention& i : file.interventions)
    for (const index_t layer : i.layers) {
      const auto is_zero = [&](const saved_parameter& p) { return detail::is_zero(p, layer); };
      if (std::ranges::all_of(i.parameters, is_zero)) continue;
      const auto refuse = [&](const std::string& why) {
        throw error(error_kind::mismatch, i.policy + " at " + i.site + " in layer " + std::to_string(layer) +
                                              " has no place in a control vector: " + why);
      };
      const auto offsets = policy::offsets_of(i.policy, declared_parameters(i));
      const auto is_added = [&](const saved_parameter& p) {
        return offsets and std::ranges::find(*offsets, p.name) != offsets->end() and p.has(tensor_axis::channel);
      };
      if (i.positions.by() != position_key::kind::shared)
        refuse("its positions are " + i.positions.text() +
               ", and a control vector acts on every token; fit it with "
               "shared positions");
      if (not std::ranges::all_of(i.parameters, [&](const auto& p) { return is_zero(p) or is_added(p); }))
        refuse("it does more than add a vector; fit steer-vec, or bake it into the weights");
      const index_t block = detail::block_after(file, i, layer);
      if (block < 0)
        refuse(
            "a control vector acts on the output of a block, and no vector there does the same; bake it into the "
            "weights");
      if (block == 0) refuse("the first block that a control vector reaches is 1; bake it into the weights");
      for (const saved_parameter& p : i.parameters) {
        if (not is_added(p)) continue;
        const auto numbers = detail::numbers_in(p, layer);
        auto& vector = vectors[block];
        vector.resize(numbers.size());
        for (std::size_t j = 0; j < numbers.size(); ++j) vector[j] += numbers[j];
      }
    }
  if (vectors.empty())
    throw error(error_kind::bad_argument, "all parameters of the intervention are 0; there is no vector to export");
  return vectors;
}

/// The content of a control vector's file with what the intervention adds at strength 1. Throws as `stream_vectors`
/// does, and `bad_argument` for a number that float cannot hold.
inline std::vector<std::byte> control_vector_bytes(const intervention_file& file) {
  std::map<std::string, std::vector<float>> directions;
  for (const auto& [block, vector] : stream_vectors(file)) {
    auto& direction = directions["direction." + std::to_string(block)];
    for (const double x : vector) direction.push_back(static_cast<float>(x));
    if (not std::ranges::all_of(direction, [](float x) { return is_finite(x); }))
      throw error(error_kind::bad_argument,
                  "the vector after block " + std::to_string(block) + " holds a number that float cannot hold");
  }
  const auto hint = file.model ? detail::family_names(file.model->architecture).front() : std::string();
  return gguf_bytes({{"general.architecture", "controlvector"},
                     {"controlvector.model_hint", hint},
                     {"controlvector.layer_count", static_cast<std::int32_t>(directions.size())}},
                    directions);
}

/// Which block `direction.N` is for.
enum class direction_numbers {
  block,     ///< N, after whose output llama.cpp and repeng add it
  one_late,  ///< N - 1, where llama.cpp's own generator measured it
};

/// Reads a control vector as an intervention on a model. Throws `io`, `bad_file` for a file that is none, and
/// `mismatch` for one of another model.
inline intervention_file read_control_vector(const std::filesystem::path& path, const model_facts& model,
                                             direction_numbers number = direction_numbers::block,
                                             load_options options = {}) {
  const gguf_file file(path);
  const auto refuse = [&](error_kind kind, const std::string& what) {
    throw error(kind, "'" + path.string() + "' " + what);
  };
  const auto* const kind = file.entry<std::string>("general.architecture");
  if (kind == nullptr or *kind != "controlvector")
    refuse(error_kind::bad_file, "is no control vector: general.architecture should be \"controlvector\", found " +
                                     (kind == nullptr ? "nothing" : abbreviated(*kind)));
  const auto* const hint = file.entry<std::string>("controlvector.model_hint");
  const auto names = detail::family_names(model.architecture);
  if (hint != nullptr and not hint->empty() and not options.allow_other_weights and
      std::ranges::find(names, *hint) == names.end())
    refuse(error_kind::mismatch, "was made for a model of the family " + abbreviated(*hint) + ", and this one is a " +
                                     model.architecture + "; allow_other_weights (--allow-other-weights) accepts it");
  if (constexpr auto key = "controlvector.layer_count"; file.has(key)) {
    const auto* const whole = file.entry<std::uint64_t>(key);
    const auto* const with_sign = file.entry<std::int64_t>(key);
    if (whole == nullptr and (with_sign == nullptr or *with_sign < 0))
      refuse(error_kind::bad_file, "has a controlvector.layer_count that is not a whole number");
  }

  const index_t late = number == direction_numbers::one_late ? 1 : 0;
  const auto& parameter = policy::steer_vec::vector;
  saved_intervention i{.site = std::string(site::resid_post::text),
                       .policy = std::string(policy_text<policy::steer_vec>()),
                       .settings = std::vector<named_setting>{},
                       .positions = positions::shared()};
  saved_parameter p{.name = label(parameter),
                    .tensor = i.site + "." + label(parameter),
                    .axes = {tensor_axis::layer, tensor_axis::position, tensor_axis::channel}};
  p.numbers.shape = {model.layers, 1, model.width};
  p.numbers.values.assign(static_cast<std::size_t>(model.layers * model.width), 0.0);
  for (const auto& [name, tensor] : file.tensors()) {
    constexpr std::string_view beginning = "direction.";
    const auto digits = name.starts_with(beginning) ? std::string_view(name).substr(beginning.size()) : "";
    index_t n = 0;
    const auto* const end = digits.data() + digits.size();
    if (const auto [stopped, failed] = std::from_chars(digits.data(), end, n);
        digits.empty() or stopped != end or failed != std::errc() or n < 0 or std::to_string(n) != digits)
      refuse(error_kind::bad_file, "holds the tensor " + text::in_quotes(name, '\'') +
                                       "; expected direction.1, "
                                       "direction.2, ...");
    const index_t layer = n - late;
    if (n < 1 or layer >= model.layers)
      refuse(error_kind::mismatch, "holds " + name + "; for this model of " + std::to_string(model.layers) +
                                       " layers the directions are 1 to " + std::to_string(model.layers - 1 + late));
    if (tensor.type != gguf_type::f32)
      refuse(error_kind::bad_file, "holds " + name + " of the type " +
                                       std::to_string(static_cast<std::uint32_t>(tensor.type)) + "; expected 0, F32");
    if (tensor.shape != std::vector{model.width})
      refuse(error_kind::mismatch, "holds " + name + " of shape " + shape_text(tensor.shape) +
                                       "; this model's width is " + std::to_string(model.width));
    const auto numbers = file.read(tensor);
    if (not std::ranges::all_of(numbers, [](float x) { return is_finite(x); }))
      refuse(error_kind::bad_file, "holds a number in " + name + " that is not finite");
    std::ranges::copy(numbers, p.numbers.values.begin() + layer * model.width);
    i.layers.push_back(layer);
  }
  if (i.layers.empty()) refuse(error_kind::bad_file, "holds no direction");
  std::ranges::sort(i.layers);
  i.parameters.push_back(std::move(p));
  return {.interventions = {std::move(i)}, .model = model, .made = {{"imported", "gguf"}}};
}

}  // namespace trimtab::io
