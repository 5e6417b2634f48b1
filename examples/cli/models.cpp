// SPDX-License-Identifier: Apache-2.0

#include "composed.hpp"
#include "load.hpp"
#include "policies.hpp"

namespace trimtab::cli {

std::unique_ptr<any_model> load_cpu(const path& folder, const model_config& config, arithmetic precision, int threads,
                                    io::model_folder_options options) {
  if (precision == arithmetic::in_double)
    return load_on(backend_with<double>(threads), folder, config, std::move(options));
  return load_on(backend_with<float>(threads), folder, config, std::move(options));
}

}  // namespace trimtab::cli
