# What cmake/demo.cmake, cmake/test.cmake and cmake/gpu.cmake share: this file installs the packages that are missing,
# unless called with -D install=OFF, and defines step(). Run by `cmake -P`; the machine needs only CMake.

cmake_minimum_required(VERSION 3.25)

get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)

# step(WHAT COMMAND...) runs a command in the project's root; if it fails, the script stops with a sentence.
function(step what)
  message(STATUS "trimtab: ${what}")
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${root}" RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "trimtab: failed to ${what} (`${command}` ended with ${status}); the lines above say why.")
  endif()
endfunction()

# Installs the missing Debian packages, if there is apt and this user may use it. Otherwise CMake fetches the sources of
# the libraries, so the script stops only if a compiler, a build tool or git is missing.
function(install_missing_packages)
  find_program(apt_get apt-get)
  find_program(dpkg_query dpkg-query)
  if(NOT apt_get OR NOT dpkg_query)
    message(STATUS "trimtab: no apt here; libraries that are not installed are fetched by CMake")
    return()
  endif()

  set(packages libeigen3-dev librange-v3-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev libcli11-dev catch2
    libbenchmark-dev clang-format libopenmpi-dev openmpi-bin)
  find_program(build_tool NAMES make gmake ninja)
  if(NOT build_tool)
    list(APPEND packages make)
  endif()
  find_program(compiler NAMES "$ENV{CXX}" c++ g++ clang++)
  if(NOT compiler)
    list(APPEND packages g++)
  endif()
  find_program(git git)
  if(NOT git)
    list(APPEND packages git)
  endif()

  set(missing)
  foreach(package IN LISTS packages)
    execute_process(COMMAND "${dpkg_query}" -W -f "\${Status}" ${package} OUTPUT_VARIABLE state ERROR_QUIET)
    if(NOT state STREQUAL "install ok installed")
      list(APPEND missing ${package})
    endif()
  endforeach()
  if(NOT missing)
    message(STATUS "trimtab: all packages are installed")
    return()
  endif()
  string(REPLACE ";" " " names "${missing}")

  execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(as_root)
  if(NOT user EQUAL 0)
    set(as_root sudo -n)
    execute_process(COMMAND sudo -n true RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
    if(NOT status EQUAL 0)
      if("make" IN_LIST missing OR "g++" IN_LIST missing OR "git" IN_LIST missing)
        message(FATAL_ERROR "trimtab: ${names} missing and not installable without a password: run `sudo apt-get install ${names}`, then this again.")
      endif()
      message(STATUS "trimtab: cannot be installed without a password: ${names}; CMake fetches the sources instead. To install "
        "them, run `sudo apt-get install ${names}`.")
      return()
    endif()
  endif()

  message(STATUS "trimtab: update the lists of packages")
  execute_process(COMMAND ${as_root} apt-get update)  # if it fails, the old lists may still be good enough
  step("install ${names}" ${as_root} env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends
    ${missing})
endfunction()

# As many jobs as there are cores, and no more than memory allows: a translation unit with Eigen takes up to 1.5 GB.
function(use_all_cores)
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  cmake_host_system_information(RESULT memory QUERY AVAILABLE_PHYSICAL_MEMORY)
  math(EXPR jobs "${memory} / 1500")
  if(jobs GREATER cores)
    set(jobs ${cores})
  elseif(jobs LESS 1)
    set(jobs 1)
  endif()
  foreach(level IN ITEMS CMAKE_BUILD_PARALLEL_LEVEL CTEST_PARALLEL_LEVEL)
    if(NOT DEFINED ENV{${level}})
      set(ENV{${level}} ${jobs})
    endif()
  endforeach()
endfunction()

if(NOT DEFINED install OR install)
  install_missing_packages()
endif()
use_all_cores()
