// SPDX-License-Identifier: Apache-2.0
#include "made_tokenizer.hpp"

/// Reads `tokenizer.json`, and uses the tokenizer that it makes.

using namespace trimtab;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text_of(data, size);
  const std::string file = "tokenizer.json";
  auto read = fuzz::accepted(file, [&] { return io::tokenizer_json_reader(file).whole(io::parse_json(text, file)); });
  if (not read) return 0;
  if (not text.starts_with(' ')) fuzz::add_byte_symbols(*read);
  fuzz::check_tokenizer(*read, file);
  return 0;
}
