# cmake -P cmake/gpu.cmake: everything that only a machine with a GPU can tell. Builds with CUDA, then runs in turn the parity
# tests, compute-sanitizer's four tools, a comparison with Hugging Face transformers (where Python has torch and
# transformers), and the benchmarks beside PyTorch's, and prints what belongs into benchmarks/RESULTS.md. Without a device
# it stops with a sentence: nothing is skipped silently.

include("${CMAKE_CURRENT_LIST_DIR}/setup.cmake")

find_program(nvidia_smi nvidia-smi)
if(NOT nvidia_smi)
  message(FATAL_ERROR "trimtab: there is no nvidia-smi here, so no GPU that could be used; run this where there is one.")
endif()
execute_process(COMMAND "${nvidia_smi}" --query-gpu=name,driver_version,memory.total --format=csv,noheader
  OUTPUT_VARIABLE device OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "trimtab: nvidia-smi finds no GPU: ${device}")
endif()
set(ENV{TRIMTAB_REQUIRE_DEVICE} 1)  # a test that would skip fails instead

step("configure" "${CMAKE_COMMAND}" --preset cuda)
step("build the tests" "${CMAKE_COMMAND}" --build --preset cuda --target parity_cuda)
step("compare with the CPU, 100 repeats each" "${CMAKE_CTEST_COMMAND}" --preset cuda --label-regex "^cuda$" --label-exclude compute-sanitizer -E "(examples|package)/")
step("build the programs" "${CMAKE_COMMAND}" --build --preset cuda
  --target trimtab_cli first_steering_cuda own_policy_cuda own_term_cuda bench_cuda_step)
step("run the examples" "${CMAKE_CTEST_COMMAND}" --preset cuda -R "examples/.*_cuda")

find_program(sanitizer compute-sanitizer HINTS /usr/local/cuda/bin)
if(sanitizer)
  step("run compute-sanitizer" "${CMAKE_CTEST_COMMAND}" --preset cuda -L compute-sanitizer --verbose)
else()
  message(STATUS "trimtab: NOT RUN: compute-sanitizer is not installed")
endif()

find_program(python NAMES python3 python)
execute_process(COMMAND "${python}" -c "import torch, transformers; assert torch.cuda.is_available()" RESULT_VARIABLE lacks_torch
  OUTPUT_QUIET ERROR_QUIET)
if(lacks_torch EQUAL 0)
  step("compare with Hugging Face transformers" "${python}" tests/parity/transformers.py build/cuda/trimtab)
else()
  message(STATUS "trimtab: NOT RUN: this Python has no torch with CUDA and transformers to compare with")
endif()

set(results "${root}/build/cuda/gpu-results.md")
file(WRITE "${results}" "## GPU\n\n${device}. Command: `cmake -P cmake/gpu.cmake`.\n\n")
if(lacks_torch EQUAL 0)
  step("time steps beside PyTorch's" "${python}" benchmarks/cuda_versus_pytorch.py build/cuda/benchmarks/bench_cuda_step "${results}")
else()
  step("time steps" "${python}" benchmarks/cuda_versus_pytorch.py --alone build/cuda/benchmarks/bench_cuda_step "${results}")
endif()
file(READ "${results}" text)
message("\n${text}")
message(STATUS "trimtab: the above is what belongs into benchmarks/RESULTS.md")
