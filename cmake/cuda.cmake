# nvcc, and how this project's own programs are compiled with it. The toolkit is found where it is usually installed, on the
# PATH or not; programs are built for one kind of device and, as PTX, for all later ones.

find_package(CUDAToolkit 12)
if(NOT CUDAToolkit_FOUND OR NOT CUDAToolkit_NVCC_EXECUTABLE)
  message(FATAL_ERROR "TRIMTAB_CUDA is on, but no CUDA toolkit with nvcc was found (version 12 or later): install one, "
    "name it with -DCUDAToolkit_ROOT=FOLDER, or configure without TRIMTAB_CUDA, e.g. with the preset `release`.")
endif()
if(NOT DEFINED CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  set(CMAKE_CUDA_COMPILER "${CUDAToolkit_NVCC_EXECUTABLE}")
endif()
# clang 14 as nvcc's host compiler cannot take all of the C++20 that the library is written in.
if(NOT DEFINED CMAKE_CUDA_HOST_COMPILER AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
endif()
set(CMAKE_CUDA_ARCHITECTURES 90 CACHE STRING "Compute capability of the devices, as 90 for an H100 or H200")
enable_language(CUDA)

add_library(trimtab_cuda_program INTERFACE)
target_link_libraries(trimtab_cuda_program INTERFACE trimtab_cuda)
# Nothing pedantic: nvcc hands the host compiler thousands of line directives that the standard does not know.
# restrict: see warnings.cmake; maybe-uninitialized: g++ 12's own AVX-512 intrinsics (GCC bug 105593).
set(host_flags -Wall,-Wextra,-Wconversion,-Wshadow,-Wno-restrict,-Wno-maybe-uninitialized,-fno-math-errno)
if(TRIMTAB_WARNINGS_AS_ERRORS)
  string(APPEND host_flags ",-Werror")
  target_compile_options(trimtab_cuda_program INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings>")
endif()
if(TRIMTAB_NATIVE)
  string(APPEND host_flags ",-march=native")
endif()
target_compile_options(trimtab_cuda_program INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${host_flags}>)

# trimtab_cuda_source(OUT SOURCE.cpp [LINE...]) sets OUT to a generated .cu of a few lines: the given ones, then the source.
# So one source serves both compilers, and is compiled again when it changes.
function(trimtab_cuda_source out source)
  get_filename_component(name "${source}" NAME_WE)
  get_filename_component(path "${source}" ABSOLUTE)
  string(REPLACE ";" "\n" lines "${ARGN}")
  set(generated "${CMAKE_CURRENT_BINARY_DIR}/${name}.cu")
  file(CONFIGURE OUTPUT "${generated}" CONTENT "${lines}\n#include \"${path}\"\n" @ONLY)
  set(${out} "${generated}" PARENT_SCOPE)
endfunction()

# trimtab_cuda_header_check(TARGET HEADER...) compiles each header alone, twice in one source.
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
