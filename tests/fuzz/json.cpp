// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/json/json.hpp>

#include "fuzz.hpp"

/// Parses JSON: an accepted text has the value that nlohmann's own parser gives it, also after it was written again.

using namespace trimtab;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  const auto parsed = fuzz::accepted("file.json", [&] { return io::parse_json(text, "file.json"); });
  const auto expected = io::json::parse(text, nullptr, false);
  if (not parsed) {
    // JSON with a repeated key, or with too many levels, is refused as well. Anything else that is refused is not JSON.
    const bool has_twice = not expected.is_discarded() and std::ranges::count(text, ':') > 1;
    const bool is_deep = std::ranges::count_if(text, [](char c) { return c == '[' or c == '{'; }) > 64;
    fuzz::require(expected.is_discarded() or has_twice or is_deep or text.find('\0') != text.npos);
    return 0;
  }
  fuzz::require(*parsed == expected);
  fuzz::require(io::parse_json(parsed->dump(), "file.json") == expected);
  fuzz::require(fuzz::is_sentence(io::abbreviated(*parsed)));
  return 0;
}
