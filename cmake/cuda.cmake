# nvcc, and how this project's own programs are compiled with it. The toolkit is found where it is usually installed, on
# the PATH or not; programs are built for one kind of device and, as PTX, for all later ones.

option(TRIMTAB_CUDA_BUNDLE "Add the target `cuda_bundle`: programs for a GPU machine that cannot build them" OFF)

find_package(CUDAToolkit 12)
if(NOT CUDAToolkit_FOUND OR NOT CUDAToolkit_NVCC_EXECUTABLE)
  message(FATAL_ERROR "TRIMTAB_CUDA is on, but no CUDA toolkit with nvcc was found (version 12 or later): install one, "
    "name it with -DCUDAToolkit_ROOT=FOLDER, or configure without TRIMTAB_CUDA, e.g. with the preset `release`.")
endif()
if(NOT DEFINED CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  set(CMAKE_CUDA_COMPILER "${CUDAToolkit_NVCC_EXECUTABLE}")
endif()
# clang 14, as nvcc's host compiler, does not compile all of the C++20 that the library uses.
if(NOT DEFINED CMAKE_CUDA_HOST_COMPILER AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
endif()
set(CMAKE_CUDA_ARCHITECTURES 90 CACHE STRING "Compute capability of the devices, as 90 for an H100 or H200")
enable_language(CUDA)

find_package(NCCL QUIET)  # ranks with a GPU each then share a fit through it

add_library(trimtab_cuda_program INTERFACE)
target_link_libraries(trimtab_cuda_program INTERFACE trimtab_cuda)
# Without -Wpedantic, because nvcc gives the host compiler thousands of line directives that are not in the standard.
# -Wno-restrict: see warnings.cmake. -Wno-maybe-uninitialized: g++ 12's own AVX-512 intrinsics (GCC bug 105593).
set(host_flags -Wall,-Wextra,-Wconversion,-Wshadow,-Wno-restrict,-Wno-maybe-uninitialized,-fno-math-errno)
if(TRIMTAB_WARNINGS_AS_ERRORS)
  string(APPEND host_flags ",-Werror")
  target_compile_options(trimtab_cuda_program INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings>")
endif()
if(TRIMTAB_NATIVE)
  string(APPEND host_flags ",-march=native")
endif()
target_compile_options(trimtab_cuda_program INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${host_flags}>)

# trimtab_cuda_source(OUT SOURCE.cpp [LINE...]) sets OUT to a generated .cu file, which has the given lines and then
# includes the source. So one source serves both compilers, and is compiled again when it changes.
function(trimtab_cuda_source out source)
  get_filename_component(name "${source}" NAME_WE)
  get_filename_component(path "${source}" ABSOLUTE)
  string(REPLACE ";" "\n" lines "${ARGN}")
  set(generated "${CMAKE_CURRENT_BINARY_DIR}/${name}.cu")
  file(CONFIGURE OUTPUT "${generated}" CONTENT "${lines}\n#include \"${path}\"\n" @ONLY)
  set(${out} "${generated}" PARENT_SCOPE)
endfunction()

# trimtab_cuda_header_check(TARGET HEADER...) compiles each header alone, in a source that includes it twice.
function(trimtab_cuda_header_check target)
  foreach(header IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "${header}" name)
    file(RELATIVE_PATH header "${CMAKE_CURRENT_SOURCE_DIR}" "${header}")
    set(generated "${CMAKE_CURRENT_BINARY_DIR}/${target}/${name}.cu")
    file(CONFIGURE OUTPUT "${generated}" CONTENT "#include <${header}>\n#include <${header}>\n" @ONLY)
    list(APPEND sources "${generated}")
  endforeach()
  add_library(${target} OBJECT EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(${target} PRIVATE trimtab_cuda_program)
endfunction()
