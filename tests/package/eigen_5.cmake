# Tests that Eigen 5 is accepted by the build from source and by the installed package. A package stands in for it that
# has the version 5.0.0 and, as Eigen's own does, rejects a request for 3.4. The test only configures. Arguments:
# source, build, folder, generator, compiler, config, include (where Eigen's headers are).

cmake_minimum_required(VERSION 3.25)
include(CMakePackageConfigHelpers)

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${folder}")
set(package "${folder}/eigen")
file(WRITE "${package}/Eigen3Config.cmake" "
if(NOT TARGET Eigen3::Eigen)
  add_library(Eigen3::Eigen INTERFACE IMPORTED)
  target_include_directories(Eigen3::Eigen SYSTEM INTERFACE \"${include}\")
endif()
")
write_basic_package_version_file("${package}/Eigen3ConfigVersion.cmake"
  VERSION 5.0.0 COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)

set(settings -G "${generator}" "-DCMAKE_CXX_COMPILER=${compiler}" "-DCMAKE_BUILD_TYPE=${config}" "-DEigen3_DIR=${package}"
  -DFETCHCONTENT_FULLY_DISCONNECTED=ON)
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/downstream" -B "${folder}/source" ${settings}
  -DHOW=add_subdirectory "-DTRIMTAB_SOURCE=${source}")
run("${CMAKE_COMMAND}" --install "${build}" --config "${config}" --component development --prefix "${folder}/prefix")
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/downstream" -B "${folder}/package" ${settings}
  -DHOW=find_package "-DCMAKE_PREFIX_PATH=${folder}/prefix")
foreach(how IN ITEMS source package)
  file(STRINGS "${folder}/${how}/CMakeCache.txt" used REGEX "^Eigen3_DIR:")
  if(NOT used MATCHES "=${package}$")
    message(FATAL_ERROR "the ${how} took another Eigen: ${used}")
  endif()
endforeach()
