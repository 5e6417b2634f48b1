// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"

#include <trimtab/io/huggingface/model_folder.hpp>

#include <memory>

/// Loads a model of whichever architecture `config` says, on one of the backends.

namespace trimtab::cli {

std::unique_ptr<any_model> load_cpu(const path& folder, const model_config& config, const common_options& common,
                                    io::model_folder_options options);
/// In builds with CUDA.
std::unique_ptr<any_model> load_cuda(const path& folder, const model_config& config, arithmetic precision,
                                     io::model_folder_options options);

}  // namespace trimtab::cli
