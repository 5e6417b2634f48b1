// SPDX-License-Identifier: Apache-2.0
#include <trimtab/backend/eigen.hpp>
#include <trimtab/model/batch.hpp>

#include "support/refusal.hpp"
#include "support/small_models.hpp"

namespace trimtab::test::batch_tests {

using Catch::Matchers::ContainsSubstring;

namespace {

using B = eigen_backend<float>;
using list = std::vector<int>;

list taken(const int* from, index_t count) { return {from, from + count}; }

}  // namespace

TEST_CASE("Prompts lie one after another as rows") {
  const B backend(1);
  const std::vector<list> prompts{{5, 6, 7}, {8}, {9, 10}};
  const batch<B> rows(backend, small_gpt2::config(), prompts);
  CHECK(rows.sequences() == 3);
  CHECK(rows.rows() == 6);
  CHECK(rows.queries() == 3);
  CHECK(taken(rows.tokens(), 6) == list{5, 6, 7, 8, 9, 10});
  CHECK(taken(rows.positions(), 6) == list{0, 1, 2, 0, 0, 1});
  CHECK(taken(rows.query_rows(), 3) == list{2, 3, 5});
  CHECK(taken(rows.all().offsets, 4) == list{0, 3, 4, 6});
  CHECK(taken(rows.scored_only().query_offsets, 4) == list{0, 1, 2, 3});
  CHECK(taken(rows.scored_only().query_positions, 3) == list{2, 0, 1});
  CHECK(rows.head_row_count() == 0);  // no rotary positions

  const batch<B> all(backend, small_gpt2::config(), prompts, scored::all);
  CHECK(all.queries() == 6);
  CHECK(taken(all.query_rows(), 6) == list{0, 1, 2, 3, 4, 5});
  CHECK(taken(all.scored_only().query_positions, 6) == list{0, 1, 2, 0, 0, 1});
}

TEST_CASE("Rotary positions turn the heads of queries and keys, not of values") {
  const B backend(1);
  const batch<B> rows(backend, small_neox_parallel::config(), std::vector<list>{{1, 2}});
  CHECK(taken(rows.head_rows(), rows.head_row_count()) == list{0, 1, 2, 3, 6, 7, 8, 9});
  CHECK(taken(rows.head_positions(), rows.head_row_count()) == list{0, 0, 0, 0, 1, 1, 1, 1});
}

TEST_CASE("Tokens with known keys and values are keys but not rows") {
  const B backend(1);
  const std::vector<list> prompts{{5, 6, 7}, {8}, {9, 10}};
  const list given{2, 7, 0};  // the last token is a row in any case
  const batch<B> rows(backend, small_neox_parallel::config(), prompts, scored::last, given);
  CHECK_FALSE(rows.complete());
  CHECK(rows.keys() == 6);
  CHECK(rows.rows() == 4);
  CHECK(taken(rows.tokens(), 4) == list{7, 8, 9, 10});
  CHECK(taken(rows.positions(), 4) == list{2, 0, 0, 1});
  CHECK(taken(rows.key_rows(), 4) == list{2, 3, 4, 5});
  CHECK(taken(rows.query_rows(), 3) == list{0, 1, 3});
  CHECK(taken(rows.all().offsets, 4) == list{0, 3, 4, 6});
  CHECK(taken(rows.all().query_offsets, 4) == list{0, 1, 2, 4});
  CHECK(taken(rows.all().query_positions, 4) == list{2, 0, 0, 1});
  CHECK(taken(rows.scored_only().query_positions, 3) == list{2, 0, 1});
  CHECK(taken(rows.head_rows(), 8) == list{12, 13, 14, 15, 18, 19, 20, 21});
  CHECK(batch<B>(backend, small_gpt2::config(), prompts).complete());
}

TEST_CASE("A prompt that the model cannot read is refused") {
  const B backend(1);
  const auto read = [&](const list& ids) {
    return refusal(error_kind::bad_text, [&] { batch<B>(backend, small_gpt2::config(), std::vector<list>{{1}, ids}); });
  };
  CHECK_THAT(read({}), ContainsSubstring("empty"));
  CHECK_THAT(read(list(13, 1)), ContainsSubstring("13 tokens") && ContainsSubstring("at most 12"));
  CHECK_THAT(read({1, 23}), ContainsSubstring("token id 23") && ContainsSubstring("vocabulary of 23"));
  CHECK_THAT(read({-1}), ContainsSubstring("token id -1"));
}

}  // namespace trimtab::test::batch_tests
