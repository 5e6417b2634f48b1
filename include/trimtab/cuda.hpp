// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <trimtab/backend/cuda.hpp>
#include <trimtab/trimtab.hpp>

/// Everything for the CPU and the GPU, for sources that nvcc compiles.
