// SPDX-License-Identifier: Apache-2.0

#include <trimtab/text/nearest_name.hpp>

#include "support/catch.hpp"

#include <string>
#include <vector>

namespace trimtab::test::nearest_name_tests {

namespace {
const std::vector<std::string> sites = {"resid_pre", "attn_z",  "attn_out",  "resid_mid",
                                        "mlp_post",  "mlp_out", "resid_post"};
}

TEST_CASE("An unknown name is taken for the nearest known one") {
  CHECK(nearest_name("atn_out", sites) == "attn_out");     // one letter too few
  CHECK(nearest_name("mlp_outt", sites) == "mlp_out");     // one letter too many
  CHECK(nearest_name("resid_nid", sites) == "resid_mid");  // one wrong letter
  CHECK(nearest_name("mlp_psot", sites) == "mlp_post");    // two letters swapped
  CHECK(nearest_name("Attn-Out", sites) == "attn_out");    // only case and hyphens differ
  CHECK(nearest_name("attn_out", sites) == "attn_out");
}

TEST_CASE("The distance counts inserted, deleted, replaced and swapped letters") {
  CHECK(detail::edits_between("", "") == 0);
  CHECK(detail::edits_between("", "abc") == 3);
  CHECK(detail::edits_between("abc", "") == 3);
  CHECK(detail::edits_between("kitten", "sitting") == 3);
  CHECK(detail::edits_between("ab", "ba") == 1);
  CHECK(detail::edits_between("ca", "abc") == 3);  // a swapped pair is not edited again
  CHECK(detail::edits_between("A_b", "a-B") == 0);
}

TEST_CASE("A name that is like no other is left alone") {
  CHECK(not nearest_name("head", sites));
  CHECK(not nearest_name("", sites));
  CHECK(not nearest_name("xyz", std::vector<std::string>{}));
  CHECK(not nearest_name(std::string(1'000'000, 'a'), std::vector{std::string(1'000'001, 'a')}));
}

TEST_CASE("A guess ends a sentence, or nothing does") {
  CHECK(did_you_mean("mpl_out", sites) == "; did you mean 'mlp_out'?");
  CHECK(did_you_mean("chess", std::vector<std::string_view>{"ioi", "ccc"}).empty());
}

}  // namespace trimtab::test::nearest_name_tests
