// SPDX-License-Identifier: Apache-2.0
#include <trimtab/text/normalize.hpp>

#include "support/catch.hpp"
#include "support/random_text.hpp"
#include "support/refusal.hpp"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace trimtab::test::normalize_tests {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("marks join their letters in canonical order") {
  CHECK(text::nfc("cafe\u0301") == "caf\u00E9");
  CHECK(text::nfc("s\u0307\u0323") == "\u1E69");  // dot above, dot below: in canonical order the one below comes first
  CHECK(text::nfc("\u1100\u1161\u11A8") == "\uAC01");
  CHECK(text::nfc("\uAC00\u11A8") == "\uAC01");
  CHECK(text::nfc("\u212B") == "\u00C5");        // ANGSTROM SIGN is a letter
  CHECK(text::nfc("\u0958") == "\u0915\u093C");  // excluded from composition
  CHECK(text::nfc("\U0001D15E") == "\U0001D157\U0001D165");
  CHECK(text::nfc("\u2460\uFB01") == "\u2460\uFB01");  // compatibility characters stay
  CHECK(text::nfc(std::string("a\0b", 3)) == std::string("a\0b", 3));
}

TEST_CASE("U+11A7 is no trailing consonant of Hangul and is not lost") {
  CHECK(text::nfc("\u1100\u1161\u11A7") == "\uAC00\u11A7");
  CHECK(text::nfc("\uAC00\u11A7\u11A8") == "\uAC00\u11A7\u11A8");
  CHECK(text::nfc("\u11A7\u1100\u1161\u11A7\u0301\u0316e\u0301") == "\u11A7\uAC00\u11A7\u0316\u0301\u00E9");
  CHECK(text::nfc("\uAC00\u11A7\u11A7") == "\uAC00\u11A7\u11A7");
}

TEST_CASE("the sorted order is utf8proc's own") {
  std::mt19937 generator(3);
  for (int i = 0; i < 2000; ++i) {
    const auto text = test::random_text(generator);
    utf8proc_uint8_t* composed = nullptr;
    const auto length =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                     &composed, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
    REQUIRE(length >= 0);
    CHECK(text::nfc(text) == std::string(composed, composed + length));
  }
}

TEST_CASE("what is not UTF-8 has no normal form") {
  CHECK_THAT(test::refusal(error_kind::bad_text, [] { text::nfc("e\xCC"); }), ContainsSubstring("not valid UTF-8"));
}

TEST_CASE("normal form C is its own normal form") {
  std::mt19937 generator(4);
  for (int i = 0; i < 500; ++i) {
    const auto once = text::nfc(test::random_text(generator));
    CHECK(text::nfc(once) == once);
  }
}

TEST_CASE("ordering a megabyte of marks is fast, and marks of one class keep their order") {
  std::string marks;
  std::string below;
  std::string above;
  for (int i = 0; i < (1 << 18); ++i) {
    const auto* const mark = i % 3 == 0 ? "\u030D" : "\u030E";
    marks += std::string(mark) + "\u0323";
    below += "\u0323";
    above += mark;
  }
  CHECK((text::nfc(marks) == below + above));
}

}  // namespace trimtab::test::normalize_tests
