// SPDX-License-Identifier: Apache-2.0

#include "composed.hpp"
#include "load.hpp"
#include "policies.hpp"

namespace trimtab::cli {

// nvcc compiles this file; it names the backend that a host compiler does not know.
std::unique_ptr<any_model> load_cuda(const path& folder, const model_config& config, arithmetic precision,
                                     io::model_folder_options options) {
  using B = cuda_backend<float>;
  const B backend(cuda::options{.precision = precision == arithmetic::in_tf32   ? cuda::precision::tf32
                                             : precision == arithmetic::in_bf16 ? cuda::precision::bf16
                                                                                : cuda::precision::full});
  if (config.architecture == "gpt2") return std::make_unique<model_of<gpt2<B>>>(folder, backend, std::move(options));
  if (config.parallel_residual) return std::make_unique<model_of<gpt_neox<B>>>(folder, backend, std::move(options));
  return std::make_unique<model_of<gpt_neox_sequential<B>>>(folder, backend, std::move(options));
}

}  // namespace trimtab::cli
