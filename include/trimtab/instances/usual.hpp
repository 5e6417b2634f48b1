// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/instances/compose.hpp>
#include <trimtab/instances/tasks.hpp>
#include <trimtab/io/huggingface/from_pretrained.hpp>
#include <trimtab/io/intervention_tensors.hpp>
#include <trimtab/report/page/describe.hpp>

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

/// The same for what reads, saves and describes models and fits: see instances/compose.hpp.

#define TRIMTAB_FILE_INSTANCES(KIND, ...)                                                                              \
  KIND template pretrained<__VA_ARGS__> from_pretrained(const std::filesystem::path&,                                  \
                                                        typename __VA_ARGS__::backend_type, io::model_folder_options); \
  KIND template report::fit_report report::describe(const dynamic_steering<__VA_ARGS__>&, const parameters&,           \
                                                    std::span<const report::prompt_set>, std::vector<loss_values>,     \
                                                    const report::describe_options&);                                  \
  KIND template intervention_file make_intervention_file(const dynamic_steering<__VA_ARGS__>&, const parameters&,      \
                                                         std::map<std::string, std::string>);                          \
  KIND template parameters fit_to(const intervention_file&, const dynamic_steering<__VA_ARGS__>&, load_options);

#define TRIMTAB_FAMILY_FILE_INSTANCES(KIND, S)             \
  TRIMTAB_FILE_INSTANCES(KIND, gpt2<eigen_backend<S>>)     \
  TRIMTAB_FILE_INSTANCES(KIND, gpt_neox<eigen_backend<S>>) \
  TRIMTAB_FILE_INSTANCES(KIND, gpt_neox_sequential<eigen_backend<S>>)

namespace trimtab {

TRIMTAB_FAMILY_FILE_INSTANCES(extern, float)
TRIMTAB_FAMILY_FILE_INSTANCES(extern, double)

}  // namespace trimtab
