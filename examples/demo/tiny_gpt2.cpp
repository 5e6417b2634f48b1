// SPDX-License-Identifier: Apache-2.0

#include "run_study.hpp"

demo::study demo::study_tiny_gpt2() { return run_study<gpt2<eigen_backend<float>>>("tiny-gpt2"); }
