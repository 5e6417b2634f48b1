# Builds the CMake project of README.md, with its first program, against an installed tree. Arguments: readme, build,
# folder, generator, compiler, config.

cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/blocks.cmake")

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${folder}")
readme_blocks("${readme}" cmake projects)
readme_blocks("${readme}" cpp programs)
list(GET projects 0 project)
list(GET programs 0 program)
readable(project)
readable(program)
file(WRITE "${folder}/source/CMakeLists.txt" "${project}")
file(WRITE "${folder}/source/main.cpp" "${program}")

run("${CMAKE_COMMAND}" --install "${build}" --config "${config}" --component development --prefix "${folder}/prefix")
run("${CMAKE_COMMAND}" -S "${folder}/source" -B "${folder}/build" -G "${generator}" "-DCMAKE_CXX_COMPILER=${compiler}"
  "-DCMAKE_BUILD_TYPE=${config}" -DCMAKE_CXX_FLAGS=-O0 -DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG
  "-DCMAKE_PREFIX_PATH=${folder}/prefix")
run("${CMAKE_COMMAND}" --build "${folder}/build" --config "${config}")
