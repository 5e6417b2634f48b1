// SPDX-License-Identifier: Apache-2.0

#include "parity/models.hpp"

#include <trimtab/io/huggingface/model_folder.hpp>

namespace trimtab::test {

template <typename T>
any_model<T> read_model(const std::filesystem::path& folder) {
  using B = eigen_backend<T>;
  const io::model_folder source(folder);
  if (source.config().architecture == "gpt2") return gpt2<B>(source);
  if (source.config().parallel_residual) return gpt_neox<B>(source);
  return gpt_neox_sequential<B>(source);
}

template any_model<float> read_model(const std::filesystem::path&);
template any_model<double> read_model(const std::filesystem::path&);

}  // namespace trimtab::test
