// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>

/// exp, expm1, tanh and erf without branches, tables or library calls, so that compilers vectorise loops over them:
/// inside `r.each` the C functions run one number at a time and are fifty times slower. Errors are at most 2 units in
/// the last place, subnormal results included; overflow gives infinity and NaN stays NaN, as with the C functions. The
/// polynomials are Chebyshev interpolations. Other scalar types bring their own functions of these names.

// These functions need sums in source order, and the whole library needs infinities and NaN. Only g++ has a macro for
// -fassociative-math alone; for clang, a pragma below turns reassociation off.
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__)
#  error "trimtab needs floating-point sums in source order: compile without -ffast-math and -fassociative-math"
#elif defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#  error "trimtab recognises results that are infinite or NaN: compile without -ffinite-math-only"
#endif

namespace trimtab::math {

namespace detail {

/// c + c' x + c'' x² + ... by Horner's rule. A recursion, because an inner loop would keep the loop over channels from
/// being vectorised.
template <std::floating_point T>
constexpr T polynomial(T, double c) {
  return static_cast<T>(c);
}
template <std::floating_point T, typename... More>
constexpr T polynomial(T x, double c, More... more) {
  return static_cast<T>(c) + x * polynomial(x, more...);
}

template <std::floating_point T>
struct facts;  // constants and series for one scalar type

template <>
struct facts<float> {
  using bits = std::uint32_t;
  static constexpr bits bias = 127, shift = 23;
  static constexpr float rounder = 12582912.0f;              // 1.5 · 2^23
  static constexpr float lowest = -104.0f, highest = 89.0f;  // e^x is 0 or infinite beyond
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float erf_end = 4;  // erf is 1 beyond

  /// (e^r - 1 - r) / r² for |r| <= ln 2 / 2.
  static constexpr float exp_series(float r) {
    return polynomial(r, 0.5, 0.1666657667, 0.04166655421, 0.008363232884, 0.001392625083);
  }
  /// (tanh(x) / x - 1) / x² of z = x² <= 0.36.
  static constexpr float tanh_series(float z) {
    return polynomial(z, -0.3333333033, 0.1333291537, -0.05387394885, 0.02111095905, -0.00626911972);
  }
  /// erf(x) / x - 1 of z = x² <= 1.
  static constexpr float erf_series(float z) {
    return polynomial(z, 0.1283791658, -0.3761262667, 0.1128359472, -0.02685421201, 0.005189087423, -0.0008016864287,
                      7.875875063e-5);
  }
  /// log(1 - erf(x)) for 1 <= x <= erf_end; expanded at 1, where the result is largest.
  static constexpr float erf_log(float x) {
    return polynomial(x - 1, -1.849605507, -2.6389677, -0.8431047416, -0.04157574036, 0.01007780803, -0.002054300957,
                      0.0003202395664, -3.296083137e-5, 1.637151415e-6);
  }
};

template <>
struct facts<double> {
  using bits = std::uint64_t;
  static constexpr bits bias = 1023, shift = 52;
  static constexpr double rounder = 6755399441055744.0;  // 1.5 · 2^52
  static constexpr double lowest = -746.0, highest = 710.0;
  static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
  static constexpr double erf_end = 6;

  static constexpr double exp_series(double r) {
    return polynomial(r, 0.5, 0.16666666666666671, 0.0416666666666666698, 0.00833333333332608312,
                      0.00138888888888837112, 0.000198412698750022788, 0.0000248015873256774619, 2.75572551700008874e-6,
                      2.75572734787185805e-7, 2.51053127296221018e-8, 2.09147553258932022e-9);
  }
  static constexpr double tanh_series(double z) {
    return polynomial(z, -0.333333333333333287, 0.133333333333301962, -0.0539682539647576248, 0.0218694883837809292,
                      -0.00886323211354147319, 0.0035920831663434575, -0.00145546480280074492, 0.0005880541548418729,
                      -0.000232251040679385094, 0.0000815473780652536514, -0.0000183359621100394199);
  }
  static constexpr double erf_series(double z) {
    return polynomial(z, 0.128379167095512574, -0.376126389031837524, 0.112837916709551202, -0.0268661706451298408,
                      0.00522397762542329831, -0.00085483270219348296, 0.000120553329028887354,
                      -0.0000149256475675193321, 1.64620454414684189e-6, -1.63646421581676153e-7, 1.4792401209404813e-8,
                      -1.21645600572834501e-9, 8.70904512905310669e-11, -4.23094582429533782e-12);
  }
  static constexpr double erf_log(double x) {
    return polynomial(x - 1, -1.84960550993324851, -2.63896751423473136, -0.843107256360766925, -0.0415610980121352974,
                      0.0100338251609209541, -0.00197790169752423065, 0.000237320463130662615, 0.0000262798628586342167,
                      -0.0000271563342218642147, 9.59500650951352641e-6, -2.033159780146731e-6, 1.10285615095224532e-7,
                      1.2585035591399703e-7, -7.01435656178523619e-8, 2.35708126421711075e-8, -5.96954840965236523e-9,
                      1.19933132265268837e-9, -1.93067690415308372e-10, 2.47033725450198702e-11,
                      -2.45976400501791922e-12, 1.83789828996234595e-13, -9.69146505432828551e-15,
                      3.21395038657597688e-16, -5.03817509082021615e-18);
  }
};

/// e^x = 2^n (1 + fraction) with x = n ln 2 + r, |r| <= ln 2 / 2. The power is two factors, because at the ends of the
/// range 2^n itself is not representable.
template <std::floating_point T>
struct split_exponential {
  using of_type = facts<T>;
  using bits = typename of_type::bits;

  T fraction, power_1, power_2, inverse_2;  // inverse_2 = 1 / power_2

  constexpr explicit split_exponential(T x) {
#if defined(__clang__)
#  pragma clang fp reassociate(off)
#endif
    x = x < of_type::lowest ? of_type::lowest : x;
    x = x > of_type::highest ? of_type::highest : x;
    const T shifted = x * T(1.44269504088896340736) + of_type::rounder;  // the sum's last bits are the nearest integer
    const T whole = shifted - of_type::rounder;
    const T r = (x - whole * of_type::ln2_high) - whole * of_type::ln2_low;
    fraction = r + r * r * of_type::exp_series(r);
    const bits biased_twice = std::bit_cast<bits>(shifted) - std::bit_cast<bits>(of_type::rounder) + 2 * of_type::bias;
    const bits half = biased_twice / 2, rest = biased_twice - half;
    power_1 = std::bit_cast<T>(half << of_type::shift);
    power_2 = std::bit_cast<T>(rest << of_type::shift);
    inverse_2 = std::bit_cast<T>((2 * of_type::bias - rest) << of_type::shift);
  }
};

}  // namespace detail

template <std::floating_point T>
constexpr T exp(T x) {
  const detail::split_exponential<T> e(x);
  return (e.power_1 + e.power_1 * e.fraction) * e.power_2;
}

/// e^x - 1, accurate also for small x.
template <std::floating_point T>
constexpr T expm1(T x) {
  const detail::split_exponential<T> e(x);
  return (e.power_1 * e.fraction + (e.power_1 - e.inverse_2)) * e.power_2;
}

template <std::floating_point T>
constexpr T tanh(T x) {
  const T magnitude = x < 0 ? -x : x, z = x * x;
  const T near_0 = x + x * z * detail::facts<T>::tanh_series(z);
  const T far = 1 - 2 / (math::exp(2 * magnitude) + 1);
  return magnitude < T(0.6) ? near_0 : x < 0 ? -far : far;
}

template <std::floating_point T>
constexpr T erf(T x) {
  using of_type = detail::facts<T>;
  const T magnitude = x < 0 ? -x : x;
  const T near_0 = x + x * of_type::erf_series(x * x);
  const T far = 1 - math::exp(of_type::erf_log(magnitude > of_type::erf_end ? of_type::erf_end : magnitude));
  return magnitude < 1 ? near_0 : x < 0 ? -far : far;
}

template <std::floating_point T>
constexpr T sqrt(T x) {
  return std::sqrt(x);
}
template <std::floating_point T>
constexpr T log(T x) {
  return std::log(x);
}
template <std::floating_point T>
constexpr T abs(T x) {
  return x < 0 ? -x : x;
}

}  // namespace trimtab::math
