// SPDX-License-Identifier: Apache-2.0

#include "run_study.hpp"

demo::study demo::study_tiny_pythia() { return run_study<gpt_neox<eigen_backend<float>>>("tiny-pythia"); }
