// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/error.hpp>

#include "catch.hpp"

#include <string>

/// For tests of bad input: that it is refused, with which kind of error and with which sentence.

namespace trimtab::test {

/// The sentence of the `error` of this kind that `call()` throws. If it throws none, a check fails and the reason is
/// returned.
template <typename Call>
std::string refusal(error_kind kind, Call&& call) {
  try {
    call();
  } catch (const error& problem) {
    CAPTURE(std::string(problem.what()));
    CHECK(problem.kind() == kind);
    return problem.what();
  }
  FAIL_CHECK("expected a refusal, but nothing was thrown");
  return {};
}

}  // namespace trimtab::test
