// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>
#include <trimtab/core/view.hpp>
#include <trimtab/io/mapped_file.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// JSON files of others, read with suspicion: nlohmann's parser, and on top of it a limit on nesting and size, no key
/// twice in one object, no NUL byte (which nlohmann takes for the end), and getters whose complaint names file, key,
/// what was expected and what was found.

namespace trimtab::io {

using json = nlohmann::json;

/// Far beyond any configuration, vocabulary or shard index in use.
inline constexpr std::size_t json_size_limit = std::size_t{256} << 20;
inline constexpr std::size_t json_depth_limit = 64;

/// A JSON value as a sentence can hold it: ASCII, and not longer than a glance.
inline std::string abbreviated(json const& value) {
  auto text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

/// The value that `text` spells; `file` is named in the `error(bad_file)` that a text gets which is not JSON.
inline json parse_json(std::string_view text, std::string const& file) {
  auto const refuse = [&](std::string const& reason) {
    throw error(error_kind::bad_file, "'" + file + "' is not valid JSON: " + reason);
  };
  if (text.size() > json_size_limit)
    refuse("it has " + std::to_string(text.size()) + " bytes, more than any known use");
  if (auto const nul = text.find('\0'); nul != text.npos) refuse("byte " + std::to_string(nul) + " is NUL");

  using event = json::parse_event_t;
  std::vector<std::set<std::string>> keys_of_open_levels;
  auto const guard = [&](int, event what, json& parsed) {
    if (what == event::object_start or what == event::array_start) {
      keys_of_open_levels.emplace_back();
      if (keys_of_open_levels.size() > json_depth_limit)
        refuse("it is nested deeper than " + std::to_string(json_depth_limit) + " levels");
    } else if (what == event::object_end or what == event::array_end) {
      keys_of_open_levels.pop_back();
    } else if (what == event::key and not keys_of_open_levels.back().insert(parsed.get<std::string>()).second) {
      refuse("the key " + abbreviated(parsed) + " stands twice in one object");
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), guard);
  } catch (json::exception const& problem) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ...; last read: '...'; expected ...": the tag
    // says nothing to a user, and what was read last may be long or not even text.
    std::string reason = problem.what();
    if (auto const tag_end = reason.find("] "); tag_end != reason.npos) reason.erase(0, tag_end + 2);
    if (auto const quote = reason.find("; last read: '"); quote != reason.npos) reason.erase(quote);
    if (reason.size() > 200) reason.resize(200);
    refuse(reason);
  }
  return {};
}

/// The content of the file at `path`. Throws `error(io)` where it cannot be read, `error(bad_file)` where it is not
/// JSON.
inline json read_json_file(std::filesystem::path const& path) {
  return parse_json(mapped_file(path).text(), path.string());
}

/// An object of a JSON file that knows the file's name, with typed getters. One without a fallback requires its key;
/// null is a wrong type like any other, so a reader that gives it a meaning asks `is_null` first.
class json_object {
 public:
  /// `kind` is the kind of error that every complaint about this object gets.
  json_object(json value, std::string file, error_kind kind = error_kind::bad_config)
      : value_(std::move(value)), file_(std::move(file)), kind_(kind) {
    if (not value_.is_object())
      throw error(kind_, "'" + file_ + "' should hold a JSON object, found " + abbreviated(value_));
  }

  std::string const& file() const { return file_; }
  json const& value() const { return value_; }
  bool has(std::string const& key) const { return value_.contains(key); }
  bool is_null(std::string const& key) const { return has(key) and value_.at(key).is_null(); }

  /// A size: a whole number from 1 to 2^31 - 1, so that products of two sizes never overflow.
  index_t count(std::string const& key) const {
    auto const& entry = require(key, "a positive whole number");
    if (not entry.is_number_unsigned() or entry.get<std::uint64_t>() == 0) refuse(key, "a positive whole number");
    if (entry.get<std::uint64_t>() > 0x7fffffffu) refuse(key, "a whole number below 2^31");
    return entry.get<index_t>();
  }
  double number(std::string const& key) const {
    auto const& entry = require(key, "a number");
    if (not entry.is_number()) refuse(key, "a number");
    return entry.get<double>();
  }
  bool flag(std::string const& key) const {
    auto const& entry = require(key, "true or false");
    if (not entry.is_boolean()) refuse(key, "true or false");
    return entry.get<bool>();
  }
  std::string text(std::string const& key) const {
    auto const& entry = require(key, "a string");
    if (not entry.is_string()) refuse(key, "a string");
    return entry.get<std::string>();
  }
  json_object object(std::string const& key) const {
    auto const& entry = require(key, "an object");
    if (not entry.is_object()) refuse(key, "an object");
    return {entry, file_, kind_};
  }

  index_t count(std::string const& key, index_t fallback) const { return has(key) ? count(key) : fallback; }
  double number(std::string const& key, double fallback) const { return has(key) ? number(key) : fallback; }
  bool flag(std::string const& key, bool fallback) const { return has(key) ? flag(key) : fallback; }
  std::string text(std::string const& key, std::string const& fallback) const {
    return has(key) ? text(key) : fallback;
  }

  /// Says that the value of `key` is not what it should be.
  [[noreturn]] void refuse(std::string const& key, std::string const& expected) const {
    throw error(kind_, "'" + file_ + "': \"" + key + "\" should be " + expected + ", found " +
                           (has(key) ? abbreviated(value_.at(key)) : "nothing"));
  }

 private:
  json const& require(std::string const& key, std::string const& expected) const {
    if (not has(key)) throw error(kind_, "'" + file_ + "' lacks \"" + key + "\", which should be " + expected);
    return value_.at(key);
  }

  json value_;
  std::string file_;
  error_kind kind_;
};

}  // namespace trimtab::io
