// SPDX-License-Identifier: Apache-2.0

#include "composed.hpp"
#include "load.hpp"

namespace trimtab::cli {

std::unique_ptr<any_model> load_gpt_neox_double(const path& folder, int threads, io::model_folder_options options) {
  return std::make_unique<model_of<gpt_neox<eigen_backend<double>>>>(folder, backend_with<double>(threads),
                                                                     std::move(options));
}

}  // namespace trimtab::cli
