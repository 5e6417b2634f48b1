// SPDX-License-Identifier: Apache-2.0

#include <trimtab/instances/compose.hpp>

namespace trimtab {

TRIMTAB_BACKEND_INSTANCES(, double)
TRIMTAB_LIBRARY_POLICY_INSTANCES(, double)

}  // namespace trimtab
