// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/version.hpp>
#include <trimtab/io/files/safetensors.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/train/checkpoint.hpp>

#include <algorithm>
#include <cassert>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

/// A fit on disk, between two steps: a safetensors file with the tensors
///
///     theta, first_moment, second_moment  [1, parameters]
///     history                             [1, steps + 1, terms], the terms' values before their weights
///
/// and the metadata
///
///     format  trimtab-checkpoint-2 (version 1 knew the model by the bytes of its weights and is not read)
///     terms   [["effectiveness", 1.0], ...], names and weights
///     facts   {"model": "...", "prompts": "...", ...}, what fit it is
///
/// All numbers are stored exactly: as F64, or as F32 where that loses nothing.
///
///     auto run = trainer(...).start(prompts);
///     while (run.step() < 5000)
///       if (run.steps() % 100 == 0) io::write_checkpoint("fit.checkpoint", run.state());
///     trainer(...).fit(prompts, {.steps = 5000, .resume_from = io::read_checkpoint("fit.checkpoint")});

namespace trimtab::io {

inline constexpr char checkpoint_format[] = "trimtab-checkpoint-2";

namespace detail {

/// Keeps all bits, also of numbers that are not finite: moments may overflow, and the fit still goes on.
inline stored_tensor store_in_full(const std::vector<double>& numbers, std::vector<index_t> shape) {
  const auto narrow =
      std::ranges::all_of(numbers, [](double x) { return static_cast<double>(static_cast<float>(x)) == x; });
  const auto as = [&]<typename T>(T) {
    host_matrix<T> matrix(1, std::ssize(numbers));
    std::ranges::transform(numbers, matrix.values.begin(), [](double x) { return static_cast<T>(x); });
    return store(matrix, std::move(shape));
  };
  return narrow ? as(float{}) : as(double{});
}

class checkpoint_reader {
 public:
  explicit checkpoint_reader(const std::filesystem::path& path) : file_(path), name_(path.string()) {}

  fit_state read() const {
    const auto metadata = [&](const std::string& key) {
      const auto found = file_.metadata().find(key);
      if (found == file_.metadata().end()) refuse("lacks \"" + key + "\" in its metadata");
      return found->second;
    };
    const auto format = file_.metadata().find("format");
    if (format != file_.metadata().end() and format->second == "trimtab-checkpoint-1")
      refuse("is a checkpoint of trimtab 0.1; finish its fit with that version, or start again");
    if (format == file_.metadata().end() or format->second != checkpoint_format)
      refuse("is not a checkpoint: its metadata lacks the format " + std::string(checkpoint_format));
    fit_state state;
    state.name = "the checkpoint '" + name_ + "'";
    const auto facts = object(parse_json(metadata("facts"), name_ + ", metadata facts"), "facts");
    for (const auto& [key, value] : facts.value().items()) state.facts[key] = facts.text(key);

    const auto terms = parse_terms(parse_json(metadata("terms"), name_ + ", metadata terms"));
    const auto& shape = shape_of("history", 3);
    if (shape[0] != 1 or shape[1] == 0 or shape[2] != std::ssize(terms))
      refuse("has the history " + shape_text(shape) + "; expected one fit, at least one step, and " +
             std::to_string(terms.size()) + " terms");
    // A step takes more memory than in the file, and far more if the file stored it in a narrower type.
    if (const auto type = file_.type("history"); type != dtype::f32 and type != dtype::f64)
      refuse("has the history as " + std::string(name_of(type)) + "; expected F64 or F32");
    const auto values = file_.read<double>("history").values;
    auto next = values.begin();
    state.history.resize(static_cast<std::size_t>(shape[1]), {terms});
    for (auto& one : state.history) {
      for (auto& term : one.terms) term.value = *next++;
      if (not is_finite(one.total())) refuse("has a loss in its history that is not finite");
    }

    state.theta = numbers("theta", non_finite::refuse);
    state.first_moment = numbers("first_moment", non_finite::allow);
    state.second_moment = numbers("second_moment", non_finite::allow);
    return state;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw error(error_kind::bad_file, "'" + name_ + "' " + what);
  }
  json_object object(json value, const std::string& key) const {
    return {std::move(value), name_ + ", metadata " + key, error_kind::bad_file};
  }
  std::vector<term_value> parse_terms(const json& list) const {
    std::vector<term_value> terms;
    // A name is kept once for each step: a long one in a small file must not fill the memory.
    const auto is_term = [](const json& one) {
      return one.is_array() and one.size() == 2 and one[0].is_string() and one[1].is_number() and
             one[0].get_ref<const std::string&>().size() <= 100;
    };
    if (not list.is_array() or list.empty() or not std::ranges::all_of(list, is_term))
      refuse("has the terms " + abbreviated(list) + "; expected an array of short names with their weights");
    for (const auto& one : list) terms.push_back({one[0].get<std::string>(), one[1].get<double>(), 0, {}});
    return terms;
  }
  const std::vector<index_t>& shape_of(const std::string& tensor, std::size_t rank) const {
    const auto& shape = file_.shape(tensor);
    if (shape.size() != rank)
      refuse("has the tensor '" + tensor + "' of shape " + shape_text(shape) + "; expected " + std::to_string(rank) +
             " dimensions");
    return shape;
  }
  std::vector<double> numbers(const std::string& tensor, non_finite policy) const {
    const auto& shape = shape_of(tensor, 2);
    if (shape[0] != 1 or shape[1] != shape_of("theta", 2)[1])
      refuse("has the tensor '" + tensor + "' of shape " + shape_text(shape) +
             ", which does not match a history of one fit and its " + std::to_string(shape_of("theta", 2)[1]) +
             " parameters");
    return file_.read<double>(tensor, policy).values;
  }

  safetensors_file file_;
  std::string name_;
};

}  // namespace detail

/// Reads a checkpoint. Throws `io`, or `bad_file` for one that is malformed.
inline fit_state read_checkpoint(const std::filesystem::path& path) {
  return with_memory_for("read the checkpoint", [&] { return detail::checkpoint_reader(path).read(); });
}

/// Writes a checkpoint, replacing an existing one only when all is written. Throws `io`.
inline void write_checkpoint(const std::filesystem::path& path, const fit_state& state) {
  assert(not state.history.empty());
  const auto& first = state.history.front();
  json terms = json::array();
  for (const auto& term : first.terms) terms.push_back({term.name, term.weight});
  std::vector<double> values;
  for (const auto& one : state.history)
    for (const auto& term : one.terms) values.push_back(term.value);

  std::map<std::string, stored_tensor> tensors;
  tensors["history"] = detail::store_in_full(values, {1, std::ssize(state.history), std::ssize(first.terms)});
  const auto put = [&](const char* name, const std::vector<double>& numbers) {
    tensors[name] = detail::store_in_full(numbers, {1, std::ssize(numbers)});
  };
  put("theta", state.theta);
  put("first_moment", state.first_moment);
  put("second_moment", state.second_moment);
  write_safetensors(path, tensors,
                    {{"format", checkpoint_format},
                     {"version", std::string(version)},
                     {"facts", json(state.facts).dump()},
                     {"terms", terms.dump()}});
}

}  // namespace trimtab::io
