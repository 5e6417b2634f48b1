// expected: this architecture lacks the site: in a parallel block attention and MLP read the same stream
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

#ifdef TRIMTAB_MISUSE
using model_type = test::bare_pythia;
#else
using model_type = test::bare_gpt2;
#endif

auto compose(const model_type& model) { return steer(model, at(site::resid_mid{}, policy::activ_scalar{})); }
