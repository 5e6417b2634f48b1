// SPDX-License-Identifier: Apache-2.0
#include "made_tokenizer.hpp"

/// `tokenizer.json`, and the tokenizer that it makes.

using namespace trimtab;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  auto const text = fuzz::text_of(data, size);
  std::string const file = "tokenizer.json";
  auto read = fuzz::accepted(file, [&] { return io::tokenizer_json_reader(file).whole(io::parse_json(text, file)); });
  if (not read) return 0;
  if (not text.starts_with(' ')) fuzz::add_byte_symbols(*read);
  fuzz::check_tokenizer(*read, file);
  return 0;
}
