// SPDX-License-Identifier: Apache-2.0

#include "load.hpp"

#include <trimtab/io/model_config_file.hpp>

namespace trimtab::cli {

std::unique_ptr<any_model> load_model(path const& folder, common_options const& options) {
  auto const config = io::read_model_config_file(folder).config;
  auto const load = [&](auto* in_float, auto* in_double) {
    return (options.double_precision ? in_double : in_float)(folder, options.threads);
  };
  if (config.architecture == "gpt2") return load(load_gpt2_float, load_gpt2_double);
  if (config.parallel_residual) return load(load_gpt_neox_float, load_gpt_neox_double);
  return load(load_gpt_neox_sequential_float, load_gpt_neox_sequential_double);
}

}  // namespace trimtab::cli
