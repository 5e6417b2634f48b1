// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/transformer.hpp>

/// GPT-NeoX (Black et al. 2022), the family of Pythia: rotary positions, erf GELU, parallel residual.
///
///     x ← x + Attn(LN1(x)) + MLP(LN2(x))            gpt_neox
///     x ← x + Attn(LN1(x));   x ← x + MLP(LN2(x))   gpt_neox_sequential (`use_parallel_residual` false)

namespace trimtab {

template <tensor_backend B>
using gpt_neox = transformer<B, gpt_neox_architecture<residual_form::parallel>>;

template <tensor_backend B>
using gpt_neox_sequential = transformer<B, gpt_neox_architecture<residual_form::sequential>>;

}  // namespace trimtab
