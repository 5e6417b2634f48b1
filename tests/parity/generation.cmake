# Runs generation.py with a Python that has what it needs: -D program=

foreach(python IN ITEMS python3 /usr/bin/python3)
  execute_process(COMMAND ${python} -c "import numpy, torch" RESULT_VARIABLE lacks OUTPUT_QUIET ERROR_QUIET)
  if(NOT lacks)
    execute_process(COMMAND ${python} "${CMAKE_CURRENT_LIST_DIR}/generation.py" "${program}" COMMAND_ERROR_IS_FATAL ANY)
    return()
  endif()
endforeach()
message("skipped: python3 lacks NumPy or PyTorch (Debian: python3-torch)")
