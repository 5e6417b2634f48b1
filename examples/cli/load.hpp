// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model.hpp"

#include <trimtab/io/huggingface/model_folder.hpp>

#include <memory>

/// The closed list of models that the program is compiled for: each in a source file of its own, so that they compile
/// side by side.

namespace trimtab::cli {

/// On a GPU, for builds with CUDA: all models in one source, which share their kernels.
std::unique_ptr<any_model> load_cuda(const path& folder, const model_config& config, arithmetic precision,
                                     io::model_folder_options options);

std::unique_ptr<any_model> load_gpt2_float(const path& folder, int threads, io::model_folder_options options);
std::unique_ptr<any_model> load_gpt2_double(const path& folder, int threads, io::model_folder_options options);
std::unique_ptr<any_model> load_gpt_neox_float(const path& folder, int threads, io::model_folder_options options);
std::unique_ptr<any_model> load_gpt_neox_double(const path& folder, int threads, io::model_folder_options options);
std::unique_ptr<any_model> load_gpt_neox_sequential_float(const path& folder, int threads,
                                                          io::model_folder_options options);
std::unique_ptr<any_model> load_gpt_neox_sequential_double(const path& folder, int threads,
                                                           io::model_folder_options options);

}  // namespace trimtab::cli
