// SPDX-License-Identifier: Apache-2.0
#include <trimtab/task/prompt_pair.hpp>
#include <trimtab/text/tokenizer.hpp>

#include "support/catch.hpp"
#include "support/word_tokenizer.hpp"

namespace trimtab::test::prompt_pair_tests {

static_assert(task::text_encoder<text::tokenizer>);
static_assert(task::text_encoder<test::word_tokenizer>);
static_assert(not task::text_encoder<int>);

TEST_CASE("An answer's id, if it is one token") {
  const test::word_tokenizer tokenizer(5);
  CHECK(task::single_token(tokenizer, " Mary") == tokenizer.encode(" Mary").front());
  CHECK_FALSE(task::single_token(tokenizer, " Elizabeth"));
  CHECK_FALSE(task::single_token(tokenizer, " Mary and"));
  CHECK_FALSE(task::single_token(tokenizer, ""));
}

}  // namespace trimtab::test::prompt_pair_tests
