// SPDX-License-Identifier: Apache-2.0

#include "parity/compositions_of.hpp"

namespace trimtab::test {

template case_result run_case<policy::dyn_scalar<gates::plain>>(const any_model<double>&, const steered_case&);
template logits_by_strength run_in_float<policy::dyn_scalar<gates::plain>>(const any_model<float>&,
                                                                           const steered_case&);
template fit_result run_fit<policy::dyn_scalar<gates::plain>>(const any_model<double>&, const trajectory&);

}  // namespace trimtab::test
