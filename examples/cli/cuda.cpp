// SPDX-License-Identifier: Apache-2.0

#include "composed.hpp"
#include "load.hpp"
#include "policies.hpp"

namespace trimtab::cli {

// nvcc compiles this file, because it uses the CUDA backend, which a host compiler cannot compile.
std::unique_ptr<any_model> load_cuda(const path& folder, const model_config& config, arithmetic precision,
                                     io::model_folder_options options) {
  using B = cuda_backend<float>;
  const B backend(cuda::options{.precision = precision == arithmetic::in_tf32   ? cuda::precision::tf32
                                             : precision == arithmetic::in_bf16 ? cuda::precision::bf16
                                                                                : cuda::precision::full});
  return load_on(backend, folder, config, std::move(options));
}

}  // namespace trimtab::cli
