// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/model/transformer.hpp>

/// GPT-2 (Radford et al. 2019): learned positions, sequential residual, tanh GELU.
///
///     x ← x + Attn(LN1(x));   x ← x + MLP(LN2(x))

namespace trimtab {

template <tensor_backend B>
using gpt2 = transformer<B, gpt2_architecture>;

}  // namespace trimtab
