// SPDX-License-Identifier: Apache-2.0

#include <trimtab/instances/usual.hpp>

namespace trimtab {

TRIMTAB_FAMILY_INSTANCES(, float)
TRIMTAB_FAMILY_FILE_INSTANCES(, float)

template task::prompt_sets task::ioi(const text::tokenizer&, const task::ioi_options&);
template task::prompt_sets task::ccc(const text::tokenizer&, const task::ccc_options&);

}  // namespace trimtab
