// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/files/input_file.hpp>
#include <trimtab/io/json/json_text.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// Untrusted JSON files: parsed as json_text.hpp says, with getters whose errors name the file, the key, what was
/// expected and what was found.

namespace trimtab::io {

/// The content of the file at `path`. Throws `error(io)` where it cannot be read, `error(bad_file)` where it is not
/// JSON.
inline json read_json_file(const std::filesystem::path& path) {
  const auto file = input_file(path);
  detail::check_json_size(file.size(), path.string());
  return parse_json(file.text(), path.string());
}

/// What a reader did with the entries of an object.
struct json_entries {
  json read = json::object();              ///< those that it asked for and found
  json defaulted = json::object();         ///< those that it asked for, with the values that it took instead
  std::vector<std::string> not_used = {};  ///< the keys that it did not ask for
};

/// An object of a JSON file that knows the file's name, with typed getters. A getter without a fallback requires its
/// key; null is a wrong type, so readers that give it a meaning check `is_null` first. Copies share the record of what
/// was asked for.
class json_object {
 public:
  /// `kind` is the kind of every error about this object.
  json_object(json value, std::string file, error_kind kind = error_kind::bad_config)
      : value_(std::move(value)), file_(std::move(file)), kind_(kind) {
    if (not value_.is_object())
      throw error(kind_, "'" + file_ + "' should hold a JSON object, found " + abbreviated(value_));
  }

  const std::string& file() const { return file_; }
  const json& value() const { return value_; }
  bool has(const std::string& key) const {
    asked_->try_emplace(key);
    return value_.contains(key);
  }
  /// Notes that an entry counts, for a reader that goes through all of them.
  void use(const std::string& key) const { asked_->try_emplace(key); }
  bool is_null(const std::string& key) const { return has(key) and value_.at(key).is_null(); }

  /// A size: a whole number from 1 to 2^31 - 1, so that products of two sizes never overflow.
  index_t count(const std::string& key) const {
    const auto& entry = require(key, "a positive whole number");
    if (not entry.is_number_unsigned() or entry.get<std::uint64_t>() == 0) refuse(key, "a positive whole number");
    if (entry.get<std::uint64_t>() > 0x7fffffffu) refuse(key, "a whole number below 2^31");
    return entry.get<index_t>();
  }
  double number(const std::string& key) const {
    const auto& entry = require(key, "a number");
    if (not entry.is_number()) refuse(key, "a number");
    return entry.get<double>();
  }
  bool flag(const std::string& key) const {
    const auto& entry = require(key, "true or false");
    if (not entry.is_boolean()) refuse(key, "true or false");
    return entry.get<bool>();
  }
  std::string text(const std::string& key) const {
    const auto& entry = require(key, "a string");
    if (not entry.is_string()) refuse(key, "a string");
    return entry.get<std::string>();
  }
  json_object object(const std::string& key) const {
    const auto& entry = require(key, "an object");
    if (not entry.is_object()) refuse(key, "an object");
    return {entry, file_, kind_};
  }

  index_t count(const std::string& key, index_t fallback) const { return has(key) ? count(key) : kept(key, fallback); }
  double number(const std::string& key, double fallback) const { return has(key) ? number(key) : kept(key, fallback); }
  bool flag(const std::string& key, bool fallback) const { return has(key) ? flag(key) : kept(key, fallback); }
  std::string text(const std::string& key, const std::string& fallback) const {
    return has(key) ? text(key) : kept(key, fallback);
  }

  /// What was asked for so far. Of an entry without a fallback that is not there, nothing is said.
  json_entries entries() const {
    json_entries found;
    for (const auto& [key, fallback] : *asked_)
      if (value_.contains(key))
        found.read[key] = value_.at(key);
      else if (not fallback.is_null())
        found.defaulted[key] = fallback;
    for (const auto& [key, value] : value_.items())
      if (not asked_->contains(key)) found.not_used.push_back(key);
    return found;
  }

  /// Throws that the value of `key` is not what was `expected`.
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const {
    throw error(kind_, "'" + file_ + "': " + abbreviated(key) + " should be " + expected + ", found " +
                           (has(key) ? abbreviated(value_.at(key)) : "nothing"));
  }

 private:
  const json& require(const std::string& key, const std::string& expected) const {
    if (not has(key)) throw error(kind_, "'" + file_ + "' lacks \"" + key + "\", which should be " + expected);
    return value_.at(key);
  }

  template <typename T>
  const T& kept(const std::string& key, const T& fallback) const {
    asked_->insert_or_assign(key, json(fallback));
    return fallback;
  }

  json value_;
  std::string file_;
  error_kind kind_;
  std::shared_ptr<std::map<std::string, json>> asked_ = std::make_shared<std::map<std::string, json>>();
};

}  // namespace trimtab::io
