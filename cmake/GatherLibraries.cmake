# Copies the shared libraries an executable needs into lib/ beside it, so that both can be carried to another machine
# (WEFT_PORTABLE). Left out: the C and C++ runtimes and the CUDA libraries, which must be those of that machine.
# Run as: cmake -D EXECUTABLE=build/portable/weft -P cmake/GatherLibraries.cmake
file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${EXECUTABLE} RESOLVED_DEPENDENCIES_VAR found UNRESOLVED_DEPENDENCIES_VAR missing
     CONFLICTING_DEPENDENCIES_PREFIX gathered  # found here too, once an executable beside this one has been linked
     PRE_EXCLUDE_REGEXES "^ld-linux" "^lib(c|m|dl|rt|pthread|resolv)\\.so" "^lib(cuda|cudart|cublas|cublasLt|cudnn|nccl|nvrtc)[._]")
get_filename_component(folder ${EXECUTABLE} DIRECTORY)
file(MAKE_DIRECTORY ${folder}/lib)
foreach(library ${found})
  file(COPY ${library} DESTINATION ${folder}/lib FOLLOW_SYMLINK_CHAIN)
endforeach()
if(missing)
  message(WARNING "not found, and not carried: ${missing}")
endif()
