// SPDX-License-Identifier: Apache-2.0
// Headers of the library and of each dependency are found and linked through trimtab::trimtab alone.

#include <trimtab/core/error.hpp>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <Eigen/Core>
#include <nlohmann/json.hpp>
#include <omp.h>
#include <pcre2.h>
#include <utf8proc.h>

#include <iostream>
#include <thread>

int main() {
  std::thread([] { std::cout << "utf8proc " << utf8proc_version() << '\n'; }).join();
  std::cout << "threads " << omp_get_max_threads() << ", PCRE2 needs " << pcre2_config(PCRE2_CONFIG_VERSION, nullptr)
            << " bytes to name itself, " << nlohmann::json{{"sum", Eigen::Vector2f(1, 2).sum()}} << '\n';
  try {
    throw trimtab::error(trimtab::error_kind::bad_argument, "the sentence");
  } catch (trimtab::error const& e) {
    return e.kind() == trimtab::error_kind::bad_argument ? 0 : 1;
  }
}
