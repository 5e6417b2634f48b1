// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

/// What a check of an adjoint finds, and how it says so.

namespace trimtab {

/// How much one gradient differs from the derivatives, and where most. Differences are relative to the row's largest
/// derivative with respect to that operand, or to 0.1 if that is smaller; infinite for NaN and infinities.
struct adjoint_difference {
  std::string operand = {};              ///< "d_h", "d(alpha)", in a sequence "d(0.alpha)"
  double max_difference = 0;             ///< between the written gradient and the complex step
  double max_derivative_doubt = 0;       ///< between central differences and the complex step
  std::string place = {};                ///< "row 2, channel 5": where it is farthest
  double written = 0;                    ///< the written gradient there
  double complex_step = 0, central = 0;  ///< the derivatives there
  std::string hint = {};                 ///< a mistake that explains all differences, or empty

  static constexpr double tolerance = 1e-9, derivative_tolerance = 1e-6;

  bool is_right() const { return max_difference <= tolerance; }
  /// Whether the two derivatives agree; if not, the gradient cannot be checked.
  bool is_certain() const { return max_derivative_doubt <= derivative_tolerance; }
};

/// What `check_adjoint` found.
struct adjoint_check {
  std::string function = {};                      ///< "backward" or "gradient"
  std::vector<adjoint_difference> operands = {};  ///< `d_h` and each parameter of a policy; `d_h` of a term
  index_t rows = 0;
  index_t width = 0;
  index_t moved = 0;           ///< rows that were too close to a branch and were drawn again
  bool right_in_place = true;  ///< for a policy that works in place: `forward` computes the same there

  bool passes() const {
    return right_in_place and
           std::ranges::all_of(operands, [](const adjoint_difference& d) { return d.is_right() and d.is_certain(); });
  }
  /// One sentence per operand that differs, or one that says that all agree.
  std::string text() const;
};

namespace detail {

inline std::string short_number(double x) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.4g", x);
  return digits;
}

}  // namespace detail

inline std::string adjoint_check::text() const {
  using detail::short_number;
  std::string sentences, names;
  double difference = 0, doubt = 0;
  for (const adjoint_difference& d : operands) {
    names += (names.empty() ? "`" : ", `") + d.operand + "`";
    difference = std::max(difference, d.max_difference);
    doubt = std::max(doubt, d.max_derivative_doubt);
    if (d.is_right() and d.is_certain()) continue;
    const std::string derivatives =
        "the complex step " + short_number(d.complex_step) + ", central differences " + short_number(d.central);
    if (not sentences.empty()) sentences += "\n";
    if (d.is_certain())
      sentences += "`" + d.operand + "` differs by " + short_number(d.max_difference) + " at " + d.place + ": " +
                   function + " gives " + short_number(d.written) + ", " + derivatives +
                   (d.hint.empty() ? "" : "; " + d.hint);
    else
      sentences += "`" + d.operand + "` cannot be checked at " + d.place + ": " + derivatives + " (" + function +
                   " gives " + short_number(d.written) +
                   "); the function is NaN or infinite there, has no derivative, or drops it in a cast to double";
  }
  if (not right_in_place)
    sentences += std::string(sentences.empty() ? "" : "\n") +
                 "`forward` computes something else where `out` and `h` are the same memory; leave out `in_place`";
  if (not sentences.empty()) return sentences;
  return names + " of " + function + " agree with the complex step to " + short_number(difference) +
         ", and the complex step with central differences to " + short_number(doubt) + ", on " + std::to_string(rows) +
         " rows of " + std::to_string(width) + " channels";
}

}  // namespace trimtab
