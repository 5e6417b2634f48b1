// SPDX-License-Identifier: Apache-2.0

#include "composed.hpp"
#include "load.hpp"
#include "policies.hpp"
#include "ranks.hpp"

#include <algorithm>

#ifdef TRIMTAB_CLI_NCCL
#  include <trimtab/parallel/nccl.hpp>
#endif

namespace trimtab::cli {

// nvcc compiles this file, because it uses the CUDA backend, which a host compiler cannot compile.
std::unique_ptr<any_model> load_cuda(const path& folder, const model_config& config, arithmetic precision,
                                     io::model_folder_options options) {
  using B = cuda_backend<float>;
  const int devices = std::max(1, cuda::device_count()), device = rank_on_this_machine() % devices;
  const B backend(cuda::options{.device = device,
                                .precision = precision == arithmetic::in_tf32   ? cuda::precision::tf32
                                             : precision == arithmetic::in_bf16 ? cuda::precision::bf16
                                                                                : cuda::precision::full});
#ifdef TRIMTAB_CLI_NCCL
  // NCCL takes one rank a device; ranks that share one meet through MPI alone.
  if (all_ranks().size() > 1 and not any_rank(ranks_on_this_machine() > devices))
    share_through(parallel::nccl(all_ranks(), device));
#endif
  return load_on(backend, folder, config, std::move(options));
}

}  // namespace trimtab::cli
