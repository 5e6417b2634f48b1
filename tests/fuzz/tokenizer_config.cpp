// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/huggingface/end_tokens.hpp>
#include <trimtab/io/huggingface/tokenizer_config.hpp>

#include "made_tokenizer.hpp"

#include <set>
#include <string>
#include <string_view>

/// Reads `tokenizer_config.json` and, after a NUL each, `special_tokens_map.json` and `added_tokens.json`, adds their
/// tokens to a small vocabulary, and uses the tokenizer that they make. The first file is read for end tokens as well.

using namespace trimtab;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto added_text = fuzz::text_of(data, size);
  const auto config_text = fuzz::cut_at_nul(added_text), map_text = fuzz::cut_at_nul(added_text);
  const auto parsed = [](std::string_view text, const std::string& file) {
    return text.empty() ? io::json()
                        : fuzz::accepted(file, [&] { return io::parse_json(text, file); }).value_or(io::json());
  };
  const auto config = parsed(config_text, "tokenizer_config.json");
  const auto map = parsed(map_text, "special_tokens_map.json");
  const auto added = parsed(added_text, "added_tokens.json");
  if (config.is_object() and config.contains("eos_token_id"))
    fuzz::accepted("config.json",
                   [&] { return io::detail::token_ids_in(io::json_object(config, "config.json"), "eos_token_id"); });

  const auto read = fuzz::accepted(
      ".json", [&] { return io::detail::tokenizer_config_reader("", io::json(), config, map, added).take(); });
  if (not read) return 0;
  for (std::size_t i = 1; i < read->added.size(); ++i) fuzz::require(read->added[i - 1].id <= read->added[i].id);
  for (const auto& special : read->special) fuzz::require(not special.token.content.empty());

  auto made = test::small_tokenizer_data({{"a", "b"}});
  io::added_token_ids ids(made);
  const auto fits = fuzz::accepted(".json", [&] {
    for (const auto& token : read->added) ids.add_stated(token, read->added_file);
    io::detail::add_special(ids, *read);
    return true;
  });
  if (not fits) return 0;
  std::set<int> known;
  for (const auto& token : made.added_tokens) fuzz::require(known.insert(token.id).second);
  fuzz::check_tokenizer(made, ".json");
  return 0;
}
