// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

/// The symbols of parameters in formulas.

namespace trimtab::policy {

/// "α" for alpha, "v" for vector, "w", "b", "a" for amplitude and so on; another parameter by its name. In a sequence
/// "α of policy 0", of a gate beside a policy "w of the gate".
inline std::string symbol_of(const std::string& parameter) {
  if (const auto dot = parameter.find('.'); dot != parameter.npos) {
    const std::string scope = parameter.substr(0, dot);
    return symbol_of(parameter.substr(dot + 1)) + (scope == "gate" ? " of the gate" : " of policy " + scope);
  }
  return parameter == "alpha"       ? "\xCE\xB1"
         : parameter == "vector"    ? "v"
         : parameter == "weight"    ? "w"
         : parameter == "bias"      ? "b"
         : parameter == "amplitude" ? "a"
         : parameter == "scale"     ? "s"
         : parameter == "direction" ? "u"
         : parameter == "write"     ? "W"
         : parameter == "read"      ? "R"
                                    : parameter;
}

}  // namespace trimtab::policy
