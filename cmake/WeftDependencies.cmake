# Finds every library weft builds on, on the system alone: nothing is vendored and nothing is fetched here.
#
# Each becomes one target (weft::openblas, weft::hdf5, absl::..., ...). An optional library that is absent still has its
# target, empty, so that folders list what they use without branching; WEFT_WITH_CUDA, WEFT_WITH_NCCL and
# WEFT_WITH_ONEDNN (0 or 1) say what is there, and one line of the configure output says what is left out and why.
# Package names for Debian and Ubuntu: launch/setup.sh.

# weft_find_library(hdf5 HEADER hdf5.h LIBRARY hdf5_serial [SUFFIXES hdf5/serial] [HINTS dir...] [OPTIONAL])
# looks for one header and one library and makes the imported target weft::hdf5; sets weft_hdf5_FOUND.
# With OPTIONAL the target is empty where either is missing; without it that is an error.
function(weft_find_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "OPTIONAL" "HEADER" "LIBRARY;SUFFIXES;HINTS")
  find_path(weft_${name}_INCLUDE ${arg_HEADER} HINTS ${arg_HINTS} PATH_SUFFIXES ${arg_SUFFIXES} include)
  find_library(weft_${name}_LIBRARY NAMES ${arg_LIBRARY} HINTS ${arg_HINTS} PATH_SUFFIXES ${arg_SUFFIXES} lib lib64)
  mark_as_advanced(weft_${name}_INCLUDE weft_${name}_LIBRARY)
  add_library(weft_${name} INTERFACE)
  add_library(weft::${name} ALIAS weft_${name})
  set(weft_${name}_FOUND FALSE PARENT_SCOPE)
  if(weft_${name}_INCLUDE AND weft_${name}_LIBRARY)
    target_include_directories(weft_${name} SYSTEM INTERFACE ${weft_${name}_INCLUDE})
    target_link_libraries(weft_${name} INTERFACE ${weft_${name}_LIBRARY})
    set(weft_${name}_FOUND TRUE PARENT_SCOPE)
  elseif(NOT arg_OPTIONAL)
    message(FATAL_ERROR "weft needs ${name}: ${arg_HEADER} or lib${arg_LIBRARY} was not found. "
                        "On Debian and Ubuntu ./test and ./quickstart install it.")
  endif()
endfunction()

# weft_alias_first(yaml_cpp yaml-cpp::yaml-cpp yaml-cpp): weft::yaml_cpp is the first of the targets that exists.
function(weft_alias_first name)
  foreach(candidate ${ARGN})
    if(TARGET ${candidate})
      add_library(weft_${name} INTERFACE)
      target_link_libraries(weft_${name} INTERFACE ${candidate})
      add_library(weft::${name} ALIAS weft_${name})
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "weft needs ${name}: none of the targets ${ARGN} is there")
endfunction()

# --- Always needed ---------------------------------------------------------------------------------------------------

find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(yaml-cpp REQUIRED)
weft_alias_first(yaml_cpp yaml-cpp::yaml-cpp yaml-cpp)  # 0.8 and 0.7 spell the target differently

find_package(MPI REQUIRED COMPONENTS C)
weft_alias_first(mpi MPI::MPI_C)
# Else mpi.h declares the C++ bindings, whose library Ubuntu no longer ships.
target_compile_definitions(weft_mpi INTERFACE OMPI_SKIP_MPICXX=1)

find_package(Boost 1.74 REQUIRED)
weft_alias_first(boost Boost::headers)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
weft_alias_first(crypto OpenSSL::Crypto)

weft_find_library(openblas HEADER cblas.h LIBRARY openblas SUFFIXES openblas-pthread openblas)
weft_find_library(pcre2 HEADER pcre2.h LIBRARY pcre2-8)
weft_find_library(utf8proc HEADER utf8proc.h LIBRARY utf8proc)
weft_find_library(sentencepiece HEADER sentencepiece_processor.h LIBRARY sentencepiece)
if(WEFT_PORTABLE)
  # The shared library pulls in 30 others (curl, krb5, ldap, ...), the archive only these.
  weft_find_library(hdf5 HEADER hdf5.h LIBRARY libhdf5_serial.a SUFFIXES hdf5/serial)
  target_link_libraries(weft_hdf5 INTERFACE sz z m ${CMAKE_DL_LIBS})
else()
  weft_find_library(hdf5 HEADER hdf5.h LIBRARY hdf5_serial hdf5 SUFFIXES hdf5/serial)
endif()

# --- oneDNN: the faster bf16 GEMM. Linked by hand, because its config file asks for OpenCL ---------------------------

weft_find_library(dnnl HEADER dnnl.hpp LIBRARY dnnl OPTIONAL)
set(WEFT_WITH_ONEDNN ${weft_dnnl_FOUND})
if(WEFT_SANITIZE STREQUAL "thread")
  set(WEFT_WITH_ONEDNN FALSE)  # its OpenMP threads are not instrumented: every one of them reads as a race
endif()
if(WEFT_WITH_ONEDNN)
  target_link_libraries(weft_dnnl INTERFACE gomp)  # to hold it to one thread
elseif(NOT weft_dnnl_FOUND)
  message(STATUS "weft: oneDNN is left out (dnnl.hpp or libdnnl not found); bf16 GEMM on the CPU will be slower")
endif()

# --- CUDA: the toolkit, cuDNN and the cudnn-frontend headers together, or none of them -------------------------------

set(WEFT_CUDA_ARCHITECTURES 80-real 90a-real CACHE STRING "GPU architectures to compile for")
set(WEFT_WITH_CUDA FALSE)
set(WEFT_WITH_NCCL FALSE)
set(weft_cuda_missing "")
if(WEFT_CUDA STREQUAL "OFF")
  set(weft_cuda_missing "WEFT_CUDA=OFF")
elseif(WEFT_SANITIZE)
  set(weft_cuda_missing "sanitizers and the CUDA runtime do not go together")
else()
  find_package(CUDAToolkit QUIET)
  if(NOT CUDAToolkit_NVCC_EXECUTABLE)
    set(weft_cuda_missing "no CUDA toolkit")
  else()
    weft_find_library(cudnn HEADER cudnn.h LIBRARY cudnn OPTIONAL
                      HINTS ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_LIBRARY_ROOT} ${CUDAToolkit_INCLUDE_DIRS}/..)
    find_path(WEFT_CUDNN_FRONTEND_INCLUDE cudnn_frontend.h
              HINTS ${CUDNN_FRONTEND_DIR} $ENV{CUDNN_FRONTEND_DIR} ${CMAKE_SOURCE_DIR}/.setup/cudnn-frontend PATH_SUFFIXES include
              DOC "Folder of cudnn_frontend.h, from the wheel nvidia-cudnn-frontend")
    if(NOT weft_cudnn_FOUND)
      list(APPEND weft_cuda_missing "no cuDNN")
    endif()
    if(NOT WEFT_CUDNN_FRONTEND_INCLUDE)
      list(APPEND weft_cuda_missing "no cudnn_frontend.h (wheel nvidia-cudnn-frontend: CUDNN_FRONTEND_DIR names its folder)")
    endif()
    list(JOIN weft_cuda_missing ", " weft_cuda_missing)
  endif()
endif()

add_library(weft_cuda INTERFACE)
add_library(weft::cuda ALIAS weft_cuda)
add_library(weft_nccl INTERFACE)
add_library(weft::nccl ALIAS weft_nccl)
if(NOT weft_cuda_missing)
  set(WEFT_WITH_CUDA TRUE)
  # CMake 3.25 does not know that nvcc has C++20.
  set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE} CACHE FILEPATH "nvcc")
  set(CMAKE_CUDA_ARCHITECTURES ${WEFT_CUDA_ARCHITECTURES})
  enable_language(CUDA)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  target_include_directories(weft_cuda SYSTEM INTERFACE ${WEFT_CUDNN_FRONTEND_INCLUDE})
  # The driver library is loaded at run time (dlopen): where no driver is installed, -lcuda would find only a stub.
  target_link_libraries(weft_cuda INTERFACE CUDA::cudart_static CUDA::cublasLt CUDA::nvrtc weft::cudnn)

  weft_find_library(nccl_library HEADER nccl.h LIBRARY nccl OPTIONAL
                    HINTS ${CUDAToolkit_TARGET_DIR} ${CUDAToolkit_LIBRARY_ROOT} ${CUDAToolkit_INCLUDE_DIRS}/..)
  set(WEFT_WITH_NCCL ${weft_nccl_library_FOUND})
  if(WEFT_WITH_NCCL)
    target_link_libraries(weft_nccl INTERFACE weft::nccl_library CUDA::cudart_static)
  else()
    message(STATUS "weft: NCCL is left out (nccl.h or libnccl not found): one GPU only")
  endif()
elseif(WEFT_CUDA STREQUAL "ON")
  message(FATAL_ERROR "WEFT_CUDA=ON, but: ${weft_cuda_missing}")
else()
  message(STATUS "weft: CUDA is left out (${weft_cuda_missing}); the CPU build goes on")
endif()

# --- Tests -----------------------------------------------------------------------------------------------------------

if(WEFT_TESTS)
  find_package(GTest REQUIRED)
endif()
