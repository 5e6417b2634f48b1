// SPDX-License-Identifier: Apache-2.0
#include <trimtab/io/prompt_file.hpp>
#include <trimtab/text/tokenizer.hpp>

#include "fuzz.hpp"
#include "support/small_tokenizer.hpp"

#include <algorithm>

/// Prompt pairs as JSON Lines; read with a tokenizer, or without one if the first byte is odd.

using namespace trimtab;

namespace {

constexpr io::prompt_limits limits = {.vocabulary = 260, .context = 16};
constexpr io::prompt_limits with_answers = {.vocabulary = 260, .context = 16, .answers = true};
constexpr auto file = "prompts.jsonl";

void check(const prompt_pair& p) {
  const auto is_token = [](int id) { return id >= 0 and id < limits.vocabulary; };
  fuzz::require(not p.ids.empty() and std::ssize(p.ids) <= limits.context and std::ranges::all_of(p.ids, is_token));
  fuzz::require(is_token(p.correct_id) and is_token(p.wrong_id) and p.correct_id != p.wrong_id);
  for (const auto& [role, span] : p.roles)
    fuzz::require(0 <= span.first and span.first < span.last and span.last <= std::ssize(p.ids));
}

/// Checks the pairs that are read, that they are the same after they were written as ids and read again, and that they
/// are prompts to continue.
template <typename Encoder>
void check_file(std::string_view text, const Encoder& encoder) {
  const auto texts = fuzz::accepted(file, [&] { return io::parse_texts(text, file, encoder, with_answers); });
  if (texts)
    for (const auto& p : *texts) fuzz::require(not p.ids.empty() and std::ssize(p.ids) <= limits.context);
  auto pairs = fuzz::accepted(file, [&] { return io::parse_prompts(text, file, encoder, limits); });
  if (not pairs) return;
  fuzz::require(texts.has_value());
  for (auto& p : *pairs) {
    check(p);
    p.prompt = p.correct = p.wrong = {};
  }
  fuzz::require(io::parse_prompts(io::prompt_lines(*pairs), file, io::detail::no_encoder{}, limits) == *pairs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const text::tokenizer tokenizer(test::small_tokenizer_data({{"a", "b"}, {"Ġ", "ab"}}));
  if (size == 0) return 0;
  const auto text = fuzz::text_of(data + 1, size - 1);
  if (data[0] % 2 == 1)
    check_file(text, io::detail::no_encoder{});
  else
    check_file(text, tokenizer);
  return 0;
}
