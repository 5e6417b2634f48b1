// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Untrusted JSON: nlohmann's parser with limits on size and nesting, no key twice in one object, and no NUL byte
/// (which nlohmann takes for the end). Values are built here from the parser's events: nlohmann's own parser callback
/// scans the whole object whenever one of its members ends, which takes hours for the millions of small objects that
/// fit into one file.

namespace trimtab::io {

using json = nlohmann::json;

/// Far beyond any configuration, vocabulary or shard index in use.
inline constexpr std::size_t json_size_limit = std::size_t{256} << 20;
inline constexpr std::size_t json_depth_limit = 64;
/// A value of three bytes, `{},`, takes about a hundred in memory; no file in use has a million.
inline constexpr std::size_t json_value_limit = 4'000'000;

/// A JSON value for a message: ASCII, at most 60 characters.
inline std::string abbreviated(const json& value) {
  auto text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

namespace detail {

[[noreturn]] inline void refuse_json(const std::string& file, const std::string& reason) {
  throw error(error_kind::bad_file, "'" + file + "' is not valid JSON: " + reason);
}

inline void check_json_size(std::size_t size, const std::string& file) {
  if (size > json_size_limit)
    refuse_json(file,
                "it has " + std::to_string(size) + " bytes, more than the limit of " + std::to_string(json_size_limit));
}

/// Builds a value from the events of nlohmann's parser, which prescribes these names.
class json_builder {
 public:
  explicit json_builder(const std::string& file) : file_(file) {}

  json take() { return std::move(root_); }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(json::binary_t&) { return false; }  // JSON as text has none

  bool start_object(std::size_t) { return open(json::object()); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    const auto [member, is_new] = open_.back()->emplace(name, nullptr);
    if (not is_new) refuse_json(file_, "the key " + abbreviated(name) + " occurs twice in one object");
    member_ = &*member;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const json::exception& problem) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ...; last read: '...'; expected ...": the tag
    // says nothing to a user, and what was read last may be long or not even text.
    std::string reason = problem.what();
    if (const auto tag_end = reason.find("] "); tag_end != reason.npos) reason.erase(0, tag_end + 2);
    if (const auto quote = reason.find("; last read: '"); quote != reason.npos) reason.erase(quote);
    if (reason.size() > 200) reason.resize(200);
    refuse_json(file_, reason);
  }

 private:
  json& put(json value) {
    if (++count_ > json_value_limit)
      refuse_json(file_, "it holds more than " + std::to_string(json_value_limit) + " values");
    if (open_.empty()) return root_ = std::move(value);
    if (open_.back()->is_object()) return *member_ = std::move(value);
    open_.back()->push_back(std::move(value));
    return open_.back()->back();
  }
  bool add(json value) {
    put(std::move(value));
    return true;
  }
  bool open(json empty) {
    if (open_.size() == json_depth_limit)
      refuse_json(file_, "it is nested deeper than " + std::to_string(json_depth_limit) + " levels");
    // Pointers to open values stay valid: a container grows only after its last member is closed.
    open_.push_back(&put(std::move(empty)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string& file_;
  json root_ = {};
  std::vector<json*> open_ = {};
  json* member_ = nullptr;  ///< the one whose key was read last
  std::size_t count_ = 0;
};

}  // namespace detail

/// The value of the JSON in `text`. Throws `bad_file`, naming `file`, if it is not JSON.
inline json parse_json(std::string_view text, const std::string& file) {
  detail::check_json_size(text.size(), file);
  if (const auto nul = text.find('\0'); nul != text.npos)
    detail::refuse_json(file, "byte " + std::to_string(nul) + " is NUL");
  detail::json_builder builder(file);
  json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

}  // namespace trimtab::io
