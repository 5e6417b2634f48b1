// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/check/dual.hpp>

#include <vector>

/// Two derivatives to compare a gradient with: the complex step, Im f(x + ih) / h, exact to rounding, and central
/// differences, which do not depend on `dual`.

namespace trimtab {

/// The gradient of f at x by the complex step; f(std::vector<dual>) returns a dual.
template <typename F>
std::vector<double> complex_step_gradient(const F& f, const std::vector<double>& x) {
  constexpr double h = 1e-40;
  std::vector<dual> z(x.begin(), x.end());
  std::vector<double> gradient;
  for (dual& component : z) {
    component.imag = h;
    gradient.push_back(f(z).imag / h);
    component.imag = 0;
  }
  return gradient;
}

/// The same by central differences of fourth order; f(std::vector<double>) returns a double.
template <typename F>
std::vector<double> central_gradient(const F& f, std::vector<double> x) {
  constexpr double step = 1e-5;
  std::vector<double> gradient;
  for (double& component : x) {
    const auto across = [&, middle = component](double reach) {
      component = middle + reach;
      const double above = f(x);
      component = middle - reach;
      const double below = f(x);
      component = middle;
      return above - below;
    };
    gradient.push_back((8 * across(step) - across(2 * step)) / (12 * step));
  }
  return gradient;
}

}  // namespace trimtab
