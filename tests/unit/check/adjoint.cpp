// SPDX-License-Identifier: Apache-2.0
#include <trimtab/check/adjoint.hpp>
#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/affine.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/sequence.hpp>
#include <trimtab/policy/steer_vec.hpp>

#include "support/catch.hpp"
#include "support/refusal.hpp"

#include <cmath>
#include <string>

namespace trimtab::test::adjoint_tests {

namespace {

// A policy that scales and shifts, with a flag for each usual mistake in an adjoint.
struct mistakes {
  int factor_of_d_h = 1;
  bool beta_in_d_gain = true, beta_twice_in_d_shift = false, sets_d_gain = false, leaves_d_h = false;
  bool forgets_d_shift = false, wrong_in_channel_2 = false;
};

template <mistakes Made = mistakes{}>
struct gain_and_shift {
  static constexpr per_row<"gain"> gain{};
  static constexpr per_channel<"shift"> shift{};
  static constexpr parameter_list parameters{gain, shift};

  constexpr void forward(row auto& r) const {
    const auto g = 1 + r.beta() * r(gain);
    r.each([&](auto j) { r.out(j) = g * r.h(j) + r.beta() * r(shift, j); });
  }
  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    const T g = 1 + r.beta() * r(gain);
    if (not Made.leaves_d_h) r.each([&](auto j) { r.d_h(j) = T(Made.factor_of_d_h) * g * r.d_out(j); });
    if (Made.wrong_in_channel_2) r.at(2, [&](auto j) { r.d_h(j) += r.d_out(j); });
    const T d_gain = (Made.beta_in_d_gain ? r.beta() : T(1)) * r.sum([&](auto j) { return r.h(j) * r.d_out(j); });
    if (Made.sets_d_gain)
      r.d(gain) = d_gain;
    else
      r.d(gain) += d_gain;
    const T d_shift = Made.beta_twice_in_d_shift ? r.beta() * r.beta() : r.beta();
    if (not Made.forgets_d_shift) r.each([&](auto j) { r.d(shift, j) += d_shift * r.d_out(j); });
  }
};

// Reads `h` again after it has written `out`.
template <bool InPlace>
struct adds_in_turns {
  static constexpr bool in_place = InPlace;
  static constexpr per_channel<"vector"> vector{};
  static constexpr parameter_list parameters{vector};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.beta() * r(vector, j); });
    r.each([&](auto j) { r.out(j) += r.h(j); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) {
      r.d_h(j) = r.d_out(j);
      r.d(vector, j) += r.beta() * r.d_out(j);
    });
  }
};

// Right in place alone.
struct adds_to_what_is_there {
  static constexpr bool in_place = true;
  static constexpr per_channel<"vector"> vector{};
  static constexpr parameter_list parameters{vector};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) += r.beta() * r(vector, j); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) {
      r.d_h(j) = r.d_out(j);
      r.d(vector, j) += r.beta() * r.d_out(j);
    });
  }
};

const adjoint_difference& difference_of(const adjoint_check& found, const std::string& name) {
  for (const adjoint_difference& d : found.operands)
    if (d.operand == name) return d;
  throw std::out_of_range(name);
}

bool says(const std::string& text, const std::string& part) {
  UNSCOPED_INFO(text);
  return text.find(part) != std::string::npos;
}

// A policy with a branch for the whole row, and a choice in each channel.
template <bool RightAdjoint = true>
struct leaky_gate {
  static constexpr per_channel<"weight"> weight{};
  static constexpr parameter_list parameters{weight};

  constexpr void forward(row auto& r) const {
    const bool open = r.sum([&](auto j) { return r(weight, j) * r.h(j); }) > 0;
    r.each([&](auto j) {
      const auto bend = r.h(j) > 0 ? r.h(j) : r.h(j) / 4;
      r.out(j) = open ? r.h(j) + r.beta() * r(weight, j) * bend : r.h(j);
    });
  }
  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    const bool open = r.sum([&](auto j) { return r(weight, j) * r.h(j); }) > 0;
    r.each([&](auto j) {
      const T slope = r.h(j) > 0 or not RightAdjoint ? T(1) : T(0.25);
      const auto bend = r.h(j) > 0 ? r.h(j) : r.h(j) / 4;
      r.d_h(j) = (open ? 1 + r.beta() * r(weight, j) * slope : T(1)) * r.d_out(j);
      r.d(weight, j) += open ? r.beta() * bend * r.d_out(j) : T(0);
    });
  }
};

// A sawtooth with a corner every 1/2000, so that central differences often reach across a corner.
struct saw {
  static constexpr per_row<"height"> height{};
  static constexpr parameter_list parameters{height};

  template <typename T>
  static constexpr T over_tooth(T x) {
    return x - std::floor(static_cast<double>(x) * 1000) / 1000;
  }
  template <typename T>
  static constexpr T tooth(T x) {
    const T over = over_tooth(x);
    return over < 0.0005 ? over : 0.001 - over;
  }
  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r.out(j) = r.h(j) + r.beta() * r(height) * tooth(r.h(j)); });
  }
  constexpr void backward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    r.each([&](auto j) {
      const T slope = over_tooth(r.h(j)) < 0.0005 ? T(1) : T(-1);
      r.d_h(j) = (1 + r.beta() * r(height) * slope) * r.d_out(j);
    });
    r.d(height) += r.beta() * r.sum([&](auto j) { return tooth(r.h(j)) * r.d_out(j); });
  }
};

// A policy that converts to double, which loses the derivative.
struct casts {
  static constexpr per_row<"a"> a{};
  static constexpr parameter_list parameters{a};
  constexpr void forward(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    r.each([&](auto j) { r.out(j) = r.h(j) + r.beta() * T(static_cast<double>(r(a))); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
    r.d(a) += r.beta() * r.sum([&](auto j) { return r.d_out(j); });
  }
};

// A policy with a matrix, several numbers for a row, and scratch memory.
struct low_rank {
  static constexpr int scratch_rows = 1;
  static constexpr per_channel<"basis", 2> basis{};
  static constexpr per_row<"mix", 2> mix{};
  static constexpr parameter_list parameters{basis, mix};
  static constexpr scratch_row<0> direction{};

  constexpr void forward(row auto& r) const {
    r.each([&](auto j) { r(direction, j) = r(mix, 0) * r(basis, 0, j) + r(mix, 1) * r(basis, 1, j); });
    r.each([&](auto j) { r.out(j) = r.h(j) + r.beta() * r(direction, j); });
  }
  constexpr void backward(row auto& r) const {
    r.each([&](auto j) { r.d_h(j) = r.d_out(j); });
    for (index_t k = 0; k < 2; ++k) {
      r.each([&](auto j) { r.d(basis, k, j) += r.beta() * r(mix, k) * r.d_out(j); });
      r.d(mix, k) += r.beta() * r.sum([&](auto j) { return r(basis, k, j) * r.d_out(j); });
    }
  }
};

template <bool RightGradient = true>
struct prefers_others {
  static constexpr prompt_token<"third"> third{};
  static constexpr prompt_tokens<"rest"> rest{};
  static constexpr prompt_number<"share"> share{};
  static constexpr prompt_data data{third, rest, share};

  constexpr auto value(row auto& r) const {
    using T = scalar_of<std::remove_reference_t<decltype(r)>>;
    T sum = r(share) * r.h(r(third)) * r.h(r.correct());
    for (index_t k = 0; k < r(rest.size); ++k) sum += r.h(r(rest, k));
    return sum;
  }
  constexpr void gradient(row auto& r) const {
    const auto d = r.d_value();
    r.at(r(third), [&](auto j) { r.d_h(j) += d * r(share) * r.h(r.correct()); });
    r.at(r.correct(), [&](auto j) { r.d_h(j) += (RightGradient ? 1 : 2) * d * r(share) * r.h(r(third)); });
    for (index_t k = 0; k < r(rest.size); ++k) r.at(r(rest, k), [&](auto j) { r.d_h(j) += d; });
  }
};

// A term whose gradient is half of the right one, and overwrites what other terms added.
template <bool Adds>
struct wants_correct {
  constexpr auto value(row auto& r) const { return r.h(r.correct()) * r.h(r.correct()); }
  constexpr void gradient(row auto& r) const {
    r.at(r.correct(), [&](auto j) {
      if (Adds)
        r.d_h(j) += r.d_value() * r.h(j);
      else
        r.d_h(j) = 2 * r.d_value() * r.h(j);
    });
  }
};

}  // namespace

}  // namespace trimtab::test::adjoint_tests

template <bool Right>
inline constexpr bool trimtab::enable_objective_term<trimtab::test::adjoint_tests::prefers_others<Right>> = true;
template <bool Adds>
inline constexpr bool trimtab::enable_objective_term<trimtab::test::adjoint_tests::wants_correct<Adds>> = true;

namespace trimtab::test::adjoint_tests {

TEST_CASE("The policies of the library are right") {
  const auto right = [](auto policy) {
    for (index_t width : {1, 3, 17}) {
      const auto found = check_adjoint(policy, {.width = width});
      INFO(found.text());
      CHECK(found.passes());
    }
  };
  right(policy::activ_scalar{});
  right(policy::steer_vec{});
  right(policy::affine{});
  right(policy::dyn_scalar<>{});
  right(policy::dyn_scalar<gate::tanh_rms<>>{});
  right(policy::sequence{policy::activ_scalar{}, policy::dyn_scalar<>{}, policy::steer_vec{}});
  right(gain_and_shift<>{});
  right(low_rank{});
}

TEST_CASE("The terms of the library are right") {
  const auto right = [](auto term) {
    const auto found = check_adjoint(term);
    INFO(found.text());
    CHECK(found.passes());
    CHECK(found.operands.size() == 1);
  };
  for (auto shape : {objective::psi::hinge, objective::psi::identity, objective::psi::softplus})
    right(objective::effectiveness{.shape = shape});
  for (auto over : {objective::vocabulary::masked, objective::vocabulary::full})
    for (auto direction : {objective::kl_direction::forward, objective::kl_direction::reverse})
      right(objective::faithfulness{over, direction});
  right(prefers_others<>{});
}

TEST_CASE("A right adjoint is reported with its largest error") {
  const auto found = check_adjoint(gain_and_shift<>{});
  CHECK(says(found.text(), "`d_h`, `d(gain)`, `d(shift)` of backward agree with the complex step to "));
  CHECK(says(found.text(), ", on 8 rows of 17 channels"));
  CHECK(says(check_adjoint(prefers_others<>{}).text(), "`d_h` of gradient agree"));
}

TEST_CASE("A wrong adjoint is named by its operand, place and numbers") {
  const auto found = check_adjoint(gain_and_shift<mistakes{.wrong_in_channel_2 = true}>{});
  CHECK_FALSE(found.passes());
  CHECK(difference_of(found, "d(gain)").is_right());
  CHECK(difference_of(found, "d(shift)").is_right());
  const adjoint_difference& d_h = difference_of(found, "d_h");
  CHECK_FALSE(d_h.is_right());
  CHECK(d_h.is_certain());
  CHECK(says(d_h.place, ", channel 2"));
  CHECK(std::abs(d_h.written - d_h.complex_step) > 0.01);
  CHECK(std::abs(d_h.central - d_h.complex_step) < 1e-7);
  CHECK(says(found.text(), "`d_h` differs by "));
  CHECK_FALSE(says(found.text(), "`d(gain)`"));
  CHECK(found.text().find('\n') == std::string::npos);
}

TEST_CASE("The usual mistakes are reported") {
  const auto text = [](auto policy) { return check_adjoint(policy).text(); };
  CHECK(says(text(gain_and_shift<mistakes{.factor_of_d_h = 2}>{}), "everywhere it is 2 times what it should be"));
  CHECK(says(text(gain_and_shift<mistakes{.beta_in_d_gain = false}>{}), "`d(gain)` differs by "));
  CHECK(says(text(gain_and_shift<mistakes{.beta_in_d_gain = false}>{}), "a factor \xCE\xB2 is missing"));
  CHECK(says(text(gain_and_shift<mistakes{.beta_twice_in_d_shift = true}>{}), "`d(shift)` differs by "));
  CHECK(says(text(gain_and_shift<mistakes{.beta_twice_in_d_shift = true}>{}), "there is an extra factor \xCE\xB2"));
  CHECK(says(text(gain_and_shift<mistakes{.forgets_d_shift = true}>{}), "it is zero everywhere"));
}

TEST_CASE("A policy that says that it works in place is checked there, and elsewhere too") {
  CHECK(check_adjoint(adds_in_turns<false>{}).passes());
  const auto wrong = check_adjoint(adds_in_turns<true>{});
  CHECK_FALSE(wrong.passes());
  CHECK(wrong.text() ==
        "`forward` computes something else where `out` and `h` are the same memory; leave out `in_place`");
  CHECK(wrong.operands.front().is_right());
  CHECK_FALSE(check_adjoint(adds_to_what_is_there{}).passes());
}

TEST_CASE("Gradients of parameters are added to, that of the activations is set") {
  const auto sets = check_adjoint(gain_and_shift<mistakes{.sets_d_gain = true}>{});
  CHECK_FALSE(difference_of(sets, "d(gain)").is_right());
  CHECK(difference_of(sets, "d_h").is_right());
  const auto leaves = check_adjoint(gain_and_shift<mistakes{.leaves_d_h = true}>{});
  CHECK(std::isinf(difference_of(leaves, "d_h").max_difference));
  CHECK(says(leaves.text(), "backward gives nan"));
}

TEST_CASE("Two mistakes are two sentences") {
  const auto found = check_adjoint(gain_and_shift<mistakes{.factor_of_d_h = -1, .forgets_d_shift = true}>{});
  CHECK(says(found.text(), "`d_h` differs by 2 at row "));
  CHECK(says(found.text(), "everywhere it is -1 times what it should be\n`d(shift)` differs by "));
}

TEST_CASE("Policies may have branches") {
  const auto right = check_adjoint(leaky_gate<>{});
  INFO(right.text());
  CHECK(right.passes());
  const auto wrong = check_adjoint(leaky_gate<false>{});
  CHECK_FALSE(difference_of(wrong, "d_h").is_right());
  CHECK(difference_of(wrong, "d(weight)").is_right());
}

TEST_CASE("Rows near a branch are drawn anew") {
  const auto found = check_adjoint(saw{}, {.width = 4, .rows = 40});
  INFO(found.text());
  CHECK(found.passes());
  CHECK(found.moved > 0);
  CHECK(check_adjoint(gain_and_shift<>{}).moved == 0);
}

TEST_CASE("If the two derivatives disagree, the check says so") {
  const auto found = check_adjoint(casts{});
  CHECK_FALSE(found.passes());
  CHECK(difference_of(found, "d_h").is_certain());
  CHECK_FALSE(difference_of(found, "d(a)").is_certain());
  CHECK(says(found.text(), "`d(a)` cannot be checked at row "));
  CHECK(says(found.text(), "drops it in a cast to double"));
}

TEST_CASE("A wrong gradient of a term is named") {
  const auto doubled = check_adjoint(prefers_others<false>{});
  CHECK_FALSE(doubled.passes());
  CHECK(says(doubled.text(), "`d_h` differs by "));
  CHECK(says(doubled.text(), ": gradient gives "));
  CHECK(says(check_adjoint(wants_correct<true>{}).text(), "everywhere it is 0.5 times what it should be"));
  CHECK_FALSE(check_adjoint(wants_correct<false>{}).passes());
}

TEST_CASE("Matrices and several numbers have places too") {
  const auto found = check_adjoint(low_rank{});
  CHECK(difference_of(found, "d(basis)").place.find(", number ") != std::string::npos);
  CHECK(difference_of(found, "d(basis)").place.find(", channel ") != std::string::npos);
  CHECK(difference_of(found, "d(mix)").place.find(", number ") != std::string::npos);
}

TEST_CASE("The same seed gives the same check") {
  CHECK(check_adjoint(policy::affine{}, {.seed = 5}).text() == check_adjoint(policy::affine{}, {.seed = 5}).text());
}

TEST_CASE("Options with which nothing is checked are refused") {
  const auto refused = [](auto what, adjoint_options options, const std::string& part) {
    CHECK(says(test::refusal(error_kind::bad_argument, [&] { check_adjoint(what, options); }), part));
  };
  refused(policy::affine{}, {.width = 0}, "the width is 0; it must be at least 1");
  refused(objective::effectiveness{}, {.width = 1}, "the width is 1; it must be at least 2");
  refused(policy::affine{}, {.rows = 0}, "the number of rows is 0; it must be at least 1");
  refused(policy::affine{}, {.scale = 0}, "the scale is 0; it must be a positive number");
}

}  // namespace trimtab::test::adjoint_tests
