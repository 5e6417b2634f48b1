// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "data.hpp"
#include "model.hpp"

/// The order in which places entered a path that `trimtab sweep --path` kept.

namespace trimtab::cli {

/// Parameters whose records have the largest weight of minimality at which they were not zero as their first number,
/// and zero otherwise. Throws `mismatch` for a sweep without a path, with several, or with one that is not finished,
/// and what reading a sweep throws.
parameters entries_on_path(const any_model& model, const path& folder, const common_options& common);

}  // namespace trimtab::cli
