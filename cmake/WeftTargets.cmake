# How a folder becomes a library, and its tests an executable.
#
# Sources are chosen by name, never by `#if` (a function with two bodies has no reader):
#   cuda/*, *.cu, cuda_*.cc, *_cuda.cc   only with CUDA
#   nccl_*.cc                            only with NCCL
#   onednn_*.cc, *_onednn.cc             only with oneDNN
#   X_absent.cc                          stands in for X.cc where X.cc is left out
#   *_avx2.cc, *_avx512.cc, *_avx512bf16.cc   compiled for those instructions and called after a run-time check
#   main.cc                              in no library; weft_executable names it

include(HeadersAlone)

# --- Flags of every target -------------------------------------------------------------------------------------------

option(WEFT_WERROR "Warnings are errors" OFF)
# Designated initializers leave out what keeps its default; that is their point.
# -Wrestrict: g++ 12 sees overlaps in std::string that are not there (gcc bug 105651).
set(weft_warnings -Wall -Wextra -Wno-missing-field-initializers -Wno-restrict)
if(WEFT_WERROR)
  list(APPEND weft_warnings -Werror)
endif()
list(JOIN weft_warnings "," weft_cuda_warnings)
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${weft_warnings}>" "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${weft_cuda_warnings}>")
# A product and a sum are two roundings, unless a file is named for an instruction set: so the portable path is the
# same arithmetic on every machine.
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>")
add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>" "$<$<COMPILE_LANGUAGE:CUDA>:-lineinfo>")

# WEFT_CHECK stays on in every build type; NDEBUG only silences the libraries' assert().
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -g1 -DNDEBUG")
set(CMAKE_CUDA_FLAGS_RELEASE "-O3 -DNDEBUG")

if(WEFT_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1)
  add_link_options(-fsanitize=address,undefined)
elseif(WEFT_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -O1)
  add_link_options(-fsanitize=thread)
  # OpenBLAS and oneDNN bring threads that TSan cannot see into: the GEMM is plain C++ under it.
  add_compile_definitions(WEFT_PLAIN_GEMM=1)
  # TSan does not understand memory fences, and g++ warns of each; Boost.Asio's locks order the same things.
  add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK=1)
elseif(WEFT_SANITIZE)
  message(FATAL_ERROR "WEFT_SANITIZE is '${WEFT_SANITIZE}'; expected nothing, address or thread")
endif()

if(WEFT_PORTABLE)
  # The binary looks for its libraries beside itself; weft_executable gathers them there (cmake/GatherLibraries.cmake).
  # RPATH, not RUNPATH: the libraries there must find each other the same way.
  set(CMAKE_BUILD_RPATH "$ORIGIN/lib")
  add_link_options(-Wl,--disable-new-dtags)
endif()

# --- Which files -----------------------------------------------------------------------------------------------------

# weft_is_left_out(result path): is this source for a library that this build lacks?
function(weft_is_left_out result path)
  get_filename_component(name ${path} NAME)
  set(left_out FALSE)
  if(NOT WEFT_WITH_CUDA AND (path MATCHES "/cuda/" OR name MATCHES "\\.cu$|^cuda_.*\\.cc$|_cuda\\.cc$|_cuda_test\\.cc$"))
    set(left_out TRUE)
  elseif(NOT WEFT_WITH_NCCL AND name MATCHES "^nccl_.*\\.cc$")
    set(left_out TRUE)
  elseif(NOT WEFT_WITH_ONEDNN AND name MATCHES "^onednn_.*\\.cc$|_onednn\\.cc$")
    set(left_out TRUE)
  endif()
  set(${result} ${left_out} PARENT_SCOPE)
endfunction()

# weft_choose_sources(result path...): the sources of this build, by the table at the top.
function(weft_choose_sources result)
  set(chosen "")
  foreach(path ${ARGN})
    get_filename_component(name ${path} NAME)
    if(name STREQUAL "main.cc")
      continue()
    elseif(name MATCHES "_absent\\.cc$")
      string(REGEX REPLACE "_absent\\.cc$" ".cc" present ${path})
      if(NOT EXISTS ${present})
        message(FATAL_ERROR "${path} stands in for ${present}, which does not exist")
      endif()
      weft_is_left_out(use ${present})
    else()
      weft_is_left_out(left_out ${path})
      set(use TRUE)
      if(left_out)
        set(use FALSE)
      endif()
    endif()
    if(use)
      list(APPEND chosen ${path})
    endif()
  endforeach()
  set(${result} "${chosen}" PARENT_SCOPE)
endfunction()

# weft_set_instruction_flags(path...): files named for an instruction set are compiled for it, and may fuse products
# and sums. Such a file must hold no inline function that other files share (the linker may keep its copy, which an older
# CPU cannot run): it includes intrinsics, <cstdint> and its own header, and keeps the rest in an unnamed namespace.
function(weft_set_instruction_flags)
  set(vector -ffp-contract=fast -fno-math-errno -fno-trapping-math)
  set(avx2 -mavx2 -mfma -mf16c ${vector})
  set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
  set(avx512bf16 ${avx512} -mavx512bf16)
  foreach(path ${ARGN})
    if(path MATCHES "_(avx2|avx512|avx512bf16)\\.cc$")
      set_source_files_properties(${path} PROPERTIES COMPILE_OPTIONS "${${CMAKE_MATCH_1}}")
    endif()
  endforeach()
endfunction()

# --- Libraries and executables ---------------------------------------------------------------------------------------

# weft_library(kernels DEPS core [PUBLIC_LIBS absl::strings] [LIBS weft::openblas] [EXCLUDE subfolder...])
# makes weft_kernels from all sources below the calling folder. DEPS are weft folders, seen by whoever links this one;
# PUBLIC_LIBS appear in its headers; LIBS only in its sources. A folder of headers alone is an interface library.
function(weft_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPS;PUBLIC_LIBS;LIBS;EXCLUDE")
  weft_reject_unparsed(weft_library)
  set(folder ${CMAKE_CURRENT_SOURCE_DIR})
  file(GLOB_RECURSE found CONFIGURE_DEPENDS ${folder}/*.cc ${folder}/*.cu)
  foreach(subfolder ${arg_EXCLUDE})
    list(FILTER found EXCLUDE REGEX "^${folder}/${subfolder}/")
  endforeach()
  weft_choose_sources(sources ${found})
  list(TRANSFORM arg_DEPS PREPEND weft_)
  if(sources)
    add_library(weft_${name} STATIC ${sources})
    weft_set_instruction_flags(${sources})
    target_include_directories(weft_${name} PUBLIC ${CMAKE_SOURCE_DIR})
    target_link_libraries(weft_${name} PUBLIC ${arg_DEPS} ${arg_PUBLIC_LIBS} PRIVATE ${arg_LIBS})
  else()
    add_library(weft_${name} INTERFACE)
    target_include_directories(weft_${name} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(weft_${name} INTERFACE ${arg_DEPS} ${arg_PUBLIC_LIBS})
  endif()
  if(WEFT_TESTS)
    weft_compile_headers_alone(weft_${name} FOLDER ${folder} SOURCES ${sources} LIBS weft_${name} ${arg_LIBS})
  endif()
  if(name STREQUAL "core")
    weft_state_devices()
  endif()
endfunction()

# WEFT_WITH_CUDA and WEFT_WITH_NCCL are 0 or 1 in every file of weft: all folders link core.
function(weft_state_devices)
  get_target_property(type weft_core TYPE)
  set(scope PUBLIC)
  if(type STREQUAL "INTERFACE_LIBRARY")
    set(scope INTERFACE)
  endif()
  target_compile_definitions(weft_core ${scope} WEFT_WITH_CUDA=$<BOOL:${WEFT_WITH_CUDA}>
                                                WEFT_WITH_NCCL=$<BOOL:${WEFT_WITH_NCCL}>)
endfunction()

# weft_executable(weft SOURCES main.cc DEPS launch [LIBS ...]) puts build/<preset>/weft together.
function(weft_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS;LIBS")
  weft_reject_unparsed(weft_executable)
  list(TRANSFORM arg_DEPS PREPEND weft_)
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPS} ${arg_LIBS})
  if(WEFT_PORTABLE)
    add_custom_command(TARGET ${name} POST_BUILD VERBATIM COMMAND
                       ${CMAKE_COMMAND} -D EXECUTABLE=$<TARGET_FILE:${name}> -P ${CMAKE_SOURCE_DIR}/cmake/GatherLibraries.cmake)
  endif()
endfunction()

macro(weft_reject_unparsed function)
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${function}(${name}): what is '${arg_UNPARSED_ARGUMENTS}'?")
  endif()
endmacro()

# --- Tests -----------------------------------------------------------------------------------------------------------

# weft_test(kernels DEPS kernels [LIBS ...] [PROCESSORS n]) makes weft_kernels_test from every source in tests/kernels.
# Tests run in the repository's root, one process each, PROCESSORS of them counted as busy. WEFT_BINARY is the path of
# the weft executable from there. A folder without tests makes nothing.
function(weft_test folder)
  set(name ${folder})
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PROCESSORS" "DEPS;LIBS")
  weft_reject_unparsed(weft_test)
  file(GLOB_RECURSE found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*.cc)
  set_property(GLOBAL APPEND PROPERTY WEFT_TEST_SOURCES ${found})
  weft_choose_sources(sources ${found})
  if(NOT sources)
    return()
  endif()
  set(target weft_${folder}_test)
  list(TRANSFORM arg_DEPS PREPEND weft_)
  add_executable(${target} ${sources})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${arg_DEPS} ${arg_LIBS} GTest::gmock GTest::gtest GTest::gtest_main)
  weft_compile_headers_alone(${target} FOLDER ${CMAKE_SOURCE_DIR}/tests/${folder} SOURCES ${sources}
                             LIBS ${arg_DEPS} ${arg_LIBS} GTest::gmock GTest::gtest)
  file(RELATIVE_PATH binary ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/weft)
  target_compile_definitions(${target} PRIVATE WEFT_BINARY="${binary}")
  if(NOT arg_PROCESSORS)
    set(arg_PROCESSORS 1)
  endif()
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                       PROPERTIES LABELS ${folder} TIMEOUT 600 PROCESSORS ${arg_PROCESSORS}
                       ENVIRONMENT "${weft_sanitizer_environment}")
endfunction()

# Open MPI keeps about 120 KB to the end: the leak check leaves its libraries out.
set(weft_sanitizer_environment "")
if(WEFT_SANITIZE STREQUAL "address")
  set(weft_sanitizer_environment "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/cmake/leaks.supp:print_suppressions=0"
                                 "UBSAN_OPTIONS=print_stacktrace=1")
elseif(WEFT_SANITIZE STREQUAL "thread")
  set(weft_sanitizer_environment "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
endif()

# weft_test_vector_objects(kernels): no object of weft_kernels that is compiled for an instruction set shares inline code
# with the rest (cmake/CheckVectorObjects.cmake). Only optimised builds inline enough for that to hold.
function(weft_test_vector_objects name)
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Release" OR WEFT_SANITIZE)
    return()
  endif()
  set(check ${CMAKE_COMMAND} -D NM=${CMAKE_NM} -D "OBJECTS=$<JOIN:$<TARGET_OBJECTS:weft_${name}>,|>")
  set(script -P ${CMAKE_SOURCE_DIR}/cmake/CheckVectorObjects.cmake)
  add_test(NAME VectorObjects.ShareNoInlineCode COMMAND ${check} -D "PATTERN=_avx[a-z0-9]*\\.cc" ${script})
  add_test(NAME VectorObjects.OthersDoSoTheCheckCanFail COMMAND ${check} -D "PATTERN=gemm\\.cc" ${script})
  set_tests_properties(VectorObjects.OthersDoSoTheCheckCanFail PROPERTIES PASS_REGULAR_EXPRESSION "gemm\\.cc.* shares ")
endfunction()

# weft_check_tests_have_targets(): a test that no weft_test names would never run, so it fails the configure step.
function(weft_check_tests_have_targets)
  file(GLOB_RECURSE all CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/*_test.cc)
  list(FILTER all EXCLUDE REGEX "^${CMAKE_SOURCE_DIR}/(build|runs|\\.setup)/")
  get_property(known GLOBAL PROPERTY WEFT_TEST_SOURCES)
  list(REMOVE_ITEM all ${known})
  if(all)
    message(FATAL_ERROR "in no test target (tests/CMakeLists.txt): ${all}")
  endif()
endfunction()
