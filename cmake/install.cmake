# The installed package: headers, targets, and find modules for the dependencies that bring no package file of their
# own.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/trimtab")

install(TARGETS trimtab_compose EXPORT trimtab-compose-targets FILE_SET HEADERS COMPONENT development)
install(EXPORT trimtab-compose-targets NAMESPACE trimtab:: DESTINATION "${package_dir}" COMPONENT development)
install(TARGETS trimtab EXPORT trimtab-targets FILE_SET HEADERS COMPONENT development)
install(EXPORT trimtab-targets NAMESPACE trimtab:: DESTINATION "${package_dir}" COMPONENT development)

# The other components are headers and lists of flags, so they are installed whether or not this build found a toolkit, MPI
# or NCCL.
foreach(component IN ITEMS cuda mpi nccl)
  install(TARGETS trimtab_${component} EXPORT trimtab-${component}-targets FILE_SET HEADERS COMPONENT development)
  install(EXPORT trimtab-${component}-targets NAMESPACE trimtab:: DESTINATION "${package_dir}" COMPONENT development)
endforeach()

string(REPLACE ";" " " TRIMTAB_COMPOSE_DEPENDENCIES_IN_A_LINE "${TRIMTAB_COMPOSE_DEPENDENCIES}")
string(REPLACE ";" " " TRIMTAB_DEPENDENCIES_IN_A_LINE "${TRIMTAB_DEPENDENCIES}")
configure_package_config_file(cmake/trimtab-config.cmake.in trimtab-config.cmake INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file(trimtab-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(
  FILES
    "${CMAKE_CURRENT_BINARY_DIR}/trimtab-config.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/trimtab-config-version.cmake"
    cmake/FindNCCL.cmake
    cmake/FindPCRE2.cmake
    cmake/Findutf8proc.cmake
  DESTINATION "${package_dir}"
  COMPONENT development)
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT development)
