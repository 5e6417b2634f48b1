// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "commands.hpp"
#include "model.hpp"

#include <trimtab/train/fit_plan.hpp>

/// What a fit will need, before it begins.

namespace trimtab::cli {

/// Steps that the command makes on so many prompts.
index_t steps_of(const fit_command& command, index_t prompts);

/// `fit --plan`: reads the folder's configuration and tokenizer and the prompts, and no weights.
output plan_fit(const fit_command& command, const common_options& common);

/// `eval --plan`: the same for an evaluation.
output plan_eval(const eval_command& command, const common_options& common);

/// `sweep --plan`: the same over all points.
output plan_sweep(const sweep_command& command, const common_options& common);

/// How many bytes of activations a pass of a sweep may hold: its default, or what the bound leaves beside `beside` bytes.
index_t bytes_of_pass(const sweep_command& command, index_t beside);

/// Throws `memory` for a fit that needs more than it may take, with the largest chunk that fits. The model is in memory
/// already.
void require_room(const fit_command& command, const common_options& common, const any_folder& model,
                  const parameter_layout& layout, std::span<const prompt_pair> prompts);

/// Throws `memory` where evaluating one of these prompts takes more than so many bytes; 0 is any.
void require_evaluation(const model_config& config, const parameter_layout& layout,
                        std::span<const prompt_pair> prompts, const std::vector<double>& strengths,
                        const common_options& common, index_t memory);

/// Throws `memory` where a pass forward and backward over all these prompts at once takes more than so many bytes; 0 is any.
void require_gradient_pass(const model_config& config, const parameter_layout& layout,
                           std::span<const prompt_pair> prompts, const objective_options& objective,
                           const common_options& common, index_t memory);

/// What each rank does: its prompts, and the bytes of gradients that the busiest one sends in a step.
ordered_json work_of_ranks(const fit_command& command, const common_options& common, const any_folder& model,
                           const parameter_layout& layout, std::span<const prompt_pair> prompts, int ranks);

}  // namespace trimtab::cli
