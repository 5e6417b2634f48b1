// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

/// Real files to test against, which are no part of the project: in the folder that the environment variable
/// TRIMTAB_TEST_ASSETS names, else in `../shared/assets` beside the project. A test that finds none says so and passes:
///
///     auto const file = test::asset("nano-sort/config.json");
///     if (not file) { WARN(test::missing_asset("nano-sort/config.json")); return; }

namespace trimtab::test {

inline std::filesystem::path assets_folder() {
  if (const char* const named = std::getenv("TRIMTAB_TEST_ASSETS")) return named;
#ifdef TRIMTAB_SOURCE_DIR
  return std::filesystem::path(TRIMTAB_SOURCE_DIR).parent_path() / "shared" / "assets";
#else
  return "../shared/assets";
#endif
}

/// The file or folder `name`, a path relative to the assets, if it is there.
inline std::optional<std::filesystem::path> asset(const std::string& name) {
  auto path = assets_folder() / name;
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? std::optional(path) : std::nullopt;
}

/// The sentence for WARN; ctest shows a test that says "skipped:" as skipped.
inline std::string missing_asset(const std::string& name) {
  return "skipped: no '" + name + "' in '" + assets_folder().string() +
         "'; TRIMTAB_TEST_ASSETS can name another folder";
}

}  // namespace trimtab::test
