// SPDX-License-Identifier: Apache-2.0

#include "load.hpp"

#include "talk.hpp"

#include <trimtab/io/model_config_file.hpp>
#include <trimtab/report/progress.hpp>

namespace trimtab::cli {

std::unique_ptr<any_model> load_model(path const& folder, common_options const& options) {
  stopwatch const watch;
  auto const config = io::read_model_config_file(folder).config;
  report::progress_bar bar("load", config.layers, not options.quiet);
  auto const load = [&](auto* in_float, auto* in_double) {
    auto model = (options.double_precision ? in_double : in_float)(
        folder, options.threads,
        {.allow_non_finite = options.allow_non_finite, .progress = [&](index_t done, index_t) { bar.show(done); }});
    note(options, "read '" + folder.string() + "' (" + text_of(config) + ") in " + watch.text());
    return model;
  };
  if (config.architecture == "gpt2") return load(load_gpt2_float, load_gpt2_double);
  if (config.parallel_residual) return load(load_gpt_neox_float, load_gpt_neox_double);
  return load(load_gpt_neox_sequential_float, load_gpt_neox_sequential_double);
}

}  // namespace trimtab::cli
