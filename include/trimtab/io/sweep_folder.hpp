// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/version.hpp>
#include <trimtab/io/files/atomic_file.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/io/json/json.hpp>
#include <trimtab/text/utf8.hpp>
#include <trimtab/train/checkpoint.hpp>

#include <charconv>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

/// The folder of a sweep: `sweep.json` says what was asked, and every finished point has `point-0007.safetensors`, its
/// intervention, and `point-0007.json`, its figures. The figures are written last, so a point that has them is whole,
/// whenever the sweep was killed; the next run of the same sweep does not fit it again. The fit of a half of the train
/// prompts is one file, `half-0003.safetensors`, and is not repeated either.

namespace trimtab::io {

class sweep_folder {
 public:
  /// Makes the folder, or opens that of an earlier run. Throws `mismatch` for one of another sweep, with the
  /// differences, and for one with other files in it; `io`, and `bad_file` for a malformed `sweep.json`.
  sweep_folder(std::filesystem::path folder, const fit_facts& asked) : folder_(std::move(folder)) {
    std::error_code failed;
    std::filesystem::create_directories(folder_, failed);
    if (failed) throw error(error_kind::io, "cannot make the folder '" + folder_.string() + "': " + failed.message());
    read_path(asked);
    const auto about = folder_ / "sweep.json";
    if (not std::filesystem::exists(about)) {
      require_empty();
      write_file_atomically(about, json{{"format", format}, {"version", version}, {"asked", asked}}.dump(1) + "\n");
      return;
    }
    if (const std::string differences = differences_of(read_asked(), asked); not differences.empty())
      throw error(error_kind::mismatch, "'" + folder_.string() + "' holds another sweep: " + differences +
                                            "; give another folder, or repeat the options of that sweep");
  }

  /// Opens the folder of an earlier run, to read from it. Throws `mismatch` for a folder without a sweep; `io`, and
  /// `bad_file` for a malformed `sweep.json`.
  explicit sweep_folder(std::filesystem::path folder) : folder_(std::move(folder)) {
    if (not std::filesystem::exists(folder_ / "sweep.json"))
      throw error(error_kind::mismatch, "'" + folder_.string() + "' holds no sweep: it has no sweep.json");
    read_path(read_asked());
  }

  /// The fact "path" of a sweep that goes down one.
  static std::string path_text(index_t values, const std::string& end) {
    return std::to_string(values) + " values to " + end;
  }
  /// How many points each path of this sweep has; 0 for a sweep without a path.
  std::size_t path_values() const { return path_values_; }

  /// The figures of a point that an earlier run finished, as they were written. Throws `io` and `bad_file`.
  std::optional<std::string> figures(std::size_t point) const {
    const auto path = file("point", point, ".json");
    if (not std::filesystem::exists(path)) return std::nullopt;
    const std::string text(input_file(path).text());
    parse_json(text, path.string());
    return text;
  }
  intervention_file intervention(std::size_t point) const {
    return read_intervention(file("point", point, ".safetensors"));
  }

  /// Keeps a finished point. Throws `io`, and what `intervention_bytes` throws.
  void write(std::size_t point, const intervention_file& intervention, const std::string& figures) const {
    write_intervention(file("point", point, ".safetensors"), intervention);
    write_file_atomically(file("point", point, ".json"), figures);
  }

  /// The fit of a half that an earlier run finished. Throws `io` and `bad_file`.
  std::optional<intervention_file> half(std::size_t number) const {
    const auto path = file("half", number, ".safetensors");
    if (not std::filesystem::exists(path)) return std::nullopt;
    return read_intervention(path);
  }
  /// Keeps the fit of a half. Throws as `write` does.
  void write_half(std::size_t number, const intervention_file& intervention) const {
    write_intervention(file("half", number, ".safetensors"), intervention);
  }

  std::filesystem::path file(const std::string& what, std::size_t number, const std::string& ending) const {
    char digits[24];
    std::snprintf(digits, sizeof digits, "%04zu", number);
    return folder_ / (what + "-" + digits + ending);
  }

 private:
  static constexpr const char* format = "trimtab-sweep-1";

  void read_path(const fit_facts& asked) {
    const auto path = asked.find("path");
    if (path == asked.end()) return;
    const auto* const end = path->second.data() + path->second.size();
    if (std::from_chars(path->second.data(), end, path_values_).ec != std::errc())
      throw error(error_kind::bad_file, "'" + folder_.string() + "' says of its path " + text::in_quotes(path->second) +
                                            ", which does not begin with a number");
  }

  fit_facts read_asked() const {
    const auto about = folder_ / "sweep.json";
    const json_object found(read_json_file(about), about.string(), error_kind::bad_file);
    if (found.text("format") != format) found.refuse("format", "\"" + std::string(format) + "\"");
    fit_facts asked;
    for (const json_object facts = found.object("asked"); const auto& entry : facts.value().items())
      asked[entry.key()] = facts.text(entry.key());
    return asked;
  }

  /// A sweep that was killed while it wrote `sweep.json` leaves a hidden file.
  void require_empty() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      if (const auto name = entry.path().filename().string(); not name.starts_with('.'))
        throw error(error_kind::mismatch,
                    "'" + folder_.string() + "' holds '" + name + "' and no sweep; give a folder that is new or empty");
  }

  std::filesystem::path folder_;
  std::size_t path_values_ = 0;
};

}  // namespace trimtab::io
