// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/eigen.hpp>
#include <trimtab/compose.hpp>
#include <trimtab/io/checkpoint_file.hpp>
#include <trimtab/io/control_vector.hpp>
#include <trimtab/io/hook_file.hpp>
#include <trimtab/io/huggingface/from_pretrained.hpp>
#include <trimtab/io/huggingface/save_pretrained.hpp>
#include <trimtab/io/intervention_file.hpp>
#include <trimtab/io/intervention_tensors.hpp>
#include <trimtab/io/prompt_check.hpp>
#include <trimtab/io/prompt_file.hpp>
#include <trimtab/io/sweep_folder.hpp>
#include <trimtab/measure/untouched.hpp>
#include <trimtab/report/citation.hpp>
#include <trimtab/report/page/html.hpp>
#include <trimtab/report/page/sweep_section.hpp>
#include <trimtab/report/page/text_section.hpp>
#include <trimtab/report/picture/heat_map.hpp>
#include <trimtab/report/picture/heat_map_csv.hpp>
#include <trimtab/report/picture/heat_map_svg.hpp>
#include <trimtab/report/table.hpp>
#include <trimtab/report/terminal/progress.hpp>
#include <trimtab/report/terminal/terminal_map.hpp>
#include <trimtab/task/ccc.hpp>
#include <trimtab/task/ioi.hpp>

/// Everything for the CPU.

#ifdef TRIMTAB_INSTANCES
#  include <trimtab/instances/usual.hpp>
#endif
