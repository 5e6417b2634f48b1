# The target `docs` makes the API reference with Doxygen, in docs/html of the build folder. A warning of Doxygen is an
# error.

find_package(Doxygen QUIET)
if(NOT DOXYGEN_FOUND)
  message(STATUS "trimtab: no Doxygen here, so no target `docs`")
  return()
endif()

set(DOXYGEN_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/docs")
set(DOXYGEN_PROJECT_BRIEF "Learned interventions on the activations of GPT-2 and Pythia")
set(DOXYGEN_USE_MDFILE_AS_MAINPAGE "${PROJECT_SOURCE_DIR}/README.md")
set(DOXYGEN_GENERATE_LATEX NO)
set(DOXYGEN_QUIET YES)
set(DOXYGEN_EXTRACT_ALL YES)
set(DOXYGEN_EXCLUDE_SYMBOLS "*::detail*")
set(DOXYGEN_JAVADOC_AUTOBRIEF YES)  # the first sentence of a comment is its summary
set(DOXYGEN_SORT_MEMBER_DOCS NO)
set(DOXYGEN_WARN_IF_UNDOCUMENTED NO)
set(DOXYGEN_WARN_AS_ERROR FAIL_ON_WARNINGS)
set(DOXYGEN_HAVE_DOT NO)
set(DOXYGEN_FILTER_PATTERNS "*.hpp=sed -f ${CMAKE_CURRENT_LIST_DIR}/doxygen_filter.sed")
set(DOXYGEN_STRIP_FROM_PATH "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}")
set(DOXYGEN_EXTENSION_MAPPING "cuh=C++")
set(DOXYGEN_FILE_PATTERNS *.hpp *.cuh *.md)
doxygen_add_docs(docs
  include README.md examples/README.md examples/models/README.md cmake/packaging/README.md
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" COMMENT "API reference in ${DOXYGEN_OUTPUT_DIRECTORY}/html")
