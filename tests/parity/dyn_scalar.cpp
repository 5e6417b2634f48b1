// SPDX-License-Identifier: Apache-2.0

#include "parity/compositions_of.hpp"

namespace trimtab::test {

template case_result run_case<policy::dyn_scalar<gates::plain>>(any_model<double> const&, steered_case const&);
template logits_by_strength run_in_float<policy::dyn_scalar<gates::plain>>(any_model<float> const&,
                                                                           steered_case const&);
template fit_result run_fit<policy::dyn_scalar<gates::plain>>(any_model<double> const&, trajectory const&);

}  // namespace trimtab::test
