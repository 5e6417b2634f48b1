// SPDX-License-Identifier: Apache-2.0

#include <trimtab/instances/compose.hpp>

namespace trimtab {

TRIMTAB_BACKEND_INSTANCES(, float)
TRIMTAB_LIBRARY_POLICY_INSTANCES(, float)

}  // namespace trimtab
