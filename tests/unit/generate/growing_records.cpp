// SPDX-License-Identifier: Apache-2.0
#include <trimtab/generate/growing_records.hpp>
#include <trimtab/generate/ledger.hpp>

#include "support/refusal.hpp"

namespace trimtab::test::growing_records_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using list = std::vector<int>;

/// Records of a prompt of three tokens, the second of which is the subject, that grew by two.
list records(const position_key& key, const growth& how) {
  return records_while_growing(key, {.ids = {7, 8, 9}, .roles = {{"subject", {1, 2}}}}, {7, 8, 9, 5, 6}, how);
}

constexpr auto on_prompt = steered_phase::prompt, on_generated = steered_phase::generated;

/// An intervention at attn_out in layers 1 and 3 of 5; its records are {0, x, y} in the first and {0, 0, z} in the
/// other.
parameters three_records(double x, double y, double z) {
  parameter_block block{.site = "attn_out", .layers = {1, 3}, .positions = positions::from_end(3), .record_size = 1};
  return {{{block}}, {0, x, y, 0, 0, z}};
}

}  // namespace

TEST_CASE("By default the records of a growing text are those of the text so far") {
  CHECK(records(positions::shared(), {}) == list{0, 0, 0, 0, 0});
  CHECK(records(positions::from_end(2), {}) == list{-1, -1, -1, 1, 0});
  CHECK(records(positions::from_end(4), {}) == list{-1, 3, 2, 1, 0});
  CHECK(records(positions::role({"subject"}), {}) == list{-1, 0, -1, -1, -1});
}

TEST_CASE("An intervention can act on the prompt alone, or on what follows it") {
  CHECK(records(positions::shared(), {on_prompt}) == list{0, 0, 0, -1, -1});
  CHECK(records(positions::from_end(2), {on_prompt}) == list{-1, 1, 0, -1, -1});
  CHECK(records(positions::absolute(3), {on_prompt}) == list{0, 1, 2, -1, -1});
  CHECK(records(positions::shared(), {on_generated}) == list{-1, -1, -1, 0, 0});
  CHECK(records(positions::from_end(3), {on_generated}) == list{-1, -1, -1, 1, 0});
  CHECK(records(positions::role({"subject"}), {on_generated}) == list{-1, -1, -1, -1, -1});
}

TEST_CASE("As processed, each token keeps the record that it had as the last one") {
  for (const auto phase : {steered_phase::all, on_prompt, on_generated})
    CHECK(records(positions::shared(), {phase, true}) == records(positions::shared(), {phase}));
  CHECK(records(positions::from_end(2), {.as_processed = true}) == list{-1, 1, 0, 0, 0});
  CHECK(records(positions::from_end(2), {on_prompt, true}) == list{-1, 1, 0, -1, -1});
  CHECK(records(positions::from_end(2), {on_generated, true}) == list{-1, -1, -1, 0, 0});
  CHECK(records(positions::role({"subject"}), {.as_processed = true}) == list{-1, 0, -1, -1, -1});
}

TEST_CASE("Absolute positions cannot follow a text that grows") {
  for (const growth& how : {growth{}, {on_generated}, {.as_processed = true}})
    CHECK_THAT(refusal(error_kind::bad_argument, [&] { records(positions::absolute(3), how); }),
               ContainsSubstring("generated text has no fixed length"));
  CHECK_THAT(refusal(error_kind::mismatch, [] { records(positions::absolute(4), {on_prompt}); }),
             ContainsSubstring("a prompt has 3"));
}

TEST_CASE("A record of zeros is inactive") {
  const auto values = three_records(1, 0, 2);
  const active_records active(values, 0);
  CHECK(active.in_any(1));
  CHECK(active.in_any(2));
  CHECK_FALSE(active.in_any(0));
  CHECK_FALSE(active.in_any(-1));
  CHECK(active.in_layer(0, 1));
  CHECK_FALSE(active.in_layer(0, 2));
  CHECK_FALSE(active.in_layer(1, 1));
  CHECK(active.in_layer(1, 2));
}

TEST_CASE("The ledger counts each token once, by layer, in the prompt and after it") {
  const auto values = three_records(1, 0, 2);
  const active_records active(values, 0);
  ledger tokens(5, 3);
  tokens.note(active, {2, 1, 0});
  tokens.note(active, {-1, 2, 1, 0});
  tokens.note(active, {-1, -1, 2, 1, 0});
  const auto counts = tokens.counts();
  REQUIRE(counts.size() == 1);
  const std::vector<touched_tokens> expected{{0, 0}, {2, 1}, {0, 0}, {3, 0}, {0, 0}};
  CHECK(counts.at("attn_out") == expected);
}

TEST_CASE("An intervention that can touch nothing is refused before the first token") {
  const prompt_pair prompt{.ids = {7, 8, 9}, .roles = {{"subject", {1, 2}}}};
  const auto check = [&](const parameters& values, index_t new_tokens, const growth& how) {
    const std::vector<active_records> all{active_records(values, 0)};
    require_touched(all, prompt, 0, new_tokens, how);
  };
  const auto refused = [&](const parameters& values, index_t new_tokens, const growth& how) {
    return refusal(error_kind::bad_argument, [&] { check(values, new_tokens, how); });
  };
  check(three_records(0, 0, 1), 1, {});
  CHECK_THAT(refused(three_records(0, 0, 0), 40, {}),
             ContainsSubstring("touches no token of prompt 1") and ContainsSubstring("attn_out on the last 3 tokens"));
  // Record 2 belongs to the third token from the end, which is a generated one from the third on; the fourth runs it.
  check(three_records(0, 0, 1), 4, {on_generated});
  CHECK_THAT(refused(three_records(0, 0, 1), 3, {on_generated}), ContainsSubstring("in generated text only"));
  check(three_records(1, 0, 0), 3, {on_generated});
  CHECK_THAT(refused(three_records(1, 0, 0), 40, {on_generated, true}), ContainsSubstring("prompt 1"));
  auto by_role = three_records(1, 1, 1);
  by_role.layout.blocks.front().positions = positions::role({"object", "name", "end"});
  CHECK_THAT(refused(by_role, 40, {}),
             ContainsSubstring("the roles object, name, end") and ContainsSubstring("3 tokens, the roles subject"));
}

}  // namespace trimtab::test::growing_records_tests
