# Runs a small study of an embedded model and recomputes its figures with study.py, with a Python that has NumPy:
# -D program= -D model= -D folder=

foreach(python IN ITEMS python3 /usr/bin/python3)
  execute_process(COMMAND ${python} -c "import numpy" RESULT_VARIABLE lacks OUTPUT_QUIET ERROR_QUIET)
  if(NOT lacks)
    file(REMOVE_RECURSE "${folder}")
    execute_process(COMMAND "${program}" study paper --model "${model}" --task ccc --out "${folder}" --train 10 --test 24
      --seeds 3 --steps 20 --explained 4 COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND ${python} "${CMAKE_CURRENT_LIST_DIR}/study.py" "${folder}" COMMAND_ERROR_IS_FATAL ANY)
    return()
  endif()
endforeach()
message("skipped: python3 lacks NumPy (Debian: python3-numpy)")
