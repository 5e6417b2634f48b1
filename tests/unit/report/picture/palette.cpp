// SPDX-License-Identifier: Apache-2.0

#include "support/catch.hpp"

#include <trimtab/report/picture/palette.hpp>

namespace trimtab::test::palette_tests {

using report::colour;

TEST_CASE("Contrast is that of WCAG 2.1") {
  CHECK(report::contrast(report::rgb(0xffffff), report::rgb(0x000000)) == 21);
  CHECK(std::abs(report::contrast(report::rgb(0x777777), report::rgb(0xffffff)) - 4.48) < 0.01);
  CHECK(report::contrast(report::rgb(0x123456), report::rgb(0x123456)) == 1);
}

TEST_CASE("Everything can be read, on screens light and dark") {
  for (const report::theme& t : {report::light, report::dark}) {
    CAPTURE(report::hex(t.page));
    for (colour surface : {t.page, t.panel}) {
      CHECK(report::contrast(t.text, surface) >= 7);
      CHECK(report::contrast(t.muted, surface) >= 4.5);
    }
    for (colour mark : t.marks) CHECK(report::contrast(mark, t.page) >= 3);
    CHECK(report::contrast(t.marks[0], t.page) >= 4.5);  // links
    for (int step = -report::shades; step <= report::shades; ++step)
      CHECK(report::contrast(report::ink_on(report::shade(t, step)), report::shade(t, step)) >= 4.5);
  }
}

TEST_CASE("A scale grows away from the page on both sides") {
  for (const report::theme& t : {report::light, report::dark})
    for (int sign : {-1, 1})
      for (int step = 1; step < report::shades; ++step) {
        CAPTURE(sign * step);
        CHECK(report::contrast(report::shade(t, sign * step), t.page) <
              report::contrast(report::shade(t, sign * (step + 1)), t.page));
      }
}

TEST_CASE("Only the centre of a scale has colour step 0") {
  CHECK(report::step_of(0, 3) == 0);
  CHECK(report::step_of(1e-300, 3) == 1);
  CHECK(report::step_of(-1e-300, 3) == -1);
  CHECK(report::step_of(3, 3) == report::shades);
  CHECK(report::step_of(-3, 3) == -report::shades);
  CHECK(report::step_of(1.51, 3) == 6);
  CHECK(report::step_of(0, 0) == 0);
}

}  // namespace trimtab::test::palette_tests
