# Proves that every header brings all the includes it needs, by compiling it first in some file.
#
# A header that a source file includes first is proven by that file. For each other one this makes a file of one line.
# g++ must say so: nvcc accepts headers that miss an include, so .cu files prove only what lies below cuda/.

# weft_unproven_headers(result ROOT dir HEADERS path... SOURCES path...): the headers that no source includes first.
function(weft_unproven_headers result)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "ROOT" "HEADERS;SOURCES")
  set(unproven ${arg_HEADERS})
  foreach(source ${arg_SOURCES})
    file(STRINGS ${source} first REGEX "^#include" LIMIT_COUNT 1)
    if(NOT first MATCHES "\"(.*)\"")
      continue()
    endif()
    set(header ${CMAKE_MATCH_1})
    if(NOT source MATCHES "\\.cu$" OR header MATCHES "/cuda/")
      list(REMOVE_ITEM unproven ${arg_ROOT}/${header})
    endif()
  endforeach()
  set(${result} "${unproven}" PARENT_SCOPE)
endfunction()

# weft_compile_headers_alone(target FOLDER dir SOURCES path... LIBS library...) adds <target>_headers, built with the rest
# but linked into nothing, for the headers of the folder that SOURCES leave unproven.
function(weft_compile_headers_alone target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FOLDER" "SOURCES;LIBS")
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${arg_FOLDER}/*.h)
  if(NOT WEFT_WITH_CUDA)
    list(FILTER headers EXCLUDE REGEX "/cuda/")
  endif()
  weft_unproven_headers(unproven ROOT ${CMAKE_SOURCE_DIR} HEADERS ${headers} SOURCES ${arg_SOURCES})
  set(files "")
  foreach(header ${unproven})
    file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR} ${header})
    set(file ${CMAKE_BINARY_DIR}/headers_alone/${path}.cc)
    file(CONFIGURE OUTPUT ${file} CONTENT "#include \"${path}\"\n")
    list(APPEND files ${file})
  endforeach()
  if(files)
    add_library(${target}_headers OBJECT ${files})
    target_include_directories(${target}_headers PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${target}_headers PRIVATE ${arg_LIBS})
    target_compile_options(${target}_headers PRIVATE -Wno-unused-function)
  endif()
endfunction()
