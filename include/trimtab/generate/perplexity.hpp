// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/core/view.hpp>
#include <trimtab/generate/sampling.hpp>
#include <trimtab/steer/baseline.hpp>

#include <cassert>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

/// How surprising a text is to a model. Under the untouched model, this is what steering costs in fluency.

namespace trimtab {

/// exp of the mean of -log p(token | those before it) over the tokens from `first` on (Jelinek et al. 1977): 1 if each
/// was certain, the size of the vocabulary if all were equally likely, NaN if there is none. `logits` is
/// [tokens][vocabulary], of the whole text; `first` is at least 1, for nothing predicts the first token.
template <typename T>
double perplexity(const host_matrix<T>& logits, std::span<const int> ids, index_t first) {
  assert(first >= 1 and logits.rows == std::ssize(ids));
  double surprise = 0;
  for (index_t t = first; t < std::ssize(ids); ++t) {
    const auto row =
        std::span(logits.values)
            .subspan(static_cast<std::size_t>((t - 1) * logits.cols), static_cast<std::size_t>(logits.cols));
    surprise -= log_probability(std::vector<double>(row.begin(), row.end()), ids[static_cast<std::size_t>(t)]);
  }
  const auto tokens = static_cast<double>(std::ssize(ids) - first);
  return tokens > 0 ? std::exp(surprise / tokens) : std::numeric_limits<double>::quiet_NaN();
}

/// The same under a model. Throws as `logits` does.
template <tensor_backend B, model_architecture A>
double perplexity(const transformer<B, A>& model, const std::vector<int>& ids, index_t first) {
  return perplexity(logits(model, std::span(&ids, 1), scored::all), ids, first);
}

}  // namespace trimtab
