// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"

#include <string>
#include <vector>

/// What is wrong, or probably wrong, with files of prompt pairs.

namespace trimtab::cli {

/// For a fit: a sentence for each of the first problems of its files that are no errors, without those about lengths,
/// which matter to absolute positions alone.
std::vector<std::string> warnings_about(const any_model& model, const data_options& data);

}  // namespace trimtab::cli
