# The library's dependencies: the system's package if there is one, else the sources at a pinned commit. Dependencies of
# the tests, the examples and the benchmarks are declared where they are used. GLOBAL, so that a parent project can link
# them through trimtab::trimtab.

include("${CMAKE_CURRENT_LIST_DIR}/fetch.cmake")

list(PREPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}")  # FindNCCL, FindPCRE2, Findutf8proc

# Of dependencies that are fetched as sources, only the libraries are built.
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
set(CMAKE_POLICY_VERSION_MINIMUM 3.5)
set(BUILD_TESTING OFF)
set(EIGEN_BUILD_DOC OFF)
set(JSON_BuildTests OFF)
set(PCRE2_BUILD_TESTS OFF)
set(PCRE2_BUILD_PCRE2GREP OFF)
set(PCRE2_SUPPORT_JIT ON)
set(RANGE_V3_DOCS OFF)
set(RANGE_V3_EXAMPLES OFF)
set(RANGE_V3_TESTS OFF)
set(UTF8PROC_INSTALL OFF)

FetchContent_Declare(Eigen3
  GIT_REPOSITORY https://gitlab.com/libeigen/eigen.git
  GIT_TAG 3147391d946bb4b6c68edd901f2add6ac1f31f8c  # 3.4.0
  SYSTEM FIND_PACKAGE_ARGS CONFIG GLOBAL)  # without a version, because Eigen 5 rejects a request for 3.4
FetchContent_Declare(range-v3
  GIT_REPOSITORY https://github.com/ericniebler/range-v3.git
  GIT_TAG a81477931a8aa2ad025c6bda0609f38e09e4d7ec  # 0.12.0
  SYSTEM FIND_PACKAGE_ARGS CONFIG GLOBAL)  # without a version: a package takes none but exactly its own
FetchContent_Declare(nlohmann_json
  GIT_REPOSITORY https://github.com/nlohmann/json.git
  GIT_TAG 9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03  # 3.11.3
  SYSTEM FIND_PACKAGE_ARGS 3.10 CONFIG GLOBAL)
FetchContent_Declare(PCRE2
  GIT_REPOSITORY https://github.com/PCRE2Project/pcre2.git
  GIT_TAG 52c08847921a324c804cabf2814549f50bce1265  # 10.42
  SYSTEM FIND_PACKAGE_ARGS MODULE GLOBAL)
FetchContent_Declare(utf8proc
  GIT_REPOSITORY https://github.com/JuliaStrings/utf8proc.git
  GIT_TAG 1cb28a66ca79a0845e99433fd1056257456cef8b  # 2.8.0
  SYSTEM FIND_PACKAGE_ARGS MODULE GLOBAL)
trimtab_require(Eigen3 libeigen3-dev https://gitlab.com/libeigen/eigen.git CONFIG)
trimtab_require(range-v3 librange-v3-dev https://github.com/ericniebler/range-v3.git CONFIG)
trimtab_require(nlohmann_json nlohmann-json3-dev https://github.com/nlohmann/json.git 3.10 CONFIG)
trimtab_require(PCRE2 libpcre2-dev https://github.com/PCRE2Project/pcre2.git MODULE)
trimtab_require(utf8proc libutf8proc-dev https://github.com/JuliaStrings/utf8proc.git MODULE)
FetchContent_MakeAvailable(Eigen3 range-v3 nlohmann_json PCRE2 utf8proc)
if(Eigen3_VERSION AND Eigen3_VERSION VERSION_LESS 3.4)
  message(FATAL_ERROR "trimtab needs Eigen 3.4 or later; Eigen3_DIR `${Eigen3_DIR}` has ${Eigen3_VERSION}. Install a later "
    "one (Debian: libeigen3-dev), or configure with -DFETCHCONTENT_TRY_FIND_PACKAGE_MODE=NEVER to fetch it.")
endif()
if(range-v3_VERSION AND range-v3_VERSION VERSION_LESS 0.12)
  message(FATAL_ERROR "trimtab needs range-v3 0.12 or later; range-v3_DIR `${range-v3_DIR}` has ${range-v3_VERSION}. Install a "
    "later one (Debian: librange-v3-dev), or configure with -DFETCHCONTENT_TRY_FIND_PACKAGE_MODE=NEVER to fetch it.")
endif()

# If the two C libraries are fetched, they lack the target names and include folders that their find modules give.
if(NOT TARGET PCRE2::8BIT)
  add_library(PCRE2::8BIT INTERFACE IMPORTED GLOBAL)
  target_link_libraries(PCRE2::8BIT INTERFACE pcre2-8-static)
  target_include_directories(PCRE2::8BIT INTERFACE "${pcre2_BINARY_DIR}")
endif()
if(NOT TARGET utf8proc::utf8proc)
  add_library(utf8proc::utf8proc INTERFACE IMPORTED GLOBAL)
  target_link_libraries(utf8proc::utf8proc INTERFACE utf8proc)
  target_include_directories(utf8proc::utf8proc INTERFACE "${utf8proc_SOURCE_DIR}")
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED GLOBAL)

# What the two targets link, here and in the installed package: compose.hpp and a backend need the first list alone.
set(TRIMTAB_COMPOSE_DEPENDENCIES
  Eigen3::Eigen
  range-v3::range-v3
  Threads::Threads)
set(TRIMTAB_DEPENDENCIES
  nlohmann_json::nlohmann_json
  PCRE2::8BIT
  utf8proc::utf8proc)
