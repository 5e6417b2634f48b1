// SPDX-License-Identifier: Apache-2.0

#include "composed.hpp"
#include "load.hpp"

namespace trimtab::cli {

std::unique_ptr<any_model> load_gpt2_float(const path& folder, int threads, io::model_folder_options options) {
  return std::make_unique<model_of<gpt2<eigen_backend<float>>>>(folder, backend_with<float>(threads),
                                                                std::move(options));
}

}  // namespace trimtab::cli
