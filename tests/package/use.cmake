# Configures, builds and runs downstream/, or `project`, in a fresh folder. Arguments: how, source, build, folder,
# generator, compiler, config, and in `more` further options for the configuration; see CMakeLists.txt.

cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${folder}")
if(how STREQUAL "find_package")
  # The tree is moved after it was installed: the package must not contain the path where it was built or installed.
  run("${CMAKE_COMMAND}" --install "${build}" --config "${config}" --component development --prefix "${folder}/first")
  file(RENAME "${folder}/first" "${folder}/prefix")
endif()
if(NOT project)
  set(project downstream)
endif()
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/${project}" -B "${folder}/build" -G "${generator}"
  "-DCMAKE_CXX_COMPILER=${compiler}" "-DCMAKE_BUILD_TYPE=${config}" "-DCMAKE_CXX_FLAGS=-O0" -DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG
  "-DCMAKE_PREFIX_PATH=${folder}/prefix"
  "-DHOW=${how}" "-DTRIMTAB_SOURCE=${source}" ${more})
run("${CMAKE_COMMAND}" --build "${folder}/build" --config "${config}")
run("${CMAKE_CTEST_COMMAND}" --test-dir "${folder}/build" --build-config "${config}" --output-on-failure
  --no-tests=error)
