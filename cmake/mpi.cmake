# MPI, where it is installed: the program then shares a fit among the ranks that mpirun starts. Only C functions are called.

set(MPI_CXX_SKIP_MPICXX ON)
if(TRIMTAB_MPI STREQUAL "AUTO")
  find_package(MPI QUIET COMPONENTS CXX)
elseif(TRIMTAB_MPI)
  find_package(MPI REQUIRED COMPONENTS CXX)
endif()
