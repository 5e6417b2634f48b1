// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/byte_level.hpp>

#include "support/catch.hpp"

#include <set>
#include <string>

namespace trimtab::test::byte_level_tests {

TEST_CASE("each byte has a symbol of its own and comes back from it") {
  std::set<std::string> symbols;
  for (unsigned i = 0; i < 256; ++i) {
    const auto byte = static_cast<unsigned char>(i);
    const auto symbol = text::byte_level_symbol(byte);
    symbols.insert(symbol);
    CHECK(text::from_byte_level(symbol) == std::string(1, static_cast<char>(byte)));
  }
  CHECK(symbols.size() == 256);
}

TEST_CASE("symbols that everybody knows") {
  CHECK(text::byte_level_symbol(' ') == "Ġ");
  CHECK(text::byte_level_symbol('\n') == "Ċ");
  CHECK(text::byte_level_symbol('a') == "a");
  CHECK(text::byte_level_symbol(0xAD) == "\xC5\x83");  // the last of the 68, U+0143
  CHECK(text::from_byte_level("ĠcafÃ©") == " caf\xC3\xA9");
}

TEST_CASE("characters that stand for no byte") {
  CHECK(not text::from_byte_level("a b"));
  CHECK(not text::from_byte_level("日"));
  CHECK(not text::from_byte_level("\xC5\x84"));  // U+0144, one beyond the last
  CHECK(not text::from_byte_level("\xFF"));
  CHECK(text::from_byte_level("") == "");
}

}  // namespace trimtab::test::byte_level_tests
