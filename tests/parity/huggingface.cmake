# Runs huggingface.py with `python`, if that has what it needs: -D python= -D what=ids|logits -D program=

execute_process(COMMAND "${python}" -c "import tokenizers, torch, transformers; assert transformers.__version__ >= '5'"
  RESULT_VARIABLE lacks OUTPUT_QUIET ERROR_QUIET)
if(lacks)
  message("skipped: ${python} lacks transformers 5, tokenizers or torch; -D TRIMTAB_HUGGINGFACE_PYTHON= names another one")
  return()
endif()
execute_process(COMMAND "${python}" "${CMAKE_CURRENT_LIST_DIR}/huggingface.py" ${what} "${program}"
  COMMAND_ERROR_IS_FATAL ANY)
