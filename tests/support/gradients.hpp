// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen.hpp>
#include <trimtab/check/derivatives.hpp>
#include <trimtab/check/dual.hpp>
#include <trimtab/core/objective.hpp>
#include <trimtab/core/random.hpp>

#include "catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

/// Checks of the adjoint of any policy, row function or term:
///
///     check_policy(policy::activ_scalar{});
///     check_row_function(layer_norm{}, 17, layer_norm::gain, layer_norm::bias);
///     check_term(objective::faithfulness{}, 17);
///
/// Each compares every component of a gradient, in double and on random rows, with the complex step (to 1e-12 of the
/// largest component) and with central differences (to 1e-7 of it). Everything runs through `eigen_backend`.

namespace trimtab::test {

template <typename T>
host_matrix<T> random_matrix(index_t rows, index_t cols, std::uint64_t seed, double scale = 1, double mean = 0) {
  random_generator random(seed);
  host_matrix<T> m(rows, cols);
  for (T& x : m.values) x = static_cast<T>(mean + scale * random.normal());
  return m;
}

/// The same numbers in another precision.
template <typename To, typename From>
host_matrix<To> converted(const host_matrix<From>& from) {
  host_matrix<To> to(from.rows, from.cols);
  std::ranges::transform(from.values, to.values.begin(), [](From x) { return static_cast<To>(x); });
  return to;
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() and (a.empty() or std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}
template <typename T>
bool same_bits(const host_matrix<T>& a, const host_matrix<T>& b) {
  return a.rows == b.rows and a.cols == b.cols and same_bits(a.values, b.values);
}

/// The largest difference; infinite if one is NaN or the sizes differ.
inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return HUGE_VAL;
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(a[i] - b[i]);
    if (std::isnan(d)) return HUGE_VAL;
    worst = std::max(worst, d);
  }
  return worst;
}
inline double largest(const std::vector<double>& a) { return largest_difference(a, std::vector<double>(a.size())); }

/// Compares `gradient` with both derivatives of f at x; f takes a vector of double or of dual.
template <typename F>
void check_gradient(const F& f, const std::vector<double>& x, const std::vector<double>& gradient) {
  const auto exact = complex_step_gradient(f, x);
  const double scale = std::max(largest(exact), 0.1);  // if all are nearly 0, rounding is not relative to them
  CHECK(largest_difference(gradient, exact) <= 1e-12 * scale);
  CHECK(largest_difference(gradient, central_gradient(f, x)) <= 1e-7 * scale);
}

/// Rows at a site: which record each uses (-1: none), and its strength.
struct steered_rows {
  index_t width;
  std::vector<int> record;
  std::vector<double> beta;
  std::uint64_t seed = 1;

  index_t count() const { return static_cast<index_t>(record.size()); }
  index_t records() const { return std::ranges::max(record) + 1; }
};

namespace checks {

template <typename T, typename P>
struct policy_run {
  P policy;
  record_plan plan;
  std::vector<T> beta;
  std::vector<int> sequence;  // every row is a sequence of its own
  index_t width, rows;

  policy_run(P p, const steered_rows& s)
      : policy(p),
        plan(slots(s)),
        beta(s.beta.begin(), s.beta.end()),
        sequence(s.beta.size()),
        width(s.width),
        rows(s.count()) {
    std::iota(sequence.begin(), sequence.end(), 0);
  }

  static std::vector<int> slots(const steered_rows& s) {
    std::vector<int> slot;
    for (int r : s.record) slot.push_back(r < 0 ? -1 : r * static_cast<int>(P::parameters.size(s.width)));
    return slot;
  }
  bound_rows<T> view() const {
    return {{rows, static_cast<index_t>(plan.piece_begin.size()) - 1, static_cast<index_t>(plan.record_slot.size()),
             plan.slot.data(), plan.order.data(), plan.piece_begin.data(), plan.record_begin.data(),
             plan.record_slot.data()},
            beta.data(),
            sequence.data()};
  }
  matrix_view<const T> matrix(const std::vector<T>& v) const { return {v.data(), rows, width}; }
  matrix_view<T> matrix(std::vector<T>& v) const { return {v.data(), rows, width}; }

  std::vector<T> forward(const std::vector<T>& h, const std::vector<T>& theta, int threads = 1) const {
    std::vector<T> out(h.size(), T(std::numeric_limits<double>::quiet_NaN()));  // old values must not matter
    eigen_backend<T>(threads).intervene(policy, matrix(h), matrix(out), theta.data(), view());
    return out;
  }
  /// d_h, then d_theta.
  std::vector<T> backward(const std::vector<T>& h, const std::vector<T>& theta, const std::vector<T>& d_out,
                          int threads = 1) const {
    const T nan(std::numeric_limits<double>::quiet_NaN());
    std::vector<T> d_h(h.size(), nan), d_theta(theta.size(), nan);
    std::vector<T> partial((plan.piece_begin.size() - 1) * static_cast<std::size_t>(P::parameters.size(width)), nan);
    eigen_backend<T>(threads).intervene_backward(policy, matrix(h), matrix(d_out), matrix(d_h), theta.data(),
                                                 d_theta.data(), partial.data(), view());
    d_h.insert(d_h.end(), d_theta.begin(), d_theta.end());
    return d_h;
  }
};

template <typename P>
std::vector<double> random_parameters(const steered_rows& s) {
  return random_matrix<double>(s.records(), P::parameters.size(s.width), s.seed + 1,
                               1 / std::sqrt(static_cast<double>(s.width)))
      .values;
}

}  // namespace checks

/// Compares `backward` with derivatives of `forward`, with respect to the activations and to every parameter.
template <typename P>
void check_policy_gradient(P policy, const steered_rows& s) {
  CAPTURE(s.width, s.count());
  const auto h = random_matrix<double>(s.count(), s.width, s.seed).values;
  const auto theta = checks::random_parameters<P>(s);
  const auto d_out = random_matrix<double>(s.count(), s.width, s.seed + 2).values;
  const auto weighted_output = [&]<typename T>(const std::vector<T>& x) {
    const auto end_of_h = x.begin() + static_cast<std::ptrdiff_t>(h.size());
    const auto out = checks::policy_run<T, P>(policy, s).forward({x.begin(), end_of_h}, {end_of_h, x.end()});
    T sum = 0;
    for (std::size_t i = 0; i < out.size(); ++i) sum += out[i] * d_out[i];
    return sum;
  };
  auto x = h;
  x.insert(x.end(), theta.begin(), theta.end());
  check_gradient(weighted_output, x, checks::policy_run<double, P>(policy, s).backward(h, theta, d_out));
}

/// Checks that zero parameters and zero strength leave every bit of the activations as it is, and that rows without a
/// record do too.
template <typename T, typename P>
void check_policy_identity(P policy, steered_rows s) {
  CAPTURE(s.width, sizeof(T));
  const auto h = random_matrix<T>(s.count(), s.width, s.seed).values;
  const auto parameters = checks::random_parameters<P>(s);
  const std::vector<T> theta(parameters.begin(), parameters.end()), zeros(theta.size());
  const auto steered = checks::policy_run<T, P>(policy, s).forward(h, theta);
  CHECK_FALSE(same_bits(h, steered));
  CHECK(same_bits(h, checks::policy_run<T, P>(policy, s).forward(h, zeros)));
  const auto width = static_cast<std::size_t>(s.width);
  for (std::size_t i = 0; i < s.record.size(); ++i) {
    const bool same = std::memcmp(&h[i * width], &steered[i * width], width * sizeof(T)) == 0;
    if (same != (s.record[i] < 0))
      FAIL_CHECK("row " << i << (same ? " was not steered" : " has no record but was changed"));
  }
  std::ranges::fill(s.beta, 0.0);
  CHECK(same_bits(h, checks::policy_run<T, P>(policy, s).forward(h, theta)));
}

/// Checks that a policy that works in place gives the same bits there.
template <typename T, typename P>
void check_policy_in_place(P policy, const steered_rows& s) {
  CAPTURE(s.width, sizeof(T));
  auto h = random_matrix<T>(s.count(), s.width, s.seed).values;
  const auto parameters = checks::random_parameters<P>(s);
  const std::vector<T> theta(parameters.begin(), parameters.end());
  const checks::policy_run<T, P> run(policy, s);
  const auto beside = run.forward(h, theta);
  eigen_backend<T>(1).intervene(policy, run.matrix(std::as_const(h)), run.matrix(h), theta.data(), run.view());
  CHECK(same_bits(h, beside));
}

/// Checks that `backward` adds to the gradients of the parameters and sets that of the activations.
template <typename P>
void check_policy_accumulates(P policy, index_t width) {
  CAPTURE(width);
  const steered_rows one{width, {0}, {0.7}};
  const auto size = P::parameters.size(width);
  const auto h = random_matrix<double>(1, width, 4).values, d_out = random_matrix<double>(1, width, 5).values;
  const auto theta = checks::random_parameters<P>(one), before = random_matrix<double>(1, size, 6).values;
  const auto expected = checks::policy_run<double, P>(policy, one).backward(h, theta, d_out);

  auto d_h = random_matrix<double>(1, width, 7).values, after = before;
  const double beta = 0.7;
  eigen::with_scratch<P, double>(width, [&](auto... scratch) {
    eigen::with_parameters<P>(width, theta.data(), after.data(), [&](auto... parameters) {
      auto r = eigen::row_of<double>(width, 0, operand<per_channel<"h">, const double>{h.data()},
                                     operand<gradient_of<per_channel<"out">>, const double>{d_out.data()},
                                     operand<gradient_of<per_channel<"h">>, double>{d_h.data()},
                                     operand<per_row<"beta">, const double>{&beta}, parameters..., scratch...);
      policy.backward(r);
    });
  });
  for (std::size_t j = 0; j < after.size(); ++j) after[j] -= before[j];
  d_h.insert(d_h.end(), after.begin(), after.end());
  CHECK(largest_difference(d_h, expected) <= 1e-14 * std::max(1.0, largest(expected)));
}

/// Checks everything that a policy must do.
template <typename P>
void check_policy(P policy) {
  STATIC_REQUIRE(intervention_policy<P>);
  for (index_t width : {1, 3, 17, 64}) {
    const steered_rows mixed{
        width, {1, -1, 0, 2, 1, 0}, {1, 1, -1, 0.5, -1.5, 1}, static_cast<std::uint64_t>(10 * width)};
    check_policy_gradient(policy, mixed);
    check_policy_identity<float>(policy, mixed);
    check_policy_identity<double>(policy, mixed);
    if constexpr (works_in_place<P>) {
      check_policy_in_place<float>(policy, mixed);
      check_policy_in_place<double>(policy, mixed);
    }
    check_policy_accumulates(policy, width);
  }
  // One record for more rows than fit into one piece of the plan.
  steered_rows many{3, {}, {}, 5};
  for (int i = 0; i < 150; ++i) many.record.push_back(i % 10 == 3 ? 1 : 0), many.beta.push_back(i % 2 == 0 ? 1 : -1);
  check_policy_gradient(policy, many);
}

namespace checks {

/// Calls f(operands...), where the k-th operand is the k-th matrix under the k-th name.
template <typename Matrices, typename F, typename... Name>
void with_inputs(Matrices& matrices, F&& f, Name... names) {
  [&]<std::size_t... K>(std::index_sequence<K...>) { f(each_row(names, matrices[K].view())...); }
  (std::index_sequence_for<Name...>{});
}

/// out = f.forward(h); `inputs` are the function's further inputs, and `names` their names.
template <typename T, typename F, typename... Name>
host_matrix<T> run_forward(const F& f, const host_matrix<T>& h, const std::vector<host_matrix<T>>& inputs,
                           Name... names) {
  host_matrix<T> out(h.rows, h.cols);
  std::ranges::fill(out.values, T(std::numeric_limits<double>::quiet_NaN()));
  with_inputs(
      inputs,
      [&](auto... operands) {
        eigen_backend<T>(1).forward(f, h.rows, h.cols, each_row(name::h, h.view()), each_row(name::out, out.view()),
                                    operands...);
      },
      names...);
  return out;
}

/// Runs f.backward, which sets d_h, and the gradients of the inputs if the function computes them.
template <typename T, typename F, typename... Name>
void run_backward(const F& f, const host_matrix<T>& h, const host_matrix<T>& out, host_matrix<T>& d_out,
                  host_matrix<T>& d_h, const std::vector<host_matrix<T>>& inputs, std::vector<host_matrix<T>>& d_inputs,
                  Name... names) {
  with_inputs(
      inputs,
      [&](auto... operands) {
        with_inputs(
            d_inputs,
            [&](auto... d_operands) {
              eigen_backend<T>(1).backward(f, h.rows, h.cols, each_row(name::h, h.view()),
                                           each_row(name::out, out.view()), each_row(grad(name::out), d_out.view()),
                                           each_row(grad(name::h), d_h.view()), operands..., d_operands...);
            },
            grad(names)...);
      },
      names...);
}

}  // namespace checks

/// Checks a row function's adjoint with respect to `h`; `names` are its further inputs.
template <typename F, typename... Name>
void check_row_function(const F& f, index_t width, Name... names) {
  CAPTURE(width);
  const index_t rows = 3;
  const auto h = random_matrix<double>(rows, width, 20 + static_cast<std::uint64_t>(width));
  auto d_out = random_matrix<double>(rows, width, 21);
  std::vector<host_matrix<double>> inputs, d_inputs;
  std::vector<host_matrix<dual>> complex_inputs;
  for (std::uint64_t k = 0; k < sizeof...(names); ++k) {
    inputs.push_back(random_matrix<double>(rows, width, 22 + k, 0.5, 1));
    complex_inputs.push_back(converted<dual>(inputs.back()));
    d_inputs.emplace_back(rows, width);
  }
  const auto weighted_output = [&]<typename T>(const std::vector<T>& x) {
    host_matrix<T> m(rows, width);
    m.values = x;
    host_matrix<T> out;
    if constexpr (std::is_same_v<T, double>)
      out = checks::run_forward(f, m, inputs, names...);
    else
      out = checks::run_forward(f, m, complex_inputs, names...);
    T sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += out.values[i] * d_out.values[i];
    return sum;
  };
  const auto out = checks::run_forward(f, h, inputs, names...);
  host_matrix<double> d_h(rows, width);
  std::ranges::fill(d_h.values, std::numeric_limits<double>::quiet_NaN());
  checks::run_backward(f, h, out, d_out, d_h, inputs, d_inputs, names...);
  check_gradient(weighted_output, h.values, d_h.values);
}

/// Checks that a row function gives the same bits when it writes over its input.
template <typename T, typename F, typename... Name>
void check_in_place(const F& f, index_t width, Name... names) {
  CAPTURE(width);
  const index_t rows = 3;
  const auto h = random_matrix<T>(rows, width, 30), d_out = random_matrix<T>(rows, width, 31);
  std::vector<host_matrix<T>> inputs;
  for (std::uint64_t k = 0; k < sizeof...(names); ++k) inputs.push_back(random_matrix<T>(rows, width, 32 + k));
  auto d_inputs = inputs;
  const auto out = checks::run_forward(f, h, inputs, names...);

  auto both = h;
  checks::with_inputs(
      inputs,
      [&](auto... operands) {
        eigen_backend<T>(1).forward(f, rows, width, each_row(name::h, both.view()), each_row(name::out, both.view()),
                                    operands...);
      },
      names...);
  CHECK(same_bits(both, out));

  auto d_h = h, d_from = d_out, d_both = d_out;
  checks::run_backward(f, h, out, d_from, d_h, inputs, d_inputs, names...);
  checks::run_backward(f, h, out, d_both, d_both, inputs, d_inputs, names...);
  CHECK(same_bits(d_both, d_h));
}

/// Checks a term's gradient with respect to the logits, which is weighted row by row and added to what was there. With
/// `sets` every row also has two sets of answers, of different sizes.
template <typename Term>
void check_term(const Term& term, index_t width, double scale = 1.5, bool sets = false) {
  CAPTURE(width, sets);
  STATIC_REQUIRE(logit_term<Term>);
  const index_t rows = 6;
  const auto seed = 40 + static_cast<std::uint64_t>(width);
  const auto logits = random_matrix<double>(rows, width, seed, scale);
  const auto reference = random_matrix<double>(rows, width, seed + 1, scale);
  const auto weight = random_matrix<double>(1, rows, seed + 2), before = random_matrix<double>(rows, width, seed + 3);
  const std::vector<double> beta{1, -1, 1, -1, 0.5, -2};
  std::vector<int> correct, wrong;
  for (int i = 0; i < static_cast<int>(rows); ++i) {
    correct.push_back(i % static_cast<int>(width));
    wrong.push_back((i * 3 + 1 + i % static_cast<int>(width)) % static_cast<int>(width));
    if (correct.back() == wrong.back()) wrong.back() = (wrong.back() + 1) % static_cast<int>(width);
  }
  const operand<per_row<"correct">, const int> correct_id{correct.data(), 1};
  const operand<per_row<"wrong">, const int> wrong_id{wrong.data(), 1};
  // Token k is correct where k % 3 is 0 and wrong where it is 1; row i has the first few of both.
  std::vector<int> correct_ids, wrong_ids, correct_sizes, wrong_sizes;
  const int longest = std::max(1, static_cast<int>(width) / 3);
  for (int i = 0; i < static_cast<int>(rows); ++i) {
    for (int k = 0; k < longest; ++k) correct_ids.push_back(3 * k), wrong_ids.push_back(3 * k + 1);
    correct_sizes.push_back(1 + i % longest), wrong_sizes.push_back(1 + (i + 1) % longest);
  }
  const operand<prompt_tokens<"correct">, const int> correct_set{correct_ids.data(), longest};
  const operand<prompt_tokens<"wrong">, const int> wrong_set{wrong_ids.data(), longest};
  // nvcc 13 loses the text in the type of a size that it has not met in a template.
  const auto size_of = [](auto tokens, const std::vector<int>& sizes) {
    return operand<std::remove_cvref_t<decltype(tokens.size)>, const int>{sizes.data(), 1};
  };
  const auto correct_count = size_of(prompt_tokens<"correct">{}, correct_sizes);
  const auto wrong_count = size_of(prompt_tokens<"wrong">{}, wrong_sizes);
  const auto with_answers = [&](auto f) {
    if (not sets) return f(correct_id, wrong_id);
    f(correct_id, wrong_id, correct_set, correct_count, wrong_set, wrong_count);
  };

  const auto weighted_value = [&]<typename T>(const std::vector<T>& x) {
    const auto reference_t = converted<T>(reference);
    const std::vector<T> beta_t(beta.begin(), beta.end());
    std::vector<T> values(beta.size());
    with_answers([&](auto... answers) {
      eigen_backend<T>(1).values(term, rows, width, values.data(),
                                 each_row(name::h, matrix_view<const T>{x.data(), rows, width}),
                                 each_row(name::reference, reference_t.view()),
                                 operand<per_row<"beta">, const T>{beta_t.data(), 1}, answers...);
    });
    T sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) sum += values[i] * weight.values[i];
    return sum;
  };
  auto d_logits = before;
  with_answers([&](auto... answers) {
    eigen_backend<double>(1).gradients(
        term, rows, width, each_row(name::h, logits.view()), each_row(name::reference, reference.view()),
        each_row(grad(name::h), d_logits.view()), operand<per_row<"beta">, const double>{beta.data(), 1}, answers...,
        operand<gradient_of<per_row<"value">>, const double>{weight.values.data(), 1});
  });
  for (std::size_t i = 0; i < before.values.size(); ++i) d_logits.values[i] -= before.values[i];
  check_gradient(weighted_value, logits.values, d_logits.values);
}

}  // namespace trimtab::test
