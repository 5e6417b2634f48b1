// SPDX-License-Identifier: Apache-2.0

#include <trimtab/model/hash.hpp>

#include "support/catch.hpp"

#include <initializer_list>
#include <set>
#include <string>

namespace trimtab::test::hash_tests {

namespace {

std::string hash_of(std::initializer_list<std::string> parts) {
  byte_hash hash;
  for (const auto& part : parts) hash.add(part);
  return hash.text();
}

}  // namespace

TEST_CASE("The hash is the documented one: saved files contain it") {
  // Computed by a Python implementation of the documented formula.
  CHECK(hash_of({}) == "cbf29ce484222325");
  CHECK(hash_of({""}) == "af63bd4c29620a93");
  CHECK(hash_of({"trimtab"}) == "6c61288a6b1440c2");
  CHECK(hash_of({"0123456789abcdef0"}) == "a2a7353e3b1bac53");
}

TEST_CASE("Parts, order, length and every bit matter") {
  std::set<std::string> seen = {hash_of({"ab", "c"}),
                                hash_of({"a", "bc"}),
                                hash_of({"abc"}),
                                hash_of({"c", "ab"}),
                                hash_of({std::string("abc\0", 4)}),
                                hash_of({"abc", ""})};
  CHECK(seen.size() == 6);
  const std::string text(40, 'x');
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    auto changed = text;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    seen.insert(hash_of({changed}));
  }
  CHECK(seen.size() == 6 + 8 * text.size());
}

}  // namespace trimtab::test::hash_tests
