// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// The symbols of parameters in formulas.

namespace trimtab::policy {

/// "α" for alpha, "v" for vector, "w", "b"; another parameter by its name. In a sequence "α of policy 0".
inline std::string symbol_of(const std::string& parameter) {
  const std::string name = parameter.substr(parameter.rfind('.') + 1);
  const std::string symbol = name == "alpha"    ? "\xCE\xB1"
                             : name == "vector" ? "v"
                             : name == "weight" ? "w"
                             : name == "bias"   ? "b"
                                                : name;
  return parameter == name ? symbol : symbol + " of policy " + parameter.substr(0, parameter.rfind('.'));
}

}  // namespace trimtab::policy
