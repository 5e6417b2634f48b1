// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/check/derivatives.hpp>
#include <trimtab/check/dual.hpp>
#include <trimtab/check/plain_row.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/core/objective.hpp>
#include <trimtab/core/policy.hpp>
#include <trimtab/core/prompt_data.hpp>
#include <trimtab/core/random.hpp>
#include <trimtab/core/view.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// Checks the adjoint of a custom policy or term, before a fit is spent on it:
///
///     const auto found = check_adjoint(my_policy{});
///     if (not found.passes()) std::cerr << found.text();
///     // `d_h` differs by 1 at row 2, channel 5: backward gives 2.3, the complex step 1.15, central differences 1.15;
///     // everywhere it is 2 times what it should be
///
/// Every number that `backward` or `gradient` gives is compared with two derivatives of `forward` or `value` in double:
/// the complex step, exact to rounding, and central differences, which do not depend on `dual`. A function may have
/// branches: a row so close to one that central differences cross it is drawn again.

namespace trimtab {

struct adjoint_options {
  index_t width = 17;      ///< channels of a row; tokens of the vocabulary for a term
  index_t rows = 8;        ///< random rows, at the strengths 1, -1, 0.5 and -1.5 in turn
  double scale = 1;        ///< standard deviation of activations and logits
  std::uint64_t seed = 1;  ///< of all random numbers
};

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

/// An operand with a gradient, and where its numbers are among all inputs.
struct checked_operand {
  std::string label;
  index_t offset, count;
  index_t channels;  ///< 0 for a parameter per row
  bool several;      ///< several numbers per row, or rows of a matrix

  std::string place(index_t row, index_t i) const {
    std::string text = "row " + std::to_string(row);
    if (channels == 0) return several ? text + ", number " + std::to_string(i) : text;
    if (several) text += ", number " + std::to_string(i / channels);
    return text + ", channel " + std::to_string(i % channels);
  }
};

/// One row's gradient computed three ways, each [all inputs].
struct checked_row {
  double beta = 0;
  std::vector<double> written = {}, complex_step = {}, central = {};

  /// Relative to the largest derivative of the operand; infinite for NaN and infinities.
  double difference(const checked_operand& of, const std::vector<double>& found, index_t i) const {
    const auto all = [&](index_t k) { return static_cast<std::size_t>(of.offset + k); };
    double scale = 0.1;
    for (index_t k = 0; k < of.count; ++k) scale = std::max(scale, std::abs(complex_step[all(k)]));
    const double d = std::abs(found[all(i)] - complex_step[all(i)]) / scale;
    return std::isfinite(d) ? d : std::numeric_limits<double>::infinity();
  }
  double largest_difference(const checked_operand& of, const std::vector<double>& found) const {
    double worst = 0;
    for (index_t i = 0; i < of.count; ++i) worst = std::max(worst, difference(of, found, i));
    return worst;
  }
  bool is_certain(const std::vector<checked_operand>& operands) const {
    return std::ranges::all_of(operands, [&](const checked_operand& of) {
      return largest_difference(of, central) <= adjoint_difference::derivative_tolerance;
    });
  }
};

/// The most common mistakes: a constant factor, and β left out or applied twice.
inline std::string common_mistake(const checked_operand& of, const std::vector<checked_row>& rows) {
  const auto is_everywhere = [&](auto factor) {
    return std::ranges::all_of(rows, [&](const checked_row& row) {
      checked_row mistaken = row;
      for (double& x : mistaken.complex_step) x *= factor(row.beta);
      return mistaken.largest_difference(of, row.written) <= adjoint_difference::tolerance;
    });
  };
  double written = 0, derivative = 0;
  for (const checked_row& row : rows)
    for (index_t i = 0; i < of.count; ++i) {
      const auto k = static_cast<std::size_t>(of.offset + i);
      if (std::abs(row.complex_step[k]) > std::abs(derivative))
        written = row.written[k], derivative = row.complex_step[k];
    }
  if (written == 0 and is_everywhere([](double) { return 0.0; })) return "it is zero everywhere";
  const double factor = written / derivative;
  if (is_everywhere([&](double) { return factor; }))
    return "everywhere it is " + short_number(factor) + " times what it should be";
  if (is_everywhere([](double beta) { return 1 / beta; })) return "a factor \xCE\xB2 is missing";
  if (is_everywhere([](double beta) { return beta; })) return "there is an extra factor \xCE\xB2";
  return {};
}

inline std::vector<double> random_numbers(random_generator& random, index_t count, double scale) {
  std::vector<double> numbers(static_cast<std::size_t>(count));
  for (double& x : numbers) x = scale * random.normal();
  return numbers;
}

/// NaN, so that a function that forgets to write is noticed.
template <typename T>
std::vector<T> unwritten(index_t count) {
  return std::vector<T>(static_cast<std::size_t>(count), T(std::numeric_limits<double>::quiet_NaN()));
}

/// A policy under check: its inputs are `h` and one record of parameters, its value Σ d_out · out.
template <intervention_policy P>
struct checked_policy {
  static constexpr const char* function = "backward";

  struct drawn {
    double beta;
    std::vector<double> x, d_out, before;
  };

  P policy;
  index_t width;
  double scale;

  std::vector<checked_operand> operands() const {
    std::vector<checked_operand> all{{"d_h", 0, width, width, false}};
    P::parameters.apply(width, [&]<typename... Name>(parameter_place<Name>... p) {
      (all.push_back(
           {"d(" + label(p.name) + ")", width + p.offset, p.extent, Name::is_per_channel ? width : 0, Name::count > 1}),
       ...);
    });
    return all;
  }

  drawn draw(random_generator& random, double beta) const {
    const index_t size = P::parameters.size(width);
    drawn row{beta, random_numbers(random, width, scale), random_numbers(random, width, 1),
              random_numbers(random, size, 1)};
    const auto theta = random_numbers(random, size, 1 / std::sqrt(static_cast<double>(width)));
    row.x.insert(row.x.end(), theta.begin(), theta.end());
    return row;
  }

  template <typename T>
  T value(const drawn& row, const std::vector<T>& x) const {
    const std::vector<T> out = steered(row, x, false);
    T sum(0);
    for (std::size_t j = 0; j < out.size(); ++j) sum += out[j] * row.d_out[j];
    return sum;
  }

  /// Whether `forward` computes the same where `out` and `h` are the same memory.
  bool is_right_in_place(const drawn& row) const { return steered(row, row.x, true) == steered(row, row.x, false); }

  /// Gradients of parameters start at `before`, because `backward` must add to them.
  std::vector<double> written(const drawn& row) const {
    std::vector<double> d_h = unwritten<double>(width), scratch = unwritten<double>(scratch_rows_of<P>() * width);
    std::vector<double> d_theta = row.before;
    P::parameters.apply(width, [&](auto... p) {
      with_scratch(scratch, [&](auto... rows) {
        plain_row<double, bound_name<decltype(p.name), const double>...,
                  bound_name<gradient_of<decltype(p.name)>, double>..., decltype(rows)...,
                  bound_name<per_channel<"h">, const double>, bound_name<gradient_of<per_channel<"out">>, const double>,
                  bound_name<gradient_of<per_channel<"h">>, double>, bound_name<per_row<"beta">, const double>>
            r(width, {row.x.data() + width + p.offset}..., {d_theta.data() + p.offset}..., rows..., {row.x.data()},
              {row.d_out.data()}, {d_h.data()}, {&row.beta});
        policy.backward(r);
      });
    });
    for (std::size_t k = 0; k < d_theta.size(); ++k) d_theta[k] -= row.before[k];
    d_h.insert(d_h.end(), d_theta.begin(), d_theta.end());
    return d_h;
  }

 private:
  template <typename T>
  std::vector<T> steered(const drawn& row, const std::vector<T>& x, bool in_place) const {
    std::vector<T> out = unwritten<T>(width), scratch = unwritten<T>(scratch_rows_of<P>() * width);
    if (in_place) std::copy_n(x.begin(), width, out.begin());
    const T* const h = in_place ? out.data() : x.data();
    const T beta(row.beta);
    P::parameters.apply(width, [&](auto... p) {
      with_scratch(scratch, [&](auto... rows) {
        plain_row<T, bound_name<decltype(p.name), const T>..., decltype(rows)..., bound_name<per_channel<"h">, const T>,
                  bound_name<per_channel<"out">, T>, bound_name<per_row<"beta">, const T>>
            r(width, {x.data() + width + p.offset}..., rows..., {h}, {out.data()}, {&beta});
        policy.forward(r);
      });
    });
    return out;
  }

  template <typename T, typename F>
  void with_scratch(std::vector<T>& memory, F&& f) const {
    [&]<int... K>(std::integer_sequence<int, K...>) { f(bound_name<scratch_row<K>, T>{memory.data() + K * width}...); }
    (std::make_integer_sequence<int, scratch_rows_of<P>()>{});
  }
};

/// A term under check: its input is a row of logits.
template <logit_term Term>
struct checked_term {
  static constexpr const char* function = "gradient";

  /// The prompt data under one name.
  struct prompt_entry {
    std::vector<int> ids;
    int size;
    double number;
  };
  static constexpr std::size_t entries = []<typename... Name>(prompt_data<Name...>) {
    return sizeof...(Name);
  }(prompt_data_read_by<Term>());

  struct drawn {
    double beta, d_value;
    int correct, wrong;
    std::vector<double> x, reference, before;
    std::array<prompt_entry, entries> prompt;
  };

  Term term;
  index_t width;
  double scale;

  std::vector<checked_operand> operands() const { return {{"d_h", 0, width, width, false}}; }

  drawn draw(random_generator& random, double beta) const {
    const auto word = [&] { return static_cast<int>(random.below(static_cast<std::size_t>(width))); };
    drawn row{.beta = beta,
              .d_value = random.normal(),
              .correct = word(),
              .wrong = word(),
              .x = {},
              .reference = {},
              .before = {},
              .prompt = {}};
    while (row.wrong == row.correct) row.wrong = word();
    row.x = random_numbers(random, width, scale);
    row.reference = random_numbers(random, width, scale);
    row.before = random_numbers(random, width, 1);
    for (prompt_entry& entry : row.prompt) {
      entry.size = 3;
      for (int k = 0; k < entry.size; ++k) entry.ids.push_back(word());
      entry.number = random.normal();
    }
    return row;
  }

  template <typename T>
  T value(const drawn& row, const std::vector<T>& x) const {
    T found(0);
    with_row<T>(row, [&](auto... operands) {
      plain_row<T, bound_name<per_channel<"h">, const T>, decltype(operands)...> r(width, {x.data()}, operands...);
      found = static_cast<T>(term.value(r));
    });
    return found * row.d_value;
  }

  /// The gradient of logits starts at `before`, because `gradient` must add to it.
  std::vector<double> written(const drawn& row) const {
    std::vector<double> d_h = row.before;
    with_row<double>(row, [&](auto... operands) {
      plain_row<double, bound_name<per_channel<"h">, const double>, bound_name<gradient_of<per_channel<"h">>, double>,
                bound_name<gradient_of<per_row<"value">>, const double>, decltype(operands)...>
          r(width, {row.x.data()}, {d_h.data()}, {&row.d_value}, operands...);
      term.gradient(r);
    });
    for (std::size_t j = 0; j < d_h.size(); ++j) d_h[j] -= row.before[j];
    return d_h;
  }

 private:
  /// f(operands...) with everything that a term may read except the logits.
  template <typename T, typename F>
  void with_row(const drawn& row, F&& f) const {
    const T beta(row.beta);
    const std::vector<T> reference(row.reference.begin(), row.reference.end());
    std::array<T, entries> numbers{};
    for (std::size_t k = 0; k < entries; ++k) numbers[k] = T(row.prompt[k].number);
    [&]<typename... Name, std::size_t... K>(prompt_data<Name...>, std::index_sequence<K...>) {
      std::apply(
          [&](auto... of_prompt) {
            f(bound_name<per_channel<"reference">, const T>{reference.data()},
              bound_name<per_row<"beta">, const T>{&beta}, bound_name<per_row<"correct">, const int>{&row.correct},
              bound_name<per_row<"wrong">, const int>{&row.wrong}, of_prompt...);
          },
          std::tuple_cat(bound(Name{}, row.prompt[K], numbers[K])...));
    }(prompt_data_read_by<Term>(), std::make_index_sequence<entries>{});
  }

  template <fixed_string Text, typename T>
  static auto bound(prompt_number<Text>, const prompt_entry&, const T& number) {
    return std::tuple(bound_name<prompt_number<Text>, const T>{&number});
  }
  template <fixed_string Text, typename T>
  static auto bound(prompt_token<Text>, const prompt_entry& entry, const T&) {
    return std::tuple(bound_name<prompt_token<Text>, const int>{entry.ids.data()});
  }
  template <fixed_string Text, typename T>
  static auto bound(prompt_tokens<Text>, const prompt_entry& entry, const T&) {
    return std::tuple(bound_name<prompt_tokens<Text>, const int>{entry.ids.data()},
                      bound_name<prompt_tokens_size<Text>, const int>{&entry.size});
  }
};

/// One row's gradient computed three ways.
template <typename Subject>
checked_row check_row(const Subject& subject, const typename Subject::drawn& row) {
  const auto value = [&]<typename T>(const std::vector<T>& x) { return subject.template value<T>(row, x); };
  return {row.beta, subject.written(row), complex_step_gradient(value, row.x), central_gradient(value, row.x)};
}

inline adjoint_difference summary_of(const checked_operand& of, const std::vector<checked_row>& rows) {
  adjoint_difference found{.operand = of.label};
  double worst = -1;
  for (std::size_t n = 0; n < rows.size(); ++n)
    for (index_t i = 0; i < of.count; ++i) {
      const double difference = rows[n].difference(of, rows[n].written, i);
      const double doubt = rows[n].difference(of, rows[n].central, i);
      found.max_difference = std::max(found.max_difference, difference);
      found.max_derivative_doubt = std::max(found.max_derivative_doubt, doubt);
      // Relative to their tolerances, so that the two can be compared.
      const double excess =
          std::max(difference / adjoint_difference::tolerance, doubt / adjoint_difference::derivative_tolerance);
      if (excess <= worst) continue;
      worst = excess;
      const auto k = static_cast<std::size_t>(of.offset + i);
      found.place = of.place(static_cast<index_t>(n), i);
      found.written = rows[n].written[k];
      found.complex_step = rows[n].complex_step[k];
      found.central = rows[n].central[k];
    }
  if (found.is_certain() and not found.is_right()) found.hint = common_mistake(of, rows);
  return found;
}

template <typename Subject>
adjoint_check check_subject(const Subject& subject, const adjoint_options& options) {
  constexpr double strengths[] = {1, -1, 0.5, -1.5};
  constexpr int draws = 16;  // per row; a function that is close to a branch every time has no derivative
  const std::vector<checked_operand> operands = subject.operands();
  random_generator random(options.seed);
  adjoint_check found{.function = Subject::function, .rows = options.rows, .width = options.width};
  std::vector<checked_row> rows;
  for (index_t n = 0; n < options.rows; ++n) {
    const double beta = strengths[n % std::ssize(strengths)];
    checked_row row = check_row(subject, subject.draw(random, beta));
    for (int draw = 1; draw < draws and not row.is_certain(operands); ++draw) {
      row = check_row(subject, subject.draw(random, beta));
      ++found.moved;
    }
    rows.push_back(std::move(row));
  }
  for (const checked_operand& of : operands) found.operands.push_back(summary_of(of, rows));
  return found;
}

inline void check_options(const adjoint_options& options, index_t least_width) {
  const auto refuse = [](const std::string& what, const std::string& found, const std::string& expected) {
    throw error(error_kind::bad_argument, "the " + what + " is " + found + "; it must be " + expected);
  };
  if (options.width < least_width)
    refuse("width", std::to_string(options.width), "at least " + std::to_string(least_width));
  if (options.rows < 1) refuse("number of rows", std::to_string(options.rows), "at least 1");
  if (not(std::isfinite(options.scale) and options.scale > 0))
    refuse("scale", short_number(options.scale), "a positive number");
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

/// Compares `backward` with derivatives of `forward`, for the activations and every parameter, and `forward` in place with
/// `forward` beside `h` for a policy that says that it works in place. Does not check that zeros leave `h` unchanged.
/// Throws `bad_argument` unless width, rows and scale are positive.
template <intervention_policy P>
adjoint_check check_adjoint(const P& policy, const adjoint_options& options = {}) {
  detail::check_options(options, 1);
  const detail::checked_policy<P> subject{policy, options.width, options.scale};
  auto found = detail::check_subject(subject, options);
  random_generator random(options.seed);
  if constexpr (works_in_place<P>)
    for (index_t n = 0; n < options.rows; ++n)
      found.right_in_place = found.right_in_place and subject.is_right_in_place(subject.draw(random, 1));
  return found;
}

/// Compares a term's `gradient` with derivatives of its `value`, on random prompt data with three tokens per set.
/// Throws `bad_argument` as above, and for a width of 1: a row of logits has two answers.
template <logit_term Term>
adjoint_check check_adjoint(const Term& term, const adjoint_options& options = {}) {
  detail::check_options(options, 2);
  return detail::check_subject(detail::checked_term<Term>{term, options.width, options.scale}, options);
}

}  // namespace trimtab
