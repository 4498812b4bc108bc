# Shows on planted files that weft_unproven_headers finds the headers which nothing includes first.
# Run as: cmake -P tests/structure/headers_alone_test.cmake, in an empty folder.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/HeadersAlone.cmake)

set(root ${CMAKE_CURRENT_BINARY_DIR}/planted)
file(WRITE ${root}/core/first.cc "// A source.\n#include \"core/first.h\"\n#include \"core/second.h\"\n")
file(WRITE ${root}/core/system.cc "#include <vector>\n#include \"core/third.h\"\n")
file(WRITE ${root}/kernels/cuda/a.cu "#include \"kernels/cuda/a.h\"\n")
file(WRITE ${root}/kernels/cuda/b.cu "#include \"core/fourth.h\"\n")
file(GLOB_RECURSE sources ${root}/*.cc ${root}/*.cu)
set(headers "")
foreach(header core/first.h core/second.h core/third.h core/fourth.h kernels/cuda/a.h)
  list(APPEND headers ${root}/${header})
endforeach()

weft_unproven_headers(unproven ROOT ${root} HEADERS ${headers} SOURCES ${sources})
file(REMOVE_RECURSE ${root})
if(NOT unproven STREQUAL "${root}/core/second.h;${root}/core/third.h;${root}/core/fourth.h")
  message(FATAL_ERROR "found unproven: ${unproven}")
endif()
