// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <numbers>
#include <utility>

/// Random numbers that are the same everywhere: the standard specifies engines but not distributions, so with another
/// standard library one seed would give other prompts. The generator is SplitMix64 (Steele, Lea and Flood 2014): a
/// counter that steps by 2^64 / φ, mixed by two multiplications. Its period is 2^64.

namespace trimtab {

/// A standard uniform random bit generator, with the few distributions that the library needs.
class random_generator {
 public:
  using result_type = std::uint64_t;

  explicit constexpr random_generator(std::uint64_t seed) : state_(seed) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

  constexpr result_type operator()() {
    auto mixed = state_ += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
  }

  /// A whole number from 0 to `count` - 1, each equally likely.
  constexpr std::size_t below(std::size_t count) {
    assert(count > 0);
    const auto bound = static_cast<result_type>(count);
    // Values below `first` are rejected: they would make small remainders more likely.
    const auto first = (0 - bound) % bound;
    auto value = (*this)();
    while (value < first) value = (*this)();
    return static_cast<std::size_t>(value % bound);
  }

  /// A real number in [0, 1), a multiple of 2^-53.
  constexpr double uniform() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

  /// A normal number, mean 0 and variance 1 (Box and Muller); its last digit depends on the standard library.
  double normal() {
    const auto radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

  /// Shuffles a random access range, all orders equally likely (Fisher and Yates).
  template <typename Range>
  constexpr void shuffle(Range& range) {
    for (auto left = std::size(range); left > 1; --left) {
      using std::swap;
      const auto last = std::begin(range) + static_cast<std::ptrdiff_t>(left - 1);
      swap(*last, *(std::begin(range) + static_cast<std::ptrdiff_t>(below(left))));
    }
  }

 private:
  std::uint64_t state_;
};

}  // namespace trimtab
