// SPDX-License-Identifier: Apache-2.0

#include <trimtab/instances/usual.hpp>

namespace trimtab {

TRIMTAB_FAMILY_INSTANCES(, double)
TRIMTAB_FAMILY_FILE_INSTANCES(, double)

}  // namespace trimtab
