// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/check/adjoint.hpp>
#include <trimtab/check/dual.hpp>
#include <trimtab/core/error.hpp>
#include <trimtab/core/intervention.hpp>
#include <trimtab/explain/ablation.hpp>
#include <trimtab/explain/attribution.hpp>
#include <trimtab/explain/certificate.hpp>
#include <trimtab/explain/direct_logit.hpp>
#include <trimtab/explain/logit_lens.hpp>
#include <trimtab/explain/patching.hpp>
#include <trimtab/explain/ranking_curve.hpp>
#include <trimtab/generate/generate.hpp>
#include <trimtab/measure/evaluate.hpp>
#include <trimtab/measure/intervals.hpp>
#include <trimtab/measure/pareto.hpp>
#include <trimtab/measure/rankings.hpp>
#include <trimtab/measure/site_geometry.hpp>
#include <trimtab/model/gpt2.hpp>
#include <trimtab/model/gpt_neox.hpp>
#include <trimtab/objective/effectiveness.hpp>
#include <trimtab/objective/faithfulness.hpp>
#include <trimtab/objective/minimality.hpp>
#include <trimtab/objective/weighted_sum.hpp>
#include <trimtab/policy/activ_scalar.hpp>
#include <trimtab/policy/affine.hpp>
#include <trimtab/policy/dyn_scalar.hpp>
#include <trimtab/policy/sequence.hpp>
#include <trimtab/policy/steer_vec.hpp>
#include <trimtab/steer/dynamic_steering.hpp>
#include <trimtab/steer/objective_and_gradient.hpp>
#include <trimtab/steer/observe.hpp>
#include <trimtab/steer/stationarity.hpp>
#include <trimtab/train/adam.hpp>
#include <trimtab/train/fit_plan.hpp>
#include <trimtab/train/path.hpp>
#include <trimtab/train/polish.hpp>
#include <trimtab/train/sweep.hpp>
#include <trimtab/train/trainer.hpp>

/// Everything that is composed and trained, without a backend, files or JSON.
