# Runs elsewhere.py with `python`, which skips what it lacks a library for: -D python= -D what= -D program=

execute_process(COMMAND "${python}" -c "import json" RESULT_VARIABLE lacks OUTPUT_QUIET ERROR_QUIET)
if(lacks)
  message("skipped: there is no ${python}; -D TRIMTAB_HUGGINGFACE_PYTHON= names another one")
  return()
endif()
execute_process(COMMAND "${python}" "${CMAKE_CURRENT_LIST_DIR}/elsewhere.py" ${what} "${program}"
  COMMAND_ERROR_IS_FATAL ANY)
