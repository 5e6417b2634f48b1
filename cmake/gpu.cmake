# cmake -P cmake/gpu.cmake: on a machine with a GPU, builds the CUDA bundle and runs its script, cmake/bundle/run.sh. It
# installs what is missing, unless called with -D install=OFF. The run takes 1800 seconds at most, or -D seconds=NUMBER.

cmake_minimum_required(VERSION 3.25)

find_program(nvidia_smi nvidia-smi)
if(NOT nvidia_smi)
  message(FATAL_ERROR "trimtab: there is no nvidia-smi here, so no usable GPU; run this on a machine with one.")
endif()

include("${CMAKE_CURRENT_LIST_DIR}/setup.cmake")

if(NOT seconds)
  set(seconds 1800)
endif()
step("configure" "${CMAKE_COMMAND}" --preset cuda-bundle)
step("build" "${CMAKE_COMMAND}" --build --preset cuda-bundle)
step("run on the GPU" sh build/cuda-bundle/bundle/run.sh ${seconds} build/cuda-bundle/results)
