// SPDX-License-Identifier: Apache-2.0
#include "made_tokenizer.hpp"

/// Reads `vocab.json` and, after a NUL, `merges.txt`, and uses the tokenizer that they make.

using namespace trimtab;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto merges = fuzz::text_of(data, size);
  const auto vocabulary = fuzz::cut_at_nul(merges);
  const std::string file = "vocab.json";
  const auto tokens = fuzz::accepted(
      file, [&] { return io::tokenizer_json_reader(file).vocabulary(io::parse_json(vocabulary, file), "the file"); });
  const auto pairs = fuzz::accepted("merges.txt", [&] { return io::merges_of(merges, "merges.txt"); });
  if (not tokens or not pairs) return 0;
  for (const auto& [left, right] : *pairs) fuzz::require(not left.empty() and not right.empty());

  text::tokenizer_data read = {.vocabulary = *tokens, .merges = *pairs};
  if (not vocabulary.starts_with(' ')) fuzz::add_byte_symbols(read);
  fuzz::check_tokenizer(read, file);
  return 0;
}
