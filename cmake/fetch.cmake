# If a dependency is neither installed nor can be fetched, configuring stops with a sentence that says what to install.

include(FetchContent)

# trimtab_require(NAME DEBIAN_PACKAGE URL [FIND_PACKAGE_ARGUMENT...]) stops if NAME is not installed, was not fetched
# before and cannot be fetched from URL. It is called before FetchContent_MakeAvailable, with the arguments that
# FetchContent_Declare gives to find_package. It is a macro, because packages set variables in the scope that finds
# them.
macro(trimtab_require name package url)
  find_package(${name} QUIET ${ARGN} GLOBAL)
  if(NOT ${name}_FOUND)
    trimtab_require_network(${name} ${package} ${url})
  endif()
endmacro()

function(trimtab_require_network name package url)
  string(TOUPPER "${name}" upper)
  string(TOLOWER "${name}" lower)
  if(FETCHCONTENT_SOURCE_DIR_${upper} OR EXISTS "${FETCHCONTENT_BASE_DIR}/${lower}-src/CMakeLists.txt")
    return()
  endif()
  find_program(TRIMTAB_GIT git)
  mark_as_advanced(TRIMTAB_GIT)
  set(status 1)
  if(TRIMTAB_GIT AND NOT FETCHCONTENT_FULLY_DISCONNECTED)
    execute_process(COMMAND "${CMAKE_COMMAND}" -E env GIT_TERMINAL_PROMPT=0 "${TRIMTAB_GIT}" ls-remote --quiet "${url}" HEAD
      RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET TIMEOUT 30)
  endif()
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "trimtab needs ${name}, which is not installed here and cannot be fetched from ${url}. Install it "
      "(Debian: `sudo apt-get install ${package}`; `cmake -P cmake/demo.cmake` installs all that is needed), or configure "
      "with a network.")
  endif()
endfunction()
