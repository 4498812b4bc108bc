# Fails if an object file compiled for more than the baseline instructions holds code that other files may share.
#
# The linker keeps one copy of an inline function. If that is the copy of x_avx512.cc, an older CPU stops at it with an
# illegal instruction, far from any run-time check. So such objects may define no weak symbol.
# Run as: cmake -D NM=nm -D OBJECTS=a.o|b.o -D PATTERN=regex -P cmake/CheckVectorObjects.cmake
string(REPLACE "|" ";" objects "${OBJECTS}")
list(FILTER objects INCLUDE REGEX "${PATTERN}")
if(NOT objects)
  message(FATAL_ERROR "no object file matches ${PATTERN}")
endif()
foreach(object ${objects})
  execute_process(COMMAND ${NM} --defined-only --demangle ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f]+ [WVu] [^\n]*" shared "${symbols}")
  foreach(symbol ${shared})
    message(SEND_ERROR "${object} shares ${symbol}")
  endforeach()
endforeach()
