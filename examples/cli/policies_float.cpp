// SPDX-License-Identifier: Apache-2.0

#include "policies.hpp"

#include <trimtab/backend/eigen.hpp>

namespace trimtab::cli {

template any_policy<eigen_backend<float>> policy_for<eigen_backend<float>>(const chosen_at&);

}  // namespace trimtab::cli
