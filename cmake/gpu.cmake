# cmake -P cmake/gpu.cmake: everything that only a machine with a GPU can tell. Builds with CUDA for the device that is
# there, then runs in turn the parity tests, a comparison with Hugging Face transformers (where Python has torch and
# transformers), the benchmarks beside PyTorch's, the examples, the installed package and compute-sanitizer's four tools.
# It prints what belongs into benchmarks/RESULTS.md as soon as it is known. Without a device it stops with a sentence;
# what is left out is said.
#
# cmake -D install=OFF -P cmake/gpu.cmake: the same where nothing can be installed, as in a machine without a network.

cmake_minimum_required(VERSION 3.25)

find_program(nvidia_smi nvidia-smi)
if(NOT nvidia_smi)
  message(FATAL_ERROR "trimtab: there is no nvidia-smi here, so no GPU that could be used; run this where there is one.")
endif()
execute_process(COMMAND "${nvidia_smi}" --query-gpu=name,driver_version,memory.total --format=csv,noheader
  OUTPUT_VARIABLE device ERROR_VARIABLE device OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "trimtab: nvidia-smi finds no GPU that could be used: ${device}")
endif()
string(REPLACE "\n" "; " device "${device}")
message(STATUS "trimtab: the device is ${device}")

include("${CMAKE_CURRENT_LIST_DIR}/setup.cmake")

set(ENV{TRIMTAB_REQUIRE_DEVICE} 1)  # a test that would skip fails instead
set(build "${root}/build/cuda")
set(ctest "${CMAKE_CTEST_COMMAND}" --preset cuda)

step("configure" "${CMAKE_COMMAND}" --preset cuda -D CMAKE_CUDA_ARCHITECTURES=native)
step("build" "${CMAKE_COMMAND}" --build --preset cuda
  --target parity_cuda trimtab_cli first_steering_cuda own_policy_cuda own_term_cuda bench_cuda_step)
step("compare with the CPU, 100 repeats each" ${ctest} -L "^cuda$" -LE compute-sanitizer -E "^(examples|package)/")

find_program(python NAMES python3 python)
set(lacks_torch 1)
if(python)
  execute_process(COMMAND "${python}" -c "import torch, transformers; assert torch.cuda.is_available()"
    RESULT_VARIABLE lacks_torch OUTPUT_QUIET ERROR_QUIET)
endif()
if(lacks_torch EQUAL 0)
  step("compare with Hugging Face transformers" "${python}" tests/parity/transformers.py build/cuda/trimtab)
else()
  message(STATUS "trimtab: NOT RUN: there is no Python that has torch with CUDA and transformers to compare with")
endif()

set(results "${build}/gpu-results.md")
file(WRITE "${results}" "## GPU\n\n${device}. Command: `cmake -P cmake/gpu.cmake`.\n\n")
if(NOT python)
  message(STATUS "trimtab: NOT RUN: benchmarks, which a Python script drives, and there is no Python")
else()
  set(alone --alone)
  if(lacks_torch EQUAL 0)
    set(alone)
  endif()
  step("time steps" "${python}" benchmarks/cuda_versus_pytorch.py ${alone} "${build}/benchmarks/bench_cuda_step"
    "${results}")
  file(READ "${results}" text)
  message("\n${text}")
  message(STATUS "trimtab: the above is what belongs into benchmarks/RESULTS.md; it is kept in ${results}")
endif()

step("run the examples" ${ctest} -R "^examples/.*_cuda$")
step("use the installed package" ${ctest} -R "^package/cuda$")

find_program(sanitizer compute-sanitizer HINTS /usr/local/cuda/bin /usr/local/cuda/compute-sanitizer)
if(sanitizer)
  step("run compute-sanitizer" ${ctest} -L "^compute-sanitizer$" --verbose)
else()
  message(STATUS "trimtab: NOT RUN: compute-sanitizer is not installed")
endif()
message(STATUS "trimtab: done")
