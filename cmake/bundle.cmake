# The target `cuda_bundle` makes one folder for a machine that has a GPU, its driver and CUDA's libraries, but neither a
# compiler nor a network. The folder holds programs, the embedded models and bundle/run.sh, which runs the programs. It
# holds no source.

set(programs parity_cuda trimtab_cli first_steering_cuda own_policy_cuda own_term_cuda bench_cuda_step)
foreach(program IN LISTS programs)
  if(NOT TARGET ${program})
    message(FATAL_ERROR "TRIMTAB_CUDA_BUNDLE needs `${program}`: configure with the tests, the examples and the "
      "benchmarks, as the preset `cuda-bundle` does.")
  endif()
endforeach()

# The programs need glibc, the driver and cuBLAS of the other machine. They contain CUDA's runtime, and the two C
# libraries of tokenizers if their archives are installed here.
get_target_property(libraries trimtab_cuda INTERFACE_LINK_LIBRARIES)
list(TRANSFORM libraries REPLACE "CUDA::cudart$" "CUDA::cudart_static")
set_target_properties(trimtab_cuda PROPERTIES INTERFACE_LINK_LIBRARIES "${libraries}")
foreach(library IN ITEMS PCRE2::8BIT utf8proc::utf8proc)
  get_target_property(file ${library} IMPORTED_LOCATION)
  string(REGEX REPLACE "\\.so$" ".a" archive "${file}")
  if(EXISTS "${archive}")
    set_target_properties(${library} PROPERTIES IMPORTED_LOCATION "${archive}")
  endif()
endforeach()

# The programs run in the folder, where the models are. Without --gc-sections, parts of libstdc++ that nothing calls
# would need a later glibc.
foreach(program IN LISTS programs)
  target_link_options(${program} PRIVATE -static-libstdc++ LINKER:--gc-sections)
  set_target_properties(${program} PROPERTIES INSTALL_RPATH "$ORIGIN")
  if(program MATCHES "^(first|own)_")
    set_target_properties(${program} PROPERTIES COMPILE_DEFINITIONS "TRIMTAB_EXAMPLE_MODELS=\"models\"")
  endif()
endforeach()

# A component of its own, which a plain `cmake --install` leaves out. If one of the two C libraries is shared, it is
# copied.
set(component COMPONENT cuda_bundle EXCLUDE_FROM_ALL)
install(TARGETS ${programs}
  RUNTIME_DEPENDENCIES PRE_INCLUDE_REGEXES pcre2 utf8proc PRE_EXCLUDE_REGEXES .
  RUNTIME DESTINATION bin ${component}
  LIBRARY DESTINATION bin ${component})
install(DIRECTORY examples/models DESTINATION . ${component} PATTERN "*.py" EXCLUDE)
install(FILES LICENSE DESTINATION . ${component})
install(PROGRAMS cmake/bundle/run.sh DESTINATION . ${component})

set(bundle "${PROJECT_BINARY_DIR}/bundle")
add_custom_target(cuda_bundle
  COMMAND "${CMAKE_COMMAND}" -E rm -rf "${bundle}"
  COMMAND "${CMAKE_COMMAND}" --install "${PROJECT_BINARY_DIR}" --config $<CONFIG> --component cuda_bundle --strip
    --prefix "${bundle}"
  VERBATIM)
add_dependencies(cuda_bundle ${programs})
