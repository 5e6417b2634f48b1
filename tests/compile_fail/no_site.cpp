// expected: the first argument of at() is a site such as site::attn_out{}
// SPDX-License-Identifier: Apache-2.0

#include "bare_model.hpp"

#ifdef TRIMTAB_MISUSE
struct somewhere {};
#else
using somewhere = site::attn_out;
#endif

auto compose() { return at(somewhere{}, policy::activ_scalar{}); }
