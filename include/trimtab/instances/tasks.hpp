// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/task/ccc.hpp>
#include <trimtab/task/ioi.hpp>
#include <trimtab/text/tokenizer.hpp>

/// The generated tasks for the library's tokenizers: see instances/compose.hpp.

namespace trimtab {

extern template task::prompt_sets task::ioi(const text::tokenizer&, const task::ioi_options&);
extern template task::prompt_sets task::ccc(const text::tokenizer&, const task::ccc_options&);

}  // namespace trimtab
