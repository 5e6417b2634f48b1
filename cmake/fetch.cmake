# A library that is neither installed nor within reach ends the configuration in a sentence of ours, not in one of git's.

include(FetchContent)

# trimtab_require(NAME DEBIAN_PACKAGE URL [FIND_PACKAGE_ARGUMENT...]) stops where NAME is not installed, was not fetched
# before and cannot be fetched from URL. Called before FetchContent_MakeAvailable, with what FetchContent_Declare says. A
# macro, because packages set variables for whoever finds them.
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
